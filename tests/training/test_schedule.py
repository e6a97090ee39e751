"""Learning rates, against Caffe's formulas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perpixel.training.recipe import Fixed, OneCycle, Poly, Schedule, Stairs, Step
from perpixel.training.schedule import rate_factor

SCHEDULES: list[Schedule] = [Fixed(), Step(every=100), Stairs(every=0.3), Poly(), Poly(warmup=0.1), OneCycle()]


def test_poly_is_caffes() -> None:
    """(1 − iter/max_iter)^power: halfway with power 0.9."""
    assert rate_factor(Poly(power=0.9), 0.5, 10_000) == pytest.approx(0.5**0.9)


def test_step_counts_iterations_not_progress() -> None:
    """SegNet's `step` with stepsize 1e7 is constant, whatever the budget."""
    assert rate_factor(Step(every=10_000_000), 0.9, 40_000) == 1.0
    assert rate_factor(Step(every=2000, factor=0.1), 0.2, 4000) == pytest.approx(0.01)


def test_stairs_are_steps_in_parts_of_the_budget() -> None:
    """2000 of 6000 iterations: the same rates at the same parts of any budget."""
    step, stairs = Step(every=2000), Stairs(every=2000 / 6000)
    for iteration in (0, 1999, 2000, 3999, 4000, 5999):
        assert rate_factor(stairs, iteration / 6000, 0) == pytest.approx(rate_factor(step, 0.0, iteration))


def test_one_cycle_rises_to_its_peak_and_falls_to_zero() -> None:
    schedule = OneCycle(warmup=0.25, start=0.04)
    assert rate_factor(schedule, 0.0, 0) == pytest.approx(0.04)
    assert rate_factor(schedule, 0.25, 0) == pytest.approx(1.0)
    assert rate_factor(schedule, 1.0, 0) == pytest.approx(0.0)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@given(progress=st.floats(-1, 2), iteration=st.integers(0, 10**6))
def test_a_factor_lies_between_zero_and_one(schedule: Schedule, progress: float, iteration: int) -> None:
    assert 0.0 <= rate_factor(schedule, progress, iteration) <= 1.0
