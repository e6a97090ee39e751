"""Read, compute and write at the same time, with bounded memory and everything in its order.

    readers (threads)        this thread              writer (thread)
    read 3, read 4      ->   compute 2          ->    write 1           -> finished(0)
         |                                                |
         +--- holds its bytes of the budget until --------+

Reading begins in order, and only while what has been read and not yet written stays within the budget; a piece
that is larger than the whole budget goes through alone.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, Generic, TypeVar

ItemT = TypeVar("ItemT")
ReadT = TypeVar("ReadT")
ResultT = TypeVar("ResultT")
OutcomeT = TypeVar("OutcomeT")

READERS = 2
AHEAD = 16  # pieces whose reading may have been asked for
BEHIND = 4  # pieces that may wait for the writer
BUDGET = 512 * 10**6  # bytes


class Budget:
    """Bytes that pieces in flight may take together, granted in the order of the pieces.

    Args:
        limit: Bytes; a single piece may exceed it, alone.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = self.turn = 0
        self.closed = False
        self.changed = threading.Condition()

    def take(self, number: int, size: int) -> bool:
        """Wait until piece `number` may take its bytes; false where there is nothing more to wait for."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or self._may(number, size))
            if self.closed:
                return False
            self.turn, self.held = number + 1, self.held + size
            self.changed.notify_all()
            return True

    def give(self, size: int) -> None:
        """Return the bytes of a piece that is written, or failed."""
        with self.changed:
            self.held -= size
            self.changed.notify_all()

    def close(self) -> None:
        """Let everybody go who waits."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _may(self, number: int, size: int) -> bool:
        return number == self.turn and (self.held == 0 or self.held + size <= self.limit)


class Signals:
    """Ctrl-C and SIGTERM: heeded at once while a piece is computed, else before the next; a second one always."""

    def __init__(self) -> None:
        self.asked = self.inside = False
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():  # else they belong to somebody else
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous[int(number)] = signal.signal(number, self._ask)

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Raise KeyboardInterrupt in here."""
        self.inside = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self.inside = False

    def _ask(self, *_: object) -> None:
        again, self.asked = self.asked, True
        if self.inside or again:
            raise KeyboardInterrupt


class Overlap(Generic[ItemT, ReadT, ResultT, OutcomeT]):
    """The three steps of the work on one piece; none of them raises but to end all of it.

    Args:
        size: About how many bytes a piece takes from its reading to its writing. Called in the readers.
        read: Called in the readers, a thread each.
        compute: Called in the thread that calls `run`.
        write: Called in the writer, one at a time, in order.
        finished: Told each outcome in order, in the thread that calls `run`.
        readers: How many threads read.
        budget: Bytes in flight.
    """

    def __init__(
        self,
        size: Callable[[ItemT], int],
        read: Callable[[ItemT], ReadT],
        compute: Callable[[ReadT], ResultT],
        write: Callable[[ResultT], OutcomeT],
        finished: Callable[[OutcomeT], None],
        readers: int = READERS,
        budget: int = BUDGET,
    ) -> None:
        self.size, self.read, self.compute, self.write, self.finished = size, read, compute, write, finished
        self.budget, self.signals = Budget(budget), Signals()
        self.readers = ThreadPoolExecutor(readers, "read")
        self.writer = ThreadPoolExecutor(1, "write")
        self.reading: deque[Future[tuple[ReadT, int]]] = deque()
        self.writing: deque[Future[OutcomeT]] = deque()

    def run(self, items: Iterable[ItemT], *, heed_signals: bool = True) -> None:
        """Do all of it. Whatever ends it early, what was handed to the writer is written first, and told.

        Args:
            items: The pieces.
            heed_signals: Stop in good order when asked to; false where somebody else does.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM, if this is the main thread.
        """
        with self.signals if heed_signals else nullcontext():
            self._run(items)

    def _run(self, items: Iterable[ItemT]) -> None:
        try:
            for number, item in enumerate(items):
                self.reading.append(self.readers.submit(self._read, number, item))
                if len(self.reading) >= AHEAD:
                    self._step()
            while self.reading:
                self._step()
        finally:
            self._end()

    def _read(self, number: int, item: ItemT) -> tuple[ReadT, int]:
        size = self.size(item)
        if not self.budget.take(number, size):
            raise InterruptedError
        return self.read(item), size

    def _step(self) -> None:
        """Compute one piece, and tell what has been written meanwhile."""
        with self.signals.heeded():
            found, size = self.reading.popleft().result()
            result = self.compute(found)
        self.writing.append(self.writer.submit(self._write, result, size))
        while self.writing and (self.writing[0].done() or len(self.writing) > BEHIND):
            self.finished(self.writing.popleft().result())

    def _write(self, result: ResultT, size: int) -> OutcomeT:
        try:
            return self.write(result)
        finally:
            self.budget.give(size)

    def _end(self) -> None:
        self.budget.close()
        self.readers.shutdown(wait=False, cancel_futures=True)
        try:
            while self.writing:
                self.finished(self.writing.popleft().result())
        finally:
            self.writer.shutdown()
            self.readers.shutdown()
