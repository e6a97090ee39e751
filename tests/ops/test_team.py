"""Threads that work on parts."""

import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from perpixel.ops.team import Borrowed, Crew, Team, find_parallel, standing_team


def borrowed(size: int) -> Crew:
    parallel = find_parallel()
    if parallel is None:
        pytest.skip("PyTorch has another OpenMP")
    return Borrowed(size, parallel)


either = pytest.mark.parametrize("crew", [Team, borrowed])


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_shares_are_the_whole_without_overlap(size: int, count: int) -> None:
    with Team(size) as team:
        shares = team.share(count)
    assert [number for first, last in shares for number in range(first, last)] == list(range(count))
    assert len(shares) <= size


@either
def test_answers_come_in_order(crew: Callable[[int], Crew]) -> None:
    parts = [(number,) for number in range(20)]
    assert crew(3).run(lambda part, factor: part * factor, parts, 2) == list(range(0, 40, 2))


@either
def test_a_threads_error_reaches_the_caller(crew: Callable[[int], Crew]) -> None:
    def fail(part: int) -> None:
        if part == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        crew(2).run(fail, [(number,) for number in range(5)])


@either
def test_nobody_waits_while_parts_are_left(crew: Callable[[int], Crew]) -> None:
    """One thread holds the first part until all others are done, which the other thread must do alone."""
    done = threading.Semaphore(0)

    def work(part: int) -> None:
        if part > 0:
            done.release()
        else:
            for _ in range(9):
                assert done.acquire(timeout=10)

    crew(2).run(work, [(number,) for number in range(10)])


@either
def test_an_error_leaves_the_team_fit_for_more(crew: Callable[[int], Crew]) -> None:
    def fail(part: int) -> None:
        raise ValueError(part)

    team = crew(3)
    for _ in range(3):
        with pytest.raises(ValueError, match=r"\d"):
            team.run(fail, [(number,) for number in range(5)])
    assert team.run(abs, [(-1,), (-2,), (-3,)]) == [1, 2, 3]


@either
def test_several_callers_may_share_a_team(crew: Callable[[int], Crew]) -> None:
    team = crew(2)
    with ThreadPoolExecutor(4) as callers:
        sums = callers.map(lambda offset: sum(team.run(offset.__add__, [(n,) for n in range(50)])), range(40))
        assert list(sums) == [1225 + 50 * offset for offset in range(40)]


@either
def test_a_waiting_team_keeps_nothing_alive(crew: Callable[[int], Crew]) -> None:
    class Large:
        pass

    team, large = crew(2), Large()
    team.run(lambda part, what: None, [(number,) for number in range(50)], large)
    alive = weakref.ref(large)
    del large
    for _ in range(100):
        if alive() is None:
            break
        time.sleep(0.01)
    assert alive() is None


def test_a_team_of_our_own_ends_with_its_block() -> None:
    with Team(3) as team:
        team.run(abs, [(1,), (2,), (3,)])
    assert not any(thread.is_alive() for thread in team.threads)


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="nothing lists the threads")
def test_borrowed_threads_are_those_of_pytorchs_operators() -> None:
    """A team as large as PyTorch's adds no thread to the process."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.ones(2**20).add(1)
        threads = set(os.listdir("/proc/self/task"))
        borrowed(2).run(lambda part: time.sleep(0.01), [(1,), (2,), (3,)])
        assert set(os.listdir("/proc/self/task")) == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_forked_process_has_a_standing_team_of_its_own() -> None:
    """The child answers 0 where two threads meet, which takes both to be there."""
    standing_team(2).run(abs, [(1,), (2,)])
    child = os.fork()
    if child == 0:
        meeting = threading.Barrier(2, timeout=5)
        try:
            standing_team(2).run(lambda part: meeting.wait(), [(1,), (2,)])
        except threading.BrokenBarrierError:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
