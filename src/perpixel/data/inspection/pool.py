"""Map a function over items in separate processes, and outlive whatever happens to them.

A worker is a fresh interpreter that talks through its pipes. It never imports the caller's script, so a
script needs no `if __name__ == "__main__"`, and it inherits no threads and no CUDA state. A worker that dies
costs one chunk: its items are tried again one at a time, and what kills again is answered with `failed`.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from queue import Queue
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_DEATHS = 16  # with fewer answers than that, something else is wrong
ITEMS_PER_WORKER = 4096  # then a fresh interpreter takes over, so that a leaking decoder stays bounded


class WorkerDied(RuntimeError):  # noqa: N818 - a state; never leaves this module
    """The process ended without an answer."""


def count_workers(workers: int | None, items: int) -> int:
    """Return how many processes are worth starting: all cores, unless there is little to do."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(cores if workers is None else workers, items // 16))


def map_in_processes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    failed: Callable[[Item], Result],
    *,
    workers: int,
    chunk: int = 8,
) -> Iterator[tuple[int, Result]]:
    """Yield (index, result) as the results come, in no particular order.

    Args:
        function: A function of a module, found again by name in the worker.
        items: What to map; pickled on the way.
        failed: The result of an item that killed its worker twice.
        workers: Processes; 0 maps in this one.
        chunk: Items sent to a worker at a time.
    """
    if workers == 0:
        yield from ((index, function(item)) for index, item in enumerate(items))
        return
    yield from _Pool(function, items, failed, workers, chunk).results()


class _Pool(Generic[Item, Result]):
    """One thread a worker process: it hands over chunks, and puts the answers in a short queue."""

    def __init__(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        failed: Callable[[Item], Result],
        workers: int,
        chunk: int,
    ) -> None:
        self.function, self.items, self.failed = function, items, failed
        self.chunks = iter([range(i, min(i + chunk, len(items))) for i in range(0, len(items), chunk)])
        self.lock = threading.Lock()
        self.answered = self.deaths = 0
        self.answers: Queue[list[tuple[int, Result]] | BaseException | None] = Queue(maxsize=2 * workers)
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]

    def results(self) -> Iterator[tuple[int, Result]]:
        """Start the threads, and yield what they answer until all are done."""
        for thread in self.threads:
            thread.start()
        running = len(self.threads)
        try:
            while running:
                answer = self.answers.get()
                if answer is None:
                    running -= 1
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    yield from answer
        finally:
            self.stopped.set()
            while any(thread.is_alive() for thread in self.threads):
                self._drain()

    def _drain(self) -> None:
        while not self.answers.empty():
            self.answers.get_nowait()
        for thread in self.threads:
            thread.join(timeout=0.01)

    def _serve(self) -> None:
        worker = _Worker(self.function)
        try:
            while (indices := self._next_chunk()) is not None:
                self.answers.put(list(zip(indices, self._answer(worker, indices), strict=True)))
        except BaseException as error:
            self.answers.put(error)
        finally:
            worker.stop()
            self.answers.put(None)

    def _next_chunk(self) -> range | None:
        with self.lock:
            return None if self.stopped.is_set() else next(self.chunks, None)

    def _answer(self, worker: "_Worker[Item, Result]", indices: range) -> list[Result]:
        items = [self.items[index] for index in indices]
        try:
            results = worker.map(items)
        except WorkerDied:
            return [self._answer_one(worker, item) for item in items]
        self.answered += len(results)
        return results

    def _answer_one(self, worker: "_Worker[Item, Result]", item: Item) -> Result:
        try:
            return worker.map([item])[0]
        except WorkerDied:
            self._count_death()
            return self.failed(item)

    def _count_death(self) -> None:
        """Give up where processes do little but die: then the items are not to blame."""
        self.deaths += 1
        if self.deaths >= MOST_DEATHS and self.deaths > self.answered:
            raise RuntimeError(
                f"pool: expected processes to answer, {self.deaths} ended without. Use --workers 0 to see why."
            )


class _Worker(Generic[Item, Result]):
    """One interpreter, started when first needed and again whenever it is gone."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self.name = (function.__module__, function.__qualname__)
        self.process: subprocess.Popen[bytes] | None = None
        self.served = 0

    def map(self, items: list[Item]) -> list[Result]:
        """Return one result an item, or raise `WorkerDied`."""
        if self.served >= ITEMS_PER_WORKER:
            self.stop()
        try:
            answer = self._ask(items)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self.stop()
            raise WorkerDied from error
        if isinstance(answer, BaseException):
            raise answer
        self.served += len(items)
        results: list[Result] = answer
        return results

    def _ask(self, items: list[Item]) -> Any:
        process = self.process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        _send(process.stdin, items)
        return pickle.load(process.stdout)

    def _start(self) -> "subprocess.Popen[bytes]":
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self.served = 0
        self._greet(self.process)
        return self.process

    def _greet(self, process: "subprocess.Popen[bytes]") -> None:
        """Tell the process what to do, and wait until it is ready; no item is to blame if it never is."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _send(process.stdin, self.name)
            pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            code = process.wait()
            raise RuntimeError(
                f"pool: expected a Python process to start, it ended with {code}. Use --workers 0 to do without."
            ) from error

    def stop(self) -> None:
        """End the process, if there is one, and close its pipes."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            _close(pipe)
        self.process = None


def _send(pipe: Any, message: Any) -> None:
    pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _close(pipe: Any) -> None:
    with suppress(OSError):  # what was not yet sent has nobody to go to
        pipe.close()


def serve() -> None:
    """Be a worker: read chunks from standard input, write their results to what was standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints must not get between the answers
    module, name = pickle.load(sys.stdin.buffer)
    function = getattr(import_module(module), name)
    _send(answers, "ready")
    while True:
        try:
            items = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, _try(function, items))


def _try(function: Callable[[Any], Any], items: list[Any]) -> Any:
    try:
        return [function(item) for item in items]
    except Exception as error:
        return RuntimeError(f"{type(error).__name__}: {error}")
