"""How much of a budget is spent, counted in updates or on the clock."""

import math
from dataclasses import dataclass

from perpixel.training.recipe import Recipe

VALIDATION_SHARE = 9.0  # where minutes are the budget, training takes this many times as long as validating


@dataclass(frozen=True)
class Spending:
    """A budget made definite: whole updates, or seconds.

    Attributes:
        iterations: Updates in all, or None where the clock decides.
        seconds: Seconds in all, where it does.
        validations: How often to validate, evenly over the budget.
    """

    iterations: int | None
    seconds: float
    validations: int

    @classmethod
    def of(cls, recipe: Recipe, images: int) -> "Spending":
        """Make a recipe's budget definite for a number of training images."""
        budget, iterations = recipe.budget, recipe.budget.iterations
        if budget.epochs is not None:
            iterations = max(1, math.ceil(budget.epochs * images / (recipe.batch_size * recipe.accumulate)))
        return cls(iterations, 60.0 * (budget.minutes or 0.0), recipe.validations)

    def progress(self, iteration: int, elapsed: float, reserve: float) -> float:
        """Return the part that is spent, in [0, 1]; `reserve` seconds are kept for the last validation."""
        if self.iterations is not None:
            return iteration / self.iterations
        return min(1.0, elapsed / max(self.seconds - reserve, 1e-3))

    def due(self, progress: float, done: int, since: float, cost: float) -> bool:
        """Return whether the next validation is due.

        Args:
            progress: The part of the budget that is spent.
            done: Validations so far.
            since: Seconds since the last one.
            cost: Seconds that it took. Counted updates do not look at it, so that runs repeat exactly.
        """
        if progress >= 1.0:
            return True
        if progress < (done + 1) / self.validations:
            return False
        return self.iterations is not None or since >= VALIDATION_SHARE * cost
