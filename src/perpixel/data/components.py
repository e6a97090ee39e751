"""Connected parts of a mask, labelled without leaving NumPy.

Every pixel begins as its own root; neighbours hook the larger of their roots to the smaller, roots are followed to
the end, and after a few rounds each part has one root.

Letters: H W pixels.
"""

import numpy as np
from numpy.typing import NDArray


def connected_components(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the parts of a mask (H, W), numbered from 1 in reading order; 0 lies outside it.

    Pixels are neighbours across an edge, not across a corner.
    """
    index = np.arange(mask.size, dtype=np.intp).reshape(mask.shape)
    across, down = mask[:, 1:] & mask[:, :-1], mask[1:] & mask[:-1]
    one = np.concatenate((index[:, :-1][across], index[:-1][down]))
    other = np.concatenate((index[:, 1:][across], index[1:][down]))
    root = np.arange(mask.size, dtype=np.intp)
    while len(one):
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        np.minimum.at(root, high, low)
        while not np.array_equal(root, further := root[root]):
            root = further
        apart = root[one] != root[other]
        one, other = one[apart], other[apart]
    parts = np.zeros(mask.shape, np.intp)
    parts[mask] = np.unique(root[mask.ravel()], return_inverse=True)[1] + 1
    return parts
