"""Exact Euclidean distances: from every pixel to the nearest object, and to the nearest other one.

    along columns   the nearest object above or below, and the nearest other one     (running maxima of row numbers)
    across columns  the least of g² + Δ² over columns Δ away, Δ growing              (one minimum an offset)

Two of each column are enough: if the nearest other object has its nearest pixel in some column, nothing but the
nearest object can be nearer in that column. A squared distance and an object's number share one integer, so that
minima carry the number along. The search ends when Δ² alone exceeds every distance found.

Letters: H W pixels.
"""

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]
Distances = NDArray[np.float32]


def two_nearest(instances: Integers, reach: float = float("inf")) -> tuple[Distances, Distances]:
    """Return the distances, between centres of pixels, to the nearest and to the second nearest object.

    Args:
        instances: (H, W); 0 where there is no object, another number for each object.
        reach: Distances beyond it are given as infinite, sooner.

    Returns: Two (H, W), in pixels. The first is 0 within an object; each is infinite where there is no such object.
    Raises:
        ValueError: Not two axes.
    """
    if instances.ndim != 2:
        raise ValueError(f"two_nearest: expected instances (H, W), got {instances.shape}. Give one image at a time.")
    present = np.unique(instances[instances != 0])
    numbers = np.where(instances != 0, np.searchsorted(present, instances) + 1, 0)
    height, width = numbers.shape
    base, limit = len(present) + 1, height**2 + width**2
    kind = np.int32 if 4 * base * limit < np.iinfo(np.int32).max else np.int64
    nearest, other = columns(numbers.astype(kind), kind(base), kind(base * limit))
    steps = int(min(width - 1, reach))
    first = spread(nearest, base, steps)
    second = spread_other(nearest, other, first % base, base, steps) if len(present) > 1 else other
    return lengths(first, base, limit, reach), lengths(second, base, limit, reach)


def distance_transform(mask: NDArray[np.bool_]) -> Distances:
    """Return each pixel's distance to the nearest true one, between centres, in pixels; infinite if there is none."""
    return two_nearest(mask.astype(np.int32))[0]


def columns(numbers: Integers, base: np.integer, far: np.integer) -> tuple[Integers, Integers]:
    """Return squared distance · base + number of the nearest object in each pixel's column, and of the next; or far."""
    rows = np.arange(len(numbers), dtype=numbers.dtype)[:, None]
    sides = []
    for order in (1, -1):
        for index in above(numbers[::order]):
            seen = index >= 0
            number = np.where(seen, np.take_along_axis(numbers[::order], np.maximum(index, 0), axis=0), 0)
            key = np.where(seen, (rows - index) ** 2 * base + number, far)
            sides.append((key.astype(numbers.dtype)[::order], number[::order]))
    up, down = sides[0], sides[2]
    nearest = np.minimum(up[0], down[0])
    owner = np.where(up[0] <= down[0], up[1], down[1])
    other = np.full_like(nearest, far)
    for key, number in sides:
        np.minimum(other, np.where(number != owner, key, far), out=other)
    return nearest, other


def above(numbers: Integers) -> tuple[Integers, Integers]:
    """Return the row of the last object at or above each pixel, and of the last one that is not the same; or −1."""
    rows = np.arange(len(numbers), dtype=numbers.dtype)[:, None]
    last = np.maximum.accumulate(np.where(numbers != 0, rows, -1), axis=0)
    before = np.full_like(last, -1)
    before[1:] = last[:-1]
    changes = (numbers != 0) & (before >= 0)
    changes &= np.take_along_axis(numbers, np.maximum(before, 0), axis=0) != numbers
    return last, np.maximum.accumulate(np.where(changes, before, -1), axis=0)


def spread(nearest: Integers, base: int, steps: int) -> Integers:
    """Return the least of `nearest` over all columns, squared distances across added."""
    best = nearest.copy()
    for step in range(1, steps + 1):
        if step % 8 == 1 and best.max() < step**2 * base:
            break
        across = nearest.dtype.type(step**2 * base)
        np.minimum(best[:, step:], nearest[:, :-step] + across, out=best[:, step:])
        np.minimum(best[:, :-step], nearest[:, step:] + across, out=best[:, :-step])
    return best


def spread_other(nearest: Integers, other: Integers, owner: Integers, base: int, steps: int) -> Integers:
    """Return the least over all columns of what does not belong to the pixel's own nearest object, `owner`."""
    number = nearest % base
    best = np.where(number != owner, nearest, other)
    for step in range(1, steps + 1):
        if step % 8 == 1 and best.max() < step**2 * base:
            break
        across = nearest.dtype.type(step**2 * base)
        for here, there in ((np.s_[:, step:], np.s_[:, :-step]), (np.s_[:, :-step], np.s_[:, step:])):
            candidate = np.where(number[there] != owner[here], nearest[there], other[there])
            np.minimum(best[here], candidate + across, out=best[here])
    return best


def lengths(keys: Integers, base: int, limit: int, reach: float) -> Distances:
    """Return the distances that keys hold."""
    squares = keys // base
    found = (squares < limit) & (squares <= reach**2)
    return np.where(found, np.sqrt(squares.astype(np.float64)), np.inf).astype(np.float32)
