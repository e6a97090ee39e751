"""Let small regions be absorbed by the neighbour that they share most of their border with.

    a a a a        a a a a
    a b a c   ->   a a a c      the b is gone, no hole is left, and every pixel still has a class
    a a c c        a a c c

Letters: H W pixels, P regions.
"""

import numpy as np
from numpy.typing import NDArray

from perpixel.ops.components import connected_components

Ids = NDArray[np.int64]

NOWHERE = -1


def sieve(labels: NDArray[np.integer], least: int) -> Ids:
    """Return labels without regions of fewer than `least` pixels.

    A region yields only to a larger one; of two that are equal, to the one further up. What borders on nothing remains.

    Args:
        labels: (H, W) class ids from 0 on. Regions hang together by edges.
        least: In pixels.
    """
    sifted: Ids = labels.astype(np.int64)
    while True:
        parts = connected_components(sifted, background=NOWHERE) - 1
        size = np.bincount(parts.ravel())
        absorbed_by = _heir(parts, size, least)
        if np.array_equal(absorbed_by, np.arange(len(size))):
            return sifted
        first = np.unique(parts, return_index=True)[1]
        sifted = sifted.ravel()[first][absorbed_by][parts]


def _heir(parts: Ids, size: Ids, least: int) -> Ids:
    """Return the region that each becomes part of: itself, if it is large enough."""
    one, other, shared = _borders(parts)
    order = size * len(size) - np.arange(len(size))  # larger first, then further up
    yields = (size[one] < least) & (order[one] < order[other])
    one, other, shared = one[yields], other[yields], shared[yields]
    heir = np.arange(len(size))
    ascending = np.lexsort((order[other], shared))
    heir[one[ascending]] = other[ascending]  # the last one written stays
    while not np.array_equal(heir, heir[heir]):
        heir = heir[heir]
    return heir


def _borders(parts: Ids) -> tuple[Ids, Ids, Ids]:
    """Return neighbours, each pair in both orders, and how many edges of pixels they share."""
    pairs = np.concatenate(
        [np.stack([a[a != b], b[a != b]]) for a, b in ((parts[1:], parts[:-1]), (parts[:, 1:], parts[:, :-1]))],
        axis=1,
    )
    count = int(parts.max()) + 1
    keys, shared = np.unique(
        np.concatenate([pairs[0] * count + pairs[1], pairs[1] * count + pairs[0]]), return_counts=True
    )
    return keys // count, keys % count, shared
