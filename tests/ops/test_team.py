"""Threads that work on parts."""

import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from perpixel.ops.team import Team, standing_team


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_shares_are_the_whole_without_overlap(size: int, count: int) -> None:
    with Team(size) as team:
        shares = team.share(count)
    assert [number for first, last in shares for number in range(first, last)] == list(range(count))
    assert len(shares) <= size


def test_answers_come_in_order() -> None:
    with Team(3) as team:
        assert team.run(lambda part, factor: part * factor, [(number,) for number in range(20)], 2) == list(
            range(0, 40, 2)
        )


def test_a_threads_error_reaches_the_caller() -> None:
    def fail(part: int) -> None:
        if part == 3:
            raise ValueError("three")

    with Team(2) as team, pytest.raises(ValueError, match="three"):
        team.run(fail, [(number,) for number in range(5)])


def test_nobody_waits_while_parts_are_left() -> None:
    """One thread holds the first part until all others are done, which the other thread must do alone."""
    done = threading.Semaphore(0)

    def work(part: int) -> None:
        if part > 0:
            done.release()
        else:
            for _ in range(9):
                assert done.acquire(timeout=10)

    with Team(2) as team:
        team.run(work, [(number,) for number in range(10)])


def test_an_error_leaves_the_team_fit_for_more() -> None:
    def fail(part: int) -> None:
        raise ValueError(part)

    with Team(3) as team:
        for _ in range(3):
            with pytest.raises(ValueError, match=r"\d"):
                team.run(fail, [(number,) for number in range(5)])
        assert team.run(abs, [(-1,), (-2,), (-3,)]) == [1, 2, 3]


def test_several_callers_may_share_a_team() -> None:
    with Team(2) as team, ThreadPoolExecutor(4) as callers:
        sums = callers.map(lambda offset: sum(team.run(offset.__add__, [(n,) for n in range(50)])), range(40))
        assert list(sums) == [1225 + 50 * offset for offset in range(40)]


def test_a_waiting_team_keeps_nothing_alive() -> None:
    class Large:
        pass

    with Team(2) as team:
        large = Large()
        team.run(lambda part, what: None, [(number,) for number in range(50)], large)
        alive = weakref.ref(large)
        del large
        for _ in range(100):
            if alive() is None:
                break
            time.sleep(0.01)
        assert alive() is None


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
