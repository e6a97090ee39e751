"""Rows of a raster that are being put together from blocks, from the top down.

Letters: H W pixels.
"""

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

KindT = TypeVar("KindT", bound=np.generic)


class RowBuffer(Generic[KindT]):
    """Whole rows, from `start` on, as far down as anything was put.

    Args:
        start: The first row; what is put above it is left out.
        width: W.
        kind: A number type.
    """

    def __init__(self, start: int, width: int, kind: type[KindT]) -> None:
        self.start = start
        self.rows: NDArray[KindT] = np.zeros((0, width), kind)

    def put(self, rows: slice, columns: slice, values: Any) -> None:
        """Put a block (h, w), or one value for all of it."""
        if rows.stop - self.start > len(self.rows):
            more = np.zeros((rows.stop - self.start - len(self.rows), self.rows.shape[1]), self.rows.dtype)
            self.rows = np.concatenate([self.rows, more])
        above = max(self.start - rows.start, 0)
        part = values[above:] if isinstance(values, np.ndarray) else values
        if rows.stop > self.start:
            self.rows[rows.start + above - self.start : rows.stop - self.start, columns] = part

    def take(self, stop: int) -> NDArray[KindT]:
        """Return the rows above `stop`, and forget them."""
        count = stop - self.start
        taken, self.rows = self.rows[:count].copy(), self.rows[count:].copy()
        self.start = stop
        return taken
