"""Winograd's two transforms of F(4 x 4, 3 x 3), compiled: each value is read once and written once.

    six rows of the image -> B down the columns -> B along the rows, a tile at a time -> (36, T, C)
    (36, T, C) @ (36, C, D), as PyTorch does it
    (36, T, D) -> A down, A along, plus the bias, clamped -> four rows of the result

As matrix products, the same transforms take as long as the convolution's own product where channels are few. The
symmetry of the points, 0 and ±a and ±b, makes them some additions: B's rows for a and −a differ in a sign.

Needs Numba, an extra.

Source: Lavin & Gray, CVPR 2016, arXiv:1509.09308, Sec. 4.3; the points are those of `toom_cook`.
Letters: C D channels in and out, T tiles.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from perpixel.inference.toom_cook import POINTS
from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import add_scaled, fill16, larger, load16, plus, scaled, store

TILE = 4  # pixels, its side
LANES = 16  # channels at once; their number must be a multiple
_, a, _, b, _ = map(float, POINTS[3])
A, B, A2, B2, A3, B3, SUM, PRODUCT, ONE = map(np.float32, (a, b, a**2, b**2, a**3, b**3, a**2 + b**2, (a * b) ** 2, 1))


class Layer(NamedTuple):
    """A convolution.

    Attributes:
        kernel: Transformed.
        bias: Added.
        relu: Whether results are clamped at 0.
        padding: Rows above and columns to the left of the image, of zeros.
    """

    kernel: Float[Tensor, "36 C D"]
    bias: Float[Tensor, " D"]
    relu: bool
    padding: tuple[int, int]


def convolve_rows(
    image: Float[Tensor, "H W C"], layer: Layer, result: Float[Tensor, "_ _ D"], first: int, last: int, step: int
) -> None:
    """Fill some rows of tiles, a band of `step` at a time.

    What a band needs is allocated once: the next one finds it in the cache.

    Args:
        image: Float32. Its values lie one after the other along a row.
        layer: C and D are multiples of 16.
        result: Contiguous, 4 x 4 pixels for each tile.
        first: Row of tiles.
        last: Row of tiles that is not filled any more.
        step: Rows of tiles in a band.
    """
    (height, width, inputs), columns, outputs = image.shape, result.shape[1] // TILE, result.shape[2]
    transformed = image.new_empty(36 * step * columns * inputs)
    products = image.new_empty(36 * step * columns * outputs)
    down = image.new_zeros(6 * (TILE * columns + 2) * inputs)  # its margins stay zero
    scratch = image.new_empty(6 * max(width * inputs, 4 * LANES))
    floor = np.float32(0 if layer.relu else -np.inf)
    source, target, bias = flat(image), flat(result), flat(layer.bias)
    patches, multiplied, summed, spare = map(flat, (transformed, products, down, scratch))
    for row in range(first, last, step):
        stop = min(row + step, last)
        tiles = (stop - row) * columns
        into(source, image.stride(0), height, width, *layer.padding, patches, summed, spare, row, stop, columns, inputs)
        torch.bmm(cut(transformed, tiles, inputs), layer.kernel, out=cut(products, tiles, outputs))
        back(multiplied, bias, floor, target, spare, row, stop, columns, outputs)


def cut(values: Float[Tensor, " _"], tiles: int, channels: int) -> Float[Tensor, "36 T C"]:
    """Return the part that so many tiles take."""
    return values[: 36 * tiles * channels].view(36, tiles, channels)


def flat(tensor: Tensor) -> Any:
    """Return the same memory as an array of one axis, with what lies between the rows."""
    reach = sum((length - 1) * step for length, step in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    return tensor.detach().as_strided((reach,), (1,)).numpy()


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
def into(
    image: Any, stride: int, height: int, width: int, above: int, left: int, transformed: Any, down: Any, rows: Any,
    first: int, last: int, columns: int, channels: int,
) -> None:  # fmt: skip
    """Transform the patches of some rows of tiles.

    Args:
        image: Flat; a row begins every `stride` values.
        stride: See `image`.
        height: H.
        width: W.
        above: Rows of zeros above the image.
        left: Columns of zeros to its left.
        transformed: Is filled.
        down: Room for a row of tiles that is transformed down its columns; zero where no image is.
        rows: Room for six rows of the image.
        first: Row of tiles.
        last: Row of tiles that is not transformed any more.
        columns: Tiles in a row.
        channels: C.
    """
    values, padded, product = width * channels, (4 * columns + 2) * channels, (last - first) * columns * channels
    for row in range(first, last):
        top = 4 * row - above
        if top >= 0 and top + 6 <= height:
            for x in range(0, values, LANES):
                six(image, top * stride + x, stride, down, left * channels + x, padded)
        else:
            with_zeros(image, stride, height, top, rows, values)
            for x in range(0, values, LANES):
                six(rows, x, values, down, left * channels + x, padded)
        for i in range(6):
            for tile in range(columns):
                start = i * padded + 4 * tile * channels
                to = 6 * i * product + ((row - first) * columns + tile) * channels
                for c in range(0, channels, LANES):
                    six(down, start + c, channels, transformed, to + c, product)


@compiled
def with_zeros(image: Any, stride: int, height: int, top: int, rows: Any, values: int) -> None:
    """Copy six rows of an image, and zeros where it has none."""
    for i in range(6):
        seen = 0 <= top + i < height
        for x in range(values):
            rows[i * values + x] = image[(top + i) * stride + x] if seen else np.float32(0)


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
    first: int, last: int, columns: int, channels: int,
) -> None:  # fmt: skip
    """Turn the products of some rows of tiles into pixels."""
    product, width = (last - first) * columns * channels, 4 * columns * channels
    least = fill16(floor)
    for row in range(first, last):
        for tile in range(columns):
            for c in range(0, channels, LANES):
                at = ((row - first) * columns + tile) * channels + c
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
