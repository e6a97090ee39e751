"""Rows of a raster with many values a pixel, on the disk until whole rows of tiles can be compressed.

    blocks, put -> rows0 -+- take: what is whole is read from here, by windows, perhaps in another thread
                          +- the rest is copied to rows1, where the next blocks go

Letters: H W pixels, K values of a pixel.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray


class Kept:
    """Rows that are whole. They are there until the second `take` after this one.

    Args:
        file: Holds them, and maybe more.
        start: The first row.
        stop: After the last.
        shape: (W, K).
    """

    def __init__(self, file: BinaryIO, start: int, stop: int, shape: tuple[int, int]) -> None:
        self.file, self.start, self.stop, self.shape = file, start, stop, shape

    def windows(self, height: int, width: int) -> Iterator[tuple[int, slice, NDArray[np.uint8]]]:
        """Yield (first row, columns, values (h, w, K)) of windows, row by row of them."""
        for row in range(self.start, self.stop, height):
            for column in range(0, self.shape[0], width):
                columns = slice(column, min(column + width, self.shape[0]))
                yield row, columns, self.read(slice(row, min(row + height, self.stop)), columns)

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return a window (h, w, K)."""
        width, values = self.shape
        window = np.empty((rows.stop - rows.start, columns.stop - columns.start, values), np.uint8)
        for row, target in enumerate(window, start=rows.start - self.start):
            self.file.seek((row * width + columns.start) * values)
            self.file.readinto(memoryview(target).cast("B"))  # type: ignore[attr-defined]
        return window


class DiskRows:
    """Whole rows, from `start` on, as far down as anything was put; a context manager, as it opens files.

    Args:
        folder: Exists; `rows0` and `rows1` in it are replaced.
        start: The first row; what is put above it is left out.
        shape: (W, K).
    """

    def __init__(self, folder: Path, start: int, shape: tuple[int, int]) -> None:
        self.start, self.stop, self.shape = start, start, shape
        self.paths = [folder / f"rows{index}" for index in range(2)]
        self.opened = ExitStack()
        self.files = [self.opened.enter_context(path.open("w+b")) for path in self.paths]

    def __enter__(self) -> "DiskRows":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.opened.close()
        for path in self.paths:
            path.unlink(missing_ok=True)

    def put(self, rows: slice, columns: slice, values: NDArray[np.uint8]) -> None:
        """Put a block (h, w, K)."""
        width, count = self.shape
        for row, line in enumerate(np.ascontiguousarray(values), start=rows.start - self.start):
            if row >= 0:
                self.files[0].seek((row * width + columns.start) * count)
                self.files[0].write(memoryview(line).cast("B"))
        self.stop = max(self.stop, rows.stop)

    def take(self, stop: int) -> Kept:
        """Return the rows above `stop`; the next ones go to the other file."""
        file, other = self.files
        file.flush()
        kept, rest = Kept(file, self.start, stop, self.shape), Kept(file, self.start, self.stop, self.shape)
        other.seek(0)
        other.truncate()
        for row in range(stop, self.stop):
            other.write(rest.read(slice(row, row + 1), slice(0, self.shape[0])).data)
        self.files, self.start = [other, file], stop
        return kept
