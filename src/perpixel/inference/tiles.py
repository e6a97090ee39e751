"""Cut an image into tiles, and blend what was computed for each without ever holding the whole.

    |------ tile ------|
                 |------ tile ------|
                 .. ramp ..                the outer quarters of an overlap count for nothing, as a tile's
                                           edge lacks its surroundings; between them one tile fades into
                                           the next

    linear  ___/‾‾‾    hann  __.-‾‾‾ (a cosine)    none  ___|‾‾‾ (a cut)    mean  ______ (halves)

With "none" and an overlap of twice what an unpadded network loses, this is U-Net's overlap-tile. An average that
counts every tile alike also trusts the edges, and is there to compare.

Source: Ronneberger et al., "U-Net", MICCAI 2015, arXiv:1505.04597, Fig. 2; the fading is ours.
Letters: K classes, H W pixels.
"""

from collections.abc import Callable, Iterator, MutableMapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from perpixel.inference.options import Blend
from perpixel.inference.seams import Seams


class Span(NamedTuple):
    """One axis of a tile: pixels start to stop, and how much each counts."""

    start: int
    stop: int
    weights: NDArray[np.float32]


class Block(NamedTuple):
    """A finished part of the whole."""

    rows: slice
    columns: slice
    values: Float[Tensor, "K h w"]


Compute = Callable[[slice, slice], Float[Tensor, "K h w"]]


def spans(length: int, tile: int, overlap: int, align: int = 1, blend: Blend = "linear") -> list[Span]:
    """Cover one axis with tiles that overlap.

    Args:
        length: Of the axis, in pixels.
        tile: Largest length of a tile.
        overlap: Least overlap of neighbours; at most half a tile.
        align: Tiles begin at multiples of this where that costs little, so that a network's pooling falls
            on the same pixels as in the whole image.
        blend: What each of two tiles counts for where they overlap.

    Returns: Tiles in order; at every pixel their weights sum to 1.
    """
    starts = _starts(length, tile, overlap, align)
    stops = [min(start + tile, length) for start in starts]
    weights = [np.ones(stop - start, np.float32) for start, stop in zip(starts, stops, strict=True)]
    for left, right in pairwise(range(len(starts))):
        shared = stops[left] - starts[right]
        if shared > 0 and blend != "mean":
            ramp = _ramp(shared, blend)
            weights[left][-shared:] *= 1 - ramp
            weights[right][:shared] *= ramp
    total = np.zeros(length, np.float32)
    for start, stop, weight in zip(starts, stops, weights, strict=True):
        total[start:stop] += weight
    return [
        Span(start, stop, weight / total[start:stop])
        for start, stop, weight in zip(starts, stops, weights, strict=True)
    ]


def blend(
    rows: list[Span],
    columns: list[Span],
    compute: Compute,
    seams: Seams | None = None,
    *,
    first: int = 0,
    carry: MutableMapping[int, Tensor] | None = None,
) -> Iterator[Block]:
    """Compute every tile once, and yield each part of the whole as soon as it is finished.

    What is kept meanwhile is one tile, and the overlap with the row of tiles below.

    Args:
        rows: Tiles along H.
        columns: Tiles along W.
        compute: From the rows and columns of a tile to its values, which are overwritten.
        seams: Told the labels of both tiles wherever two overlap; values are then probabilities.
        first: What lies above this row is not needed: tiles wholly above it are not computed, nor is anything
            yielded that is. Blocks below it are the same to the bit as without it.
        carry: Holds the overlap with the tiles below, by the number of the column; a dict if not given.
    """
    several, rows = len(rows) > 1, [row for row in rows if row.stop > first]
    above: MutableMapping[int, Tensor] = {} if carry is None else carry
    labels_above: dict[int, Tensor] = {}
    for i, row in enumerate(rows):
        finished = (rows[i + 1].start if i + 1 < len(rows) else row.stop) - row.start
        shared = rows[i - 1].stop - row.start if i else 0
        for j, (column, values) in enumerate(_finish_columns(row, columns, compute, seams)):
            if seams is not None:
                if shared:
                    seams.compare(labels_above[j], seams.labels(values[:, :shared]), across=0)
                labels_above[j] = seams.labels(values[:, finished:])
            if several:
                _weigh(values, row.weights[:, None])
            if shared:
                _add(values[:, :shared], above[j])
            if row.start + finished > first:
                yield Block(slice(row.start, row.start + finished), column, values[:, :finished])
            if finished < values.shape[1]:
                above[j] = values[:, finished:].clone()


def _finish_columns(
    row: Span, columns: list[Span], compute: Compute, seams: Seams | None
) -> Iterator[tuple[slice, Tensor]]:
    """Blend one row of tiles from left to right; yield columns to which no further tile adds."""
    left: Tensor | None = None
    labels: Tensor | None = None
    for j, column in enumerate(columns):
        values = compute(slice(row.start, row.stop), slice(column.start, column.stop))
        stop = columns[j + 1].start if j + 1 < len(columns) else column.stop
        if seams is not None:
            if labels is not None:
                seams.compare(labels, seams.labels(values[:, :, : labels.shape[1]]), across=1)
            labels = seams.labels(values[:, :, stop - column.start :])
        if len(columns) > 1:
            _weigh(values, column.weights)
        if left is not None:
            _add(values[:, :, : left.shape[2]], left)
        left = values[:, :, stop - column.start :].clone()
        yield slice(column.start, stop), values[:, :, : stop - column.start]


@torch.inference_mode()  # in place also for tensors that were made in it
def _weigh(values: Tensor, weights: NDArray[np.float32]) -> None:
    values.mul_(torch.from_numpy(weights).to(values.device))


@torch.inference_mode()
def _add(values: Tensor, part: Tensor) -> None:
    values.add_(part)


def _starts(length: int, tile: int, overlap: int, align: int) -> list[int]:
    """Spread as few tiles as will do evenly."""
    if tile >= length:
        return [0]
    stride = tile - overlap
    aligned = stride // align * align
    if 2 * aligned < tile:  # aligning would more than double the work
        align, aligned = 1, stride
    gaps = -(-(length - tile) // aligned)
    even = -(-(length - tile) // gaps)
    even = -(-even // align) * align
    starts = [0]
    while starts[-1] + tile < length:
        starts.append(starts[-1] + even)
    return starts


def _ramp(length: int, blend: Blend = "linear") -> NDArray[np.float32]:
    """Return what the right one of two tiles counts for where they overlap: 0, then rising, then 1."""
    if blend == "none":
        return (np.arange(length) >= length // 2).astype(np.float32)
    margin = length // 4
    position = (np.arange(length) + 0.5 - margin) / (length - 2 * margin)
    rising = position.clip(0, 1)
    return (np.sin(np.pi / 2 * rising) ** 2 if blend == "hann" else rising).astype(np.float32)
