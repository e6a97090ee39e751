"""Read the next window of a raster while the network is busy with this one."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Ahead:
    """Reads the next window while the network is busy with this one.

    Args:
        read: Returns what a window holds.
        windows: In the order in which they will be asked for; others are read when asked for.
        reader: One thread.
    """

    def __init__(
        self, read: Callable[[slice, slice], Any], windows: Iterator[tuple[slice, slice]], reader: ThreadPoolExecutor
    ) -> None:
        self.read, self.windows, self.reader = read, windows, reader
        self._advance()

    def __call__(self, rows: slice, columns: slice) -> Any:
        """Return what a window holds."""
        if self.next != (rows, columns):
            return self.reader.submit(self.read, rows, columns).result()
        found = self.future.result()
        self._advance()
        return found

    def _advance(self) -> None:
        self.next = next(self.windows, None)
        if self.next is not None:
            self.future = self.reader.submit(self.read, *self.next)
