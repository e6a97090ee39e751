"""Threads that work on parts."""

import threading

import pytest

from perpixel.ops.team import Team


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
