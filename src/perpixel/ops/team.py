"""Several threads on one array, each on a part of its own.

Compiled functions let go of Python's lock, so plain threads run them side by side. There is no parallel runtime of
Numba's to start, to share with PyTorch's, or to lose in a forked process.
"""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import TracebackType
from typing import Any

Part = tuple[int, int]


class Team:
    """Threads that do one thing after another together.

    Args:
        size: How many, the caller's own counted.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.pool = ThreadPoolExecutor(size - 1) if size > 1 else None

    def __enter__(self) -> "Team":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pool is not None:
            self.pool.shutdown()

    def run(self, function: Callable[..., Any], parts: Sequence[Any], *rest: Any) -> list[Any]:
        """Call function(*part, *rest) for every part; returns the answers in order when all are done."""
        answers: list[Any] = [None] * len(parts)
        numbers = itertools.count()

        def work() -> None:
            # Each takes what no other has begun: `next` of a count is never the same for two threads.
            while (number := next(numbers)) < len(parts):
                answers[number] = function(*parts[number], *rest)

        helpers = [] if self.pool is None else [self.pool.submit(work) for _ in range(min(self.size, len(parts)) - 1)]
        work()
        for helper in helpers:
            if not helper.cancel():
                helper.result()
        return answers

    def share(self, count: int) -> list[Part]:
        """Cut 0 to `count` into as many parts as there are threads."""
        edges = [count * number // self.size for number in range(self.size + 1)]
        return [(first, last) for first, last in itertools.pairwise(edges) if last > first]


@cache
def standing_team(size: int) -> Team:
    """Return a team that stays, for work that takes less time than to start a thread."""
    return Team(size)
