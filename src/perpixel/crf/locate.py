"""Where features lie in the permutohedral lattice: each one's simplex, and how near it is to the simplex's corners.

    features (d)  -> elevate ->  d + 1 coordinates that sum to 0
                  -> round   ->  the nearest vertex whose coordinates are multiples of d + 1
                  -> rank    ->  the simplex around: walk from that vertex along the largest remainder, and so on
                  -> weights ->  d + 1 barycentric ones, which sum to 1

A vertex is known by its fingerprint: its first d coordinates, packed side by side into 64 bits. Stepping to a
neighbour adds a constant to it. Where the coordinates need more bits they are hashed, still linearly: two of ten
million vertices then share a fingerprint once in a million images.

Source: Adams, Baek, Davis, Eurographics 2010, Sec. 4; the order of the float32 operations is that of
    pydensecrf's permutohedral.cpp, so that features between two simplices fall the same way.
Letters: N features, d dimensions, S slots: d + 1 for each of several kernels, B blocks of 16 pixels.
"""

import math
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.errors import UsageError
from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import (
    add_scaled,
    below,
    fill16,
    load16,
    minus,
    peek,
    plus,
    poke,
    rounded,
    scaled,
    store,
    where_equal,
)

WIDE = 16  # features at a time
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
FARTHEST = 2.0**20  # float32 keeps an eighth of a unit there
GUARD = 4  # coordinates to spare at either end, for neighbours beyond


def elevation(dimensions: int) -> NDArray[np.float32]:
    """Return each feature's scale (d), with which one standard deviation is what the blur spreads."""
    spread = np.float32(math.sqrt(2 / 3) * (dimensions + 1))
    return np.array([1 / math.sqrt((i + 2) * (i + 1)) * spread for i in range(dimensions)], np.float32)


