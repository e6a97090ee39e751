"""Winograd's two transforms of F(4 x 4, 3 x 3), compiled: each value is read once and written once.

    six rows of a band -> B down the columns -> B along the rows, a tile at a time -> (36, T, C)
    (36, T, D) -> A down, A along, plus the bias, clamped -> four rows of the result

As matrix products, the same transforms take as long as the convolution's own product where channels are few. The
symmetry of the points, 0 and ±a and ±b, makes them some additions: B's rows for a and −a differ in a sign.

Needs Numba, an extra. Threads share the rows of tiles.

Source: Lavin & Gray, CVPR 2016, arXiv:1509.09308, Sec. 4.3; the points are those of `toom_cook`.
Letters: C D channels in and out, T tiles.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from perpixel.inference.toom_cook import POINTS
from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import add_scaled, fill16, larger, load16, plus, scaled, store
from perpixel.ops.team import standing_team

LANES = 16  # channels at once; their number must be a multiple
_, a, _, b, _ = map(float, POINTS[3])
A, B, A2, B2, A3, B3, SUM, PRODUCT, ONE = map(np.float32, (a, b, a**2, b**2, a**3, b**3, a**2 + b**2, (a * b) ** 2, 1))


def transform_band(band: Float[Tensor, "_ _ C"], transformed: Float[Tensor, "36 T C"], columns: int) -> None:
    """Fill `transformed` from a band of tiles; all float32 and contiguous, C a multiple of 16."""
    rows, channels = transformed.shape[1] // columns, band.shape[2]
    source, target = flat(band), flat(transformed)

    def some(first: int, last: int) -> None:
        down = np.empty(6 * (4 * columns + 2) * channels, np.float32)
        into(source, target, down, first, last, rows, columns, channels)

    team = standing_team(torch.get_num_threads())
    team.run(some, team.share(rows))


def restore_band(
    products: Float[Tensor, "36 T D"], bias: Float[Tensor, " D"], relu: bool, result: Float[Tensor, "_ _ D"]
) -> None:
    """Fill `result` from the products; all float32 and contiguous, D a multiple of 16."""
    rows, columns, channels = result.shape[0] // 4, result.shape[1] // 4, result.shape[2]
    source, target, added = flat(products), flat(result), flat(bias)
    floor = np.float32(0 if relu else -np.inf)

    def some(first: int, last: int) -> None:
        down = np.empty(24 * LANES, np.float32)
        back(source, added, floor, target, down, first, last, rows, columns, channels)

    team = standing_team(torch.get_num_threads())
    team.run(some, team.share(rows))


def flat(tensor: Tensor) -> Any:
    """Return the same memory as an array of one axis."""
    return tensor.detach().view(-1).numpy()


@compiled
def six(source: Any, at: int, step: int, target: Any, to: int, stride: int) -> None:
    """Store B's six sums of six values that lie `step` apart."""
    d1, d2, d3, d4 = (load16(source, at + step), load16(source, at + 2 * step), load16(source, at + 3 * step),
                      load16(source, at + 4 * step))  # fmt: skip
    store(target, to, add_scaled(add_scaled(d4, -SUM, d2), PRODUCT, load16(source, at)))
    even, odd = add_scaled(d4, -B2, d2), add_scaled(d3, -B2, d1)
    store(target, to + stride, add_scaled(even, A, odd))
    store(target, to + 2 * stride, add_scaled(even, -A, odd))
    even, odd = add_scaled(d4, -A2, d2), add_scaled(d3, -A2, d1)
    store(target, to + 3 * stride, add_scaled(even, B, odd))
    store(target, to + 4 * stride, add_scaled(even, -B, odd))
    store(target, to + 5 * stride, add_scaled(add_scaled(load16(source, at + 5 * step), -SUM, d3), PRODUCT, d1))


@compiled
def into(band: Any, transformed: Any, down: Any, first: int, last: int, rows: int, columns: int, channels: int) -> None:
    """Transform the patches of some rows of tiles."""
    width = (4 * columns + 2) * channels
    product = rows * columns * channels
    for row in range(first, last):
        for x in range(0, width, LANES):
            six(band, 4 * row * width + x, width, down, x, width)
        for i in range(6):
            for tile in range(columns):
                start, to = i * width + 4 * tile * channels, 6 * i * product + (row * columns + tile) * channels
                for c in range(0, channels, LANES):
                    six(down, start + c, channels, transformed, to + c, product)


@compiled
def four(source: Any, at: int, step: int) -> Any:
    """Return A's four sums of six values that lie `step` apart."""
    x1, x2, x3, x4 = (load16(source, at + step), load16(source, at + 2 * step), load16(source, at + 3 * step),
                      load16(source, at + 4 * step))  # fmt: skip
    even, odd, even2, odd2 = plus(x1, x2), add_scaled(x1, -ONE, x2), plus(x3, x4), add_scaled(x3, -ONE, x4)
    return (
        plus(plus(load16(source, at), even), even2),
        add_scaled(scaled(A, odd), B, odd2),
        add_scaled(scaled(A2, even), B2, even2),
        plus(add_scaled(scaled(A3, odd), B3, odd2), load16(source, at + 5 * step)),
    )


@compiled
def back(
    products: Any, bias: Any, floor: Any, result: Any, down: Any,
    first: int, last: int, rows: int, columns: int, channels: int,
) -> None:  # fmt: skip
    """Turn the products of some rows of tiles into pixels."""
    product, width = rows * columns * channels, 4 * columns * channels
    least = fill16(floor)
    for row in range(first, last):
        for tile in range(columns):
            for c in range(0, channels, LANES):
                at = (row * columns + tile) * channels + c
                for j in range(6):
                    y0, y1, y2, y3 = four(products, j * product + at, 6 * product)
                    store(down, j * LANES, y0)
                    store(down, (6 + j) * LANES, y1)
                    store(down, (12 + j) * LANES, y2)
                    store(down, (18 + j) * LANES, y3)
                added = load16(bias, c)
                for i in range(4):
                    y0, y1, y2, y3 = four(down, 6 * i * LANES, LANES)
                    to = (4 * row + i) * width + 4 * tile * channels + c
                    store(result, to, larger(plus(y0, added), least))
                    store(result, to + channels, larger(plus(y1, added), least))
                    store(result, to + 2 * channels, larger(plus(y2, added), least))
                    store(result, to + 3 * channels, larger(plus(y3, added), least))
