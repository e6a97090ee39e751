"""One budget for several stages, shared out as the authors did."""

import pytest

from perpixel.recipes.fcn import FCN8S, FCN16S, FCN32S
from perpixel.recipes.stages import share_budget, with_peak_rate
from perpixel.training.recipe import SGD, Budget, Recipe, Stairs, Step


def stage(iterations: int, batch: int = 1, rate: float = 0.1) -> Recipe:
    return Recipe(
        model="fcn8s", batch_size=batch, budget=Budget(iterations=iterations), optimizer=SGD(learning_rate=rate),
        schedule=Step(every=iterations // 4),
    )  # fmt: skip


def test_iterations_are_shared_by_iterations() -> None:
    """DeconvNet: 20,000 and 40,000."""
    shared = share_budget((stage(20_000, 64), stage(40_000, 8)), Budget(iterations=300))
    assert [each.budget.iterations for each in shared] == [100, 200]


def test_time_is_shared_by_images_shown() -> None:
    shared = share_budget((stage(1000, batch=3), stage(1000, batch=1)), Budget(minutes=20))
    assert [each.budget.minutes for each in shared] == [15, 5]


def test_every_stage_gets_an_iteration() -> None:
    shared = share_budget((FCN32S, FCN16S, FCN8S), Budget(iterations=1))
    assert [each.budget.iterations for each in shared] == [1, 1, 1]


def test_stages_without_iterations_share_equally() -> None:
    stages = (stage(10), stage(10).replace(budget=Budget(epochs=3)))
    assert [each.budget.epochs for each in share_budget(stages, Budget(epochs=8))] == [4, 4]


def test_steps_fall_at_the_same_parts_of_the_budget() -> None:
    """DeepLab's 2000 of 6000 iterations is a third of whatever is given."""
    (shared,) = share_budget((stage(6000).replace(schedule=Step(every=2000)),), Budget(minutes=3))
    assert shared.schedule == Stairs(every=2000 / 6000)


def test_a_rate_is_the_highest_and_the_others_keep_their_ratio() -> None:
    """FCN's fall by a hundred a stage."""
    stages = with_peak_rate((FCN32S, FCN16S, FCN8S), 1e-3)
    assert [each.optimizer.learning_rate for each in stages] == pytest.approx([1e-3, 1e-5, 1e-7])
