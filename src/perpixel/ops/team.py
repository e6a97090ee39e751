"""Several threads on one array, each on a part of its own.

Compiled functions let go of Python's lock, so plain threads run them side by side. There is no parallel runtime of
Numba's to start, to share with PyTorch's, or to lose in a forked process.
"""

import itertools
import os
from collections.abc import Callable, Sequence
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Any

Part = tuple[int, int]
Errors = SimpleQueue[BaseException | None]
Job = tuple[Lock, Callable[[], None], Errors]


class Team:
    """Threads that do one thing after another together.

    They wait at a plain queue: one of Python's pools takes twice as long to wake them.

    Args:
        size: How many, the caller's own counted.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.threads = [Thread(target=_serve, args=(self.jobs,), daemon=True) for _ in range(size - 1)]
        for thread in self.threads:
            thread.start()

    def __enter__(self) -> "Team":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in self.threads:
            self.jobs.put(None)
        for thread in self.threads:
            thread.join()

    def run(self, function: Callable[..., Any], parts: Sequence[Any], *rest: Any) -> list[Any]:
        """Call function(*part, *rest) for every part; returns the answers in order when all are done."""
        answers: list[Any] = [None] * len(parts)
        numbers = itertools.count()

        def work() -> None:
            # Each takes what no other has begun: `next` of a count is never the same for two threads.
            while (number := next(numbers)) < len(parts):
                answers[number] = function(*parts[number], *rest)

        errors: Errors = SimpleQueue()
        begun = [Lock() for _ in range(min(self.size, len(parts)) - 1)]
        for lock in begun:
            self.jobs.put((lock, work, errors))
        try:
            work()
        finally:
            # Who has not begun by now, finds the lock taken and leaves it.
            found = [errors.get() for lock in begun if not lock.acquire(blocking=False)]
        for error in found:
            if error is not None:
                raise error
        return answers

    def share(self, count: int) -> list[Part]:
        """Cut 0 to `count` into as many parts as there are threads."""
        edges = [count * number // self.size for number in range(self.size + 1)]
        return [(first, last) for first, last in itertools.pairwise(edges) if last > first]


@cache
def standing_team(size: int) -> Team:
    """Return a team that stays, for work that takes less time than to start a thread."""
    return Team(size)


if hasattr(os, "register_at_fork"):  # threads do not come along: the child makes a team of its own
    os.register_at_fork(after_in_child=standing_team.cache_clear)


def _serve(jobs: SimpleQueue[Job | None]) -> None:
    """Do jobs until there is None."""
    while _do(jobs.get()):
        pass


def _do(job: Job | None) -> bool:
    """Do a job, if there is one; nothing of it is remembered while waiting for the next."""
    if job is None:
        return False
    lock, work, errors = job
    if lock.acquire(blocking=False):
        try:
            work()
        except BaseException as error:
            errors.put(error)
        else:
            errors.put(None)
    return True
