"""The spatial kernel's exact sum: a Gaussian along rows, then along columns.

It takes the lattice's place where it is asked for. It is nearer to the papers' formula, cut off where a weight is
below 4·10⁻⁶; and so its answer is not that of the lattice, which everybody's parameters were found with.

Letters: H W pixels, N = H·W.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.options import Normalization
from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import add_scaled, fill8, load8, store

REACH = 5.0  # standard deviations: e^(−12.5) is 4e-6
TINY = np.float32(1e-20)
ZERO = np.float32(0)
Floats = NDArray[np.float32]


def taps(xy_std: float, length: int) -> Floats:
    """Return the weights at distances 0, 1, … pixels."""
    reach = min(math.ceil(REACH * xy_std), length - 1)
    distance = np.arange(reach + 1)
    return np.exp(-0.5 * (distance / xy_std) ** 2).astype(np.float32)


def line_norm(weights: Floats, length: int) -> Floats:
    """Return the sum of the weights that fall within a line, at each of its pixels."""
    both = np.concatenate([weights[:0:-1], weights])
    return np.convolve(np.ones(length), both)[len(weights) - 1 :][:length].astype(np.float32)


def factors(height: int, width: int, xy_std: float, normalization: Normalization) -> tuple[Floats, Floats]:
    """Return what values are multiplied by before and after filtering, float32 (N) each."""
    rows, columns = line_norm(taps(xy_std, height), height), line_norm(taps(xy_std, width), width)
    norm, ones = np.outer(rows, columns).ravel(), np.ones(height * width, np.float32)
    if normalization == "symmetric":
        root = (1 / np.sqrt(norm + TINY)).astype(np.float32)
        return root, root
    return ones, (1 / (norm + TINY)).astype(np.float32) if normalization == "after" else ones


@compiled
def along_rows(
    first: int, last: int, width: int, weights: Any, before: Any, values: Any, out: Any, padded: int
) -> None:
    """Filter the rows `first` to `last` of values times `before`."""
    for row in range(first, last):
        for column in range(width):
            low, high = max(0, column - weights.size + 1), min(width, column + weights.size)
            for at in range(0, padded, 8):
                lanes = fill8(ZERO)
                for other in range(low, high):
                    pixel = row * width + other
                    weight = weights[abs(other - column)] * before[pixel]
                    lanes = add_scaled(lanes, weight, load8(values, pixel * padded + at))
                store(out, (row * width + column) * padded + at, lanes)


@compiled
def along_columns(
    first: int, last: int, height: int, width: int, weights: Any, values: Any, out: Any, offset: int, padded: int
) -> None:
    """Filter all columns of the rows `first` to `last`; rows are written from `offset` on."""
    for row in range(first, last):
        low, high = max(0, row - weights.size + 1), min(height, row + weights.size)
        for at in range(0, width * padded, 8):
            lanes = fill8(ZERO)
            for other in range(low, high):
                lanes = add_scaled(lanes, weights[abs(other - row)], load8(values, other * width * padded + at))
            store(out, offset + row * width * padded + at, lanes)
