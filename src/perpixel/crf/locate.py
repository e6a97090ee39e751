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
Letters: N features, d dimensions, S slots: d + 1 for each of several kernels.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.compiled import compiled

GUARD = 4  # coordinates to spare at either end, for neighbours beyond


def elevation(dimensions: int) -> NDArray[np.float32]:
    """Return each feature's scale (d), with which one standard deviation is what the blur spreads."""
    spread = np.float32(math.sqrt(2 / 3) * (dimensions + 1))
    return np.array([1 / math.sqrt((i + 2) * (i + 1)) * spread for i in range(dimensions)], np.float32)


def fingerprint_factors(features: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the factor of each of the first d coordinates, with which their sum tells vertices apart.

    Args:
        features: (N, d).
    """
    dimensions = features.shape[1]
    scale = elevation(dimensions).astype(np.float64)
    low, high = extent(features)
    low, high = low * scale, high * scale
    spans = []
    for j in range(dimensions):
        below = low[j:].sum() - (j * high[j - 1] if j else 0.0)
        above = high[j:].sum() - (j * low[j - 1] if j else 0.0)
        spans.append(above - below + 2 * GUARD * (dimensions + 1))
    bits = [max(1, math.ceil(math.log2(span + 1))) for span in spans]
    if sum(bits) <= 62:
        return np.array([1 << sum(bits[:j]) for j in range(dimensions)], np.int64)
    rng = np.random.default_rng(0)
    return np.array([int(value) | 1 for value in rng.integers(-(2**62), 2**62, dimensions)], np.int64)


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
    features: Any,
    scale: Any,
    factors: Any,
    column: int,
    weights: Any,
    fingerprints: Any,
) -> None:
    """Fill weights (N, S), from `column` on, and fingerprints (d + 1, N), of features `first` to `last`."""
    dimensions = features.shape[1]
    corners = dimensions + 1
    up, down = np.float32(corners), np.float32(1) / np.float32(corners)
    one, zero = np.float32(1), np.float32(0)
    all_factors = factors.sum()
    elevated = np.empty(corners, np.float32)
    nearest = np.empty(corners, np.float32)
    rank = np.empty(corners, np.int64)
    coordinate_of = np.empty(corners, np.int64)
    barycentric = np.empty(corners + 1, np.float32)
    for i in range(first, last):
        total = zero
        for j in range(dimensions, 0, -1):
            feature = features[i, j - 1] * scale[j - 1]
            elevated[j] = total - np.float32(j) * feature
            total += feature
        elevated[0] = total
        surplus = zero
        for j in range(corners):
            rounded = np.float32(np.rint(down * elevated[j]))
            nearest[j] = rounded * up
            surplus += rounded
            rank[j] = 0
        for j in range(dimensions):
            rest = elevated[j] - nearest[j]
            for k in range(j + 1, corners):
                behind = np.int64(rest < elevated[k] - nearest[k])
                rank[j] += behind
                rank[k] += 1 - behind
        shift = np.int64(surplus)
        for j in range(corners + 1):
            barycentric[j] = zero
        vertex = np.int64(0)
        for j in range(corners):
            rank[j] += shift
            if rank[j] < 0:
                rank[j] += corners
                nearest[j] += up
            elif rank[j] >= corners:
                rank[j] -= corners
                nearest[j] -= up
            part = (elevated[j] - nearest[j]) * down
            barycentric[dimensions - rank[j]] += part
            barycentric[corners - rank[j]] -= part
            coordinate_of[rank[j]] = j
            if j < dimensions:
                vertex += np.int64(nearest[j]) * factors[j]
        barycentric[0] += one + barycentric[corners]
        for corner in range(corners):
            if corner > 0:
                wraps = coordinate_of[corners - corner]
                vertex += all_factors
                if wraps < dimensions:
                    vertex -= corners * factors[wraps]
            weights[i, column + corner] = barycentric[corner]
            fingerprints[corner, i] = vertex
