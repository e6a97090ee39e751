"""What is known of a raster's rows while blocks come in, until whole rows of tiles can be kept.

    blocks -> class ids -----------------+
           -> probabilities, one byte ---+-> whole rows -> compressed tiles
    reads  -> where there is no data ----+

Letters: H W pixels, K classes, h w of a block.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from perpixel.data.masks import IGNORE
from perpixel.data.rasters.writer import TILE, compress_tile, compress_tiles
from perpixel.ops.class_ids import class_ids
from perpixel.runs.predicting.disk_rows import DiskRows, Kept
from perpixel.runs.predicting.row_buffer import RowBuffer
from perpixel.runs.predicting.stored import Stored

ONE = 255  # what a probability of 1 is stored as


@dataclass
class Part:
    """Whole rows.

    Args:
        start: The first.
        ids: (h, W); 255 where there is no data.
        levels: K probabilities a pixel, where they are wanted.
    """

    start: int
    ids: NDArray[np.uint8]
    levels: Kept | None

    def tile_rows(self, stored: Stored) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield for each row of tiles how many rows are then done, and its tiles: first of ids, then of levels."""
        for row in range(0, len(self.ids), TILE):
            ids = self.ids[row : row + TILE]
            yield self.start + row + len(ids), self._tiles(self.start + row, ids, stored)

    def _tiles(self, start: int, ids: NDArray[np.uint8], stored: Stored) -> Iterator[bytes]:
        yield from compress_tiles(stored.encode(ids), stored.nodata or 0)
        if self.levels is None:
            return
        for column in range(0, ids.shape[1], TILE):
            columns = slice(column, min(column + TILE, ids.shape[1]))
            values = self.levels.read(slice(start, start + len(ids)), columns)
            values[ids[:, columns] == IGNORE] = 0
            yield compress_tile(values, 0)


class Rows:
    """A context manager, as it may open files.

    Args:
        folder: Where much may lie.
        first: The first row that is not done yet.
        width: W.
        num_classes: K, where probabilities are wanted; 0 where not.
        may_be_empty: There may be no data somewhere.
    """

    def __init__(self, folder: Path, first: int, width: int, num_classes: int, may_be_empty: bool) -> None:
        self.ids = RowBuffer(first, width, np.uint8)
        self.missing = RowBuffer(first, width, np.bool_) if may_be_empty else None
        self.opened = ExitStack()
        shape = (width, num_classes)
        self.levels = self.opened.enter_context(DiskRows(folder, first, shape)) if num_classes else None

    def __enter__(self) -> "Rows":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.opened.close()

    def note_empty(self, rows: slice, columns: slice, empty: NDArray[np.bool_] | None) -> None:
        """Remember where a window has no data."""
        if self.missing is not None:
            self.missing.put(rows, columns, False if empty is None else empty)

    def put(self, rows: slice, columns: slice, values: Float[Tensor, "K h w"]) -> None:
        """Take a block's probabilities."""
        self.ids.put(rows, columns, class_ids(values).cpu().numpy())
        if self.levels is not None:
            levels = (values * ONE).round().to(torch.uint8)
            self.levels.put(rows, columns, levels.permute(1, 2, 0).cpu().numpy())

    def take(self, stop: int) -> Part:
        """Return the rows above `stop`, with what is empty marked, and forget them."""
        start, ids = self.ids.start, self.ids.take(stop)
        if self.missing is not None:
            ids[self.missing.take(stop)] = IGNORE
        return Part(start, ids, None if self.levels is None else self.levels.take(stop))
