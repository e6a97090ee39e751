"""Several threads on one array, each on a part of its own.

    standing_team(n)   the threads of PyTorch's OpenMP: between its own operators they have nothing to do
    Team(n)            threads of our own, for the length of a `with`, or where there is no such OpenMP

Compiled functions let go of Python's lock, so that any threads may run them side by side. But two sets of threads on
the same cores get into each other's way: OpenMP's spin for a while after each operator, and who is woken meanwhile may
wait for a core until the scheduler's next tick, four milliseconds. Numba's parallel runtime would be one more set.
"""

import ctypes
import itertools
import os
from collections.abc import Callable, Sequence
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Any

import torch  # noqa: F401 - brings the OpenMP whose threads are borrowed

Part = tuple[int, int]
Work = Callable[[], None]
Errors = SimpleQueue[BaseException | None]
Job = tuple[Lock, Work, Errors]
REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
PROCESS = os.getpid()


class Crew:
    """Threads that do one thing after another together.

    Args:
        size: How many, the caller's own counted.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, function: Callable[..., Any], parts: Sequence[Any], *rest: Any) -> list[Any]:
        """Call function(*part, *rest) for every part; returns the answers in order when all are done."""
        answers: list[Any] = [None] * len(parts)
        numbers = itertools.count()

        def work() -> None:
            # Each takes what no other has begun: `next` of a count is never the same for two threads.
            while (number := next(numbers)) < len(parts):
                answers[number] = function(*parts[number], *rest)

        threads = min(self.size, len(parts))
        if threads > 1:
            self._all(work, threads)
        else:
            work()
        return answers

    def share(self, count: int) -> list[Part]:
        """Cut 0 to `count` into as many parts as there are threads."""
        edges = [count * number // self.size for number in range(self.size + 1)]
        return [part for part in itertools.pairwise(edges) if part[0] < part[1]]

    def _all(self, work: Work, threads: int) -> None:
        """Do the work in this thread and in others at once; an error in any of them is raised here."""
        raise NotImplementedError


class Team(Crew):
    """Threads of our own.

    They wait at a plain queue: one of Python's pools takes twice as long to wake them.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
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

    def _all(self, work: Work, threads: int) -> None:
        errors: Errors = SimpleQueue()
        begun = [Lock() for _ in range(threads - 1)]
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


class Borrowed(Crew):
    """The threads of an OpenMP that is in the process already.

    Within the work every operator of PyTorch has one thread, as OpenMP's regions do not nest.

    Args:
        size: How many, the caller's own counted.
        parallel: `GOMP_parallel`: calls a function in so many threads, and returns when all are done.
    """

    def __init__(self, size: int, parallel: Callable[..., Any]) -> None:
        super().__init__(size)
        self.parallel = parallel

    def _all(self, work: Work, threads: int) -> None:
        errors: list[BaseException] = []

        def region(_: Any) -> None:
            try:
                work()
            except BaseException as error:  # nothing may be raised through OpenMP
                errors.append(error)

        self.parallel(REGION(region), None, threads, 0)
        if errors:
            raise errors[0]


@cache
def standing_team(size: int) -> Crew:
    """Return a team that stays, for work that takes less time than to start a thread."""
    parallel = find_parallel()
    return Team(size) if parallel is None else Borrowed(size, parallel)


if hasattr(os, "register_at_fork"):  # threads do not come along: the child makes a team of its own
    os.register_at_fork(after_in_child=standing_team.cache_clear)


def find_parallel() -> Callable[..., Any] | None:
    """Return `GOMP_parallel`, which GCC's OpenMP has, and LLVM's on Linux.

    Returns: None where it is not there, and in a forked process, where GCC's OpenMP would wait for its lost threads.
    """
    if os.getpid() != PROCESS:
        return None
    try:
        parallel: Any = ctypes.CDLL(None).GOMP_parallel
    except (AttributeError, OSError, TypeError):  # not there; CDLL(None) is an error on Windows
        return None
    parallel.argtypes, parallel.restype = [REGION, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint], None
    found: Callable[..., Any] = parallel
    return found


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
