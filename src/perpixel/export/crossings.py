"""Which of many segments cross or touch another one that they share no end with.

    |--------- x --------->         segments are laid into bands of 8 pixels' height; within a band only those
    |  /  ---   /   --  |           whose x overlap are compared
    |===================  band

Letters: n segments.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

BAND = 8  # pixels
PAIRS = 1 << 21  # compared at a time


def crossing(starts: Ids, ends: Ids) -> NDArray[np.bool_]:
    """Return (n,) which segments meet another in a point that is not an end of both.

    Args:
        starts: (n, 2) x, y.
        ends: (n, 2).
    """
    found = np.zeros(len(starts), bool)
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    for one, other in _near(low, high):
        apart = (high[one, 1] < low[other, 1]) | (high[other, 1] < low[one, 1])
        one, other = one[~apart], other[~apart]
        meets = _meet(starts[one], ends[one], starts[other], ends[other])
        found[one[meets]] = found[other[meets]] = True
    return found


def _near(low: Ids, high: Ids) -> Iterator[tuple[Ids, Ids]]:
    """Yield pairs of segments in one band whose x overlap."""
    bands = high[:, 1] // BAND - low[:, 1] // BAND + 1
    segment = np.repeat(np.arange(len(low)), bands)
    band = low[segment, 1] // BAND + np.arange(len(segment)) - np.repeat(np.cumsum(bands) - bands, bands)
    line = int(high[:, 0].max(initial=0)) + 2
    order = np.argsort(band * line + low[segment, 0])
    segment, band = segment[order], band[order]
    last = np.searchsorted(band * line + low[segment, 0], band * line + high[segment, 0], side="right")
    following = last - np.arange(len(segment)) - 1
    total = np.cumsum(following)
    start = 0
    while start < len(segment):
        done = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + PAIRS, side="right")))
        count = following[start:stop]
        one = np.repeat(np.arange(start, stop), count)
        other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
        yield segment[one], segment[other]
        start = stop


def _meet(a: Ids, b: Ids, c: Ids, d: Ids) -> NDArray[np.bool_]:
    """Return which segments a b and c d have a point in common, but no end; their boxes overlap."""
    joined = np.logical_or.reduce([(p == q).all(axis=1) for p in (a, b) for q in (c, d)])
    across = (_side(a, b, c) * _side(a, b, d) <= 0) & (_side(c, d, a) * _side(c, d, b) <= 0)
    meets: NDArray[np.bool_] = across & ~joined
    return meets


def _side(start: Ids, end: Ids, point: Ids) -> Ids:
    """Return 1, 0 or -1: left of a line, on it, or right of it."""
    along, to = end - start, point - start
    side: Ids = np.sign(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0])
    return side