def fingerprint_factors(features: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the factor of each of the first d coordinates, with which their sum tells vertices apart.

    Args:
        features: (N, d).

    Raises:
        UsageError: They are so many deviations from 0 that float32 no longer tells neighbouring vertices apart.
    """
    dimensions = features.shape[1]
    scale = elevation(dimensions).astype(np.float64)
    low, high = extent(features)
    low, high = low * scale, high * scale
    if not max(-low.min(), high.max()) * dimensions <= FARTHEST:
        raise UsageError(
            f"refine: expected features within some {FARTHEST / dimensions / scale.max():.0f} deviations of 0, got "
            f"{features.min():.3g} to {features.max():.3g}. Take larger deviations."
        )
    spans = []
    for j in range(dimensions):
        below = low[j:].sum() - (j * high[j - 1] if j else 0.0)
        above = high[j:].sum() - (j * low[j - 1] if j else 0.0)
        spans.append(above - below + 2 * GUARD * (dimensions + 1))
    bits = [max(1, math.ceil(math.log2(span + 1))) for span in spans]
    if sum(bits) <= 62:
        return np.array([1 << sum(bits[:j]) for j in range(dimensions)], np.int64)
    random = Random(0)
    return np.array([random.randrange(-(2**62), 2**62) | 1 for _ in range(dimensions)], np.int64)


@compiled
def extent(features: Any) -> Any:
    """Return the least and the largest of each feature."""
    low, high = features[0].copy(), features[0].copy()
    for i in range(features.shape[0]):
        for j in range(features.shape[1]):
            low[j] = min(low[j], features[i, j])
            high[j] = max(high[j], features[i, j])
    return low, high


@compiled
def locate(
    first: int,
    last: int,
    origin: int,
    features: Any,
    scale: Any,
    factors: Any,
    row: int,
    weights: Any,
    fingerprints: Any,
) -> None:
    """Fill weights (B, S, 16) and fingerprints (S, ·), from `row` on, of the blocks `first` to `last`.

    Fingerprints begin with the block `origin`. Beyond the last pixel weights are 0.
    """
    count, corners = features.shape[0], features.shape[1] + 1
    elevated = np.zeros(corners * WIDE, np.float32)
    nearest, rank, parts = np.zeros_like(elevated), np.zeros_like(elevated), np.zeros_like(elevated)
    wraps = np.zeros(corners, np.int64)
    near = weights.reshape(-1)
    for block in range(first, last):
        pixel, at = block * WIDE, (block * weights.shape[1] + row) * WIDE
        lanes = min(WIDE, count - pixel)
        elevate(pixel, lanes, features, scale, elevated)
        find_simplex(corners, elevated, nearest, rank)
        weigh_corners(corners, elevated, nearest, rank, parts, at, near)
        if lanes < WIDE:
            weights[block, row : row + corners, lanes:] = ZERO
        for lane in range(lanes):
            vertex = np.int64(0)
            for j in range(corners):
                vertex += np.int64(peek(nearest, j * WIDE + lane)) * peek(factors, j)
                poke(wraps, np.int64(peek(rank, j * WIDE + lane)), peek(factors, j))
            here = pixel - origin * WIDE + lane
            fingerprints[row, here] = vertex
            for corner in range(1, corners):
                # The next corner: one more in every coordinate, and d + 1 less in the one that wraps.
                vertex += peek(factors, corners) - corners * peek(wraps, corners - corner)
                fingerprints[row + corner, here] = vertex


@compiled
def elevate(block: int, count: int, features: Any, scale: Any, elevated: Any) -> None:
    """Put sixteen features onto the hyperplane whose coordinates sum to 0: (d + 1, 16), flat."""
    total = fill16(ZERO)
    for j in range(features.shape[1], 0, -1):
        at = j * WIDE
        for lane in range(count):
            poke(elevated, at + lane, features[block + lane, j - 1])
        feature = scaled(peek(scale, j - 1), load16(elevated, at))
        store(elevated, at, minus(total, scaled(np.float32(j), feature)))
        total = plus(total, feature)
    store(elevated, 0, total)


@compiled
def find_simplex(corners: int, elevated: Any, nearest: Any, rank: Any) -> None:
    """Find the vertex of remainder 0 from which each simplex begins, and the order of the coordinates' remainders."""
    up, down = np.float32(corners), ONE / np.float32(corners)
    surplus = fill16(ZERO)
    for at in range(0, corners * WIDE, WIDE):
        steps = rounded(scaled(down, load16(elevated, at)))
        surplus = plus(surplus, steps)
        store(nearest, at, scaled(up, steps))
        store(rank, at, fill16(ZERO))
    for at in range(0, corners * WIDE, WIDE):
        rest = minus(load16(elevated, at), load16(nearest, at))
        place = load16(rank, at)
        for other in range(at + WIDE, corners * WIDE, WIDE):
            behind = below(rest, minus(load16(elevated, other), load16(nearest, other)))
            place = plus(place, behind)
            store(rank, other, plus(load16(rank, other), minus(fill16(ONE), behind)))
        store(rank, at, place)
    for at in range(0, corners * WIDE, WIDE):
        # Rounding each coordinate alone may leave the hyperplane; those that were rounded furthest go back.
        place = plus(load16(rank, at), surplus)
        wrap = minus(below(place, fill16(ZERO)), below(fill16(up - HALF), place))
        store(rank, at, add_scaled(place, up, wrap))
        store(nearest, at, add_scaled(load16(nearest, at), up, wrap))


@compiled
def weigh_corners(corners: int, elevated: Any, nearest: Any, rank: Any, parts: Any, first: int, near: Any) -> None:
    """Fill the barycentric weights of sixteen features, (d + 1, 16), flat, from `first` on; `parts` is scratch."""
    down = ONE / np.float32(corners)
    for at in range(0, corners * WIDE, WIDE):
        store(elevated, at, scaled(down, minus(load16(elevated, at), load16(nearest, at))))
    for place in range(corners):
        part = fill16(ZERO)
        for at in range(0, corners * WIDE, WIDE):
            part = where_equal(load16(rank, at), np.float32(place), load16(elevated, at), part)
        store(parts, place * WIDE, part)
    store(near, first, plus(load16(parts, (corners - 1) * WIDE), minus(fill16(ONE), load16(parts, 0))))
    for corner in range(1, corners):
        at = (corners - corner) * WIDE
        store(near, first + corner * WIDE, minus(load16(parts, at - WIDE), load16(parts, at)))
