"""Threads that work on parts."""

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
