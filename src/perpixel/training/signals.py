"""Stopping in good order: a first signal asks, a second one kills."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop after this iteration; the second one kills."""
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, previous[number])

    previous: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[int(number)] = signal.signal(number, ask)
    except ValueError:  # not in the main thread: signals belong to somebody else
        pass
    try:
        yield lambda: bool(asked)
    finally:
        for known, handler in previous.items():
            signal.signal(known, handler)
