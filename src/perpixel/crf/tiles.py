"""A large image in overlapping tiles, blended.

    tile 1  ▁▂▅▇███▇▅▂▁            each weighs less towards its inner edges;
    tile 2          ▁▂▅▇███        the weighted mean of what they say is the answer

Letters: K classes, H W pixels.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def refine_tiled(
    shape: tuple[int, int, int], tile: tuple[int, int], overlap: int, refine_part: Callable[[slice, slice], Floats]
) -> Floats:
    """Return refine_part's answers, blended where they overlap.

    Args:
        shape: (K, H, W).
        tile: (H, W) of a tile at most.
        overlap: Of neighbours at least, in pixels.
        refine_part: Takes rows and columns, returns (K, rows, columns).
    """
    _, height, width = shape
    answer = np.zeros(shape, np.float32)
    weights = np.zeros((height, width), np.float32)
    for rows in spans(height, tile[0], overlap):
        for columns in spans(width, tile[1], overlap):
            weight = np.outer(ramp(rows, height, overlap), ramp(columns, width, overlap))
            answer[:, rows, columns] += refine_part(rows, columns) * weight
            weights[rows, columns] += weight
    answer /= weights
    return answer


def spans(length: int, tile: int, overlap: int) -> list[slice]:
    """Return the fewest spans of one length that cover 0 to `length`, evenly spread."""
    if length <= tile:
        return [slice(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    firsts = [round(index * (length - tile) / (count - 1)) for index in range(count)]
    return [slice(first, first + tile) for first in firsts]


def ramp(span: slice, length: int, overlap: int) -> Floats:
    """Return weights that rise over the overlap from an edge that is not the image's."""
    size = span.stop - span.start
    inside = np.arange(size, dtype=np.float32)
    rise = np.minimum(1, (inside + 1) / (overlap + 1)) if span.start > 0 else np.ones(size)
    fall = np.minimum(1, (size - inside) / (overlap + 1)) if span.stop < length else np.ones(size)
    return (rise * fall).astype(np.float32)
