"""A small picture of a raster and its prediction.

    every n-th pixel of every n-th row -> the classes' colours over it, and a legend

Letters: H W pixels, K classes.
"""

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.masks import IGNORE
from perpixel.data.palette import overlay_with_legend
from perpixel.data.rasters.raster import Raster, read_window
from perpixel.data.rasters.tiff import TiffRaster
from perpixel.data.rasters.writer import TILE
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.predicting.stored import Stored

OVERVIEW = 2048  # pixels of an overlay's longer side


def draw_overview(segmenter: Segmenter, raster: Raster, labelled: Path, stored: Stored) -> Any:
    """Return a small picture of a raster and its prediction: every n-th pixel of every n-th row.

    Args:
        segmenter: Names the classes.
        raster: The source.
        labelled: The prediction.
        stored: What it holds for each class.
    """
    height, width = raster.facts.size
    step = math.ceil(max(height, width) / OVERVIEW)
    shape = (-(-height // step), -(-width // step))
    ids = np.full(shape, IGNORE, np.uint8)
    pixels: NDArray[Any] | None = None
    with closing(TiffRaster(labelled, indices=True)) as prediction:
        for rows, columns in _parts(raster.facts.size, step):
            shown = read_window(raster, rows, columns, segmenter.channels).pixels[::step, ::step]
            pixels = np.zeros((*shape, shown.shape[2]), shown.dtype) if pixels is None else pixels
            place = slice(rows.start // step, None), slice(columns.start // step, None)
            pixels[place][: shown.shape[0], : shown.shape[1]] = shown
            found = stored.decode(prediction.values(rows, columns)[::step, ::step])
            ids[place][: found.shape[0], : found.shape[1]] = found
    assert pixels is not None
    return overlay_with_legend(pixels, ids, segmenter.palette, segmenter.classes)


def _parts(size: tuple[int, int], step: int) -> Iterator[tuple[slice, slice]]:
    """Cut a raster into parts that begin at multiples of `step`."""
    high, wide = (max(1, length // step) * step for length in (TILE, 8 * TILE))
    for row in range(0, size[0], high):
        for column in range(0, size[1], wide):
            yield slice(row, min(row + high, size[0])), slice(column, min(column + wide, size[1]))
