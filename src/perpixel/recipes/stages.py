"""Training in stages: a tuple of recipes, each begun from the weights of the one before.

    fcn8s     FCN-32s 100,000 --> FCN-16s 100,000 --> FCN-8s 100,000      the authors' iterations
    --minutes 30       10      -->       10        -->      10            shared out as they were

A budget is one wish for all stages together; so is a learning rate, which is the highest of them.
"""

from perpixel.training.recipe import Budget, Recipe, Stairs, Step

Stages = tuple[Recipe, ...]


def share_budget(stages: Stages, budget: Budget) -> Stages:
    """Return the stages with one budget shared out in the proportions of their own.

    Args:
        stages: Whose own budgets count iterations; where one does not, all get equal shares.
        budget: Iterations are shared by iterations, epochs and minutes by the images shown in them. Every stage
            gets one iteration at least.

    Falling steps (`Step`) fall at the same parts of the new budget as of the old one.
    """
    sizes = [stage_size(stage, count_images=budget.iterations is None) for stage in stages]
    shares = [size / sum(sizes) for size in sizes] if all(sizes) else [1 / len(stages)] * len(stages)
    return tuple(_with_budget(stage, _part(budget, share)) for stage, share in zip(stages, shares, strict=True))


def stage_size(stage: Recipe, count_images: bool) -> int:
    """Return a stage's own iterations, or the images shown in them; 0 where it does not count iterations."""
    images = stage.batch_size * stage.accumulate if count_images else 1
    return (stage.budget.iterations or 0) * images


def _part(budget: Budget, share: float) -> Budget:
    if budget.iterations is not None:
        return Budget(iterations=max(1, round(budget.iterations * share)))
    if budget.epochs is not None:
        return Budget(epochs=budget.epochs * share)
    return Budget(minutes=(budget.minutes or 0.0) * share)


def _with_budget(stage: Recipe, budget: Budget) -> Recipe:
    changes = {"budget": budget}
    iterations = stage.budget.iterations
    fitted = {
        name: Stairs(every=min(1.0, schedule.every / iterations), factor=schedule.factor)
        for name in ("schedule", "auxiliary_schedule")
        if isinstance(schedule := getattr(stage, name), Step) and iterations
    }
    return stage.replace(**changes, **fitted)


def with_peak_rate(stages: Stages, rate: float) -> Stages:
    """Return the stages with the highest learning rate set, and the others in proportion."""
    highest = max(stage.optimizer.learning_rate for stage in stages)
    return tuple(
        stage.replace(
            optimizer=stage.optimizer.model_copy(
                update={"learning_rate": rate * (stage.optimizer.learning_rate / highest)}
            )
        )
        for stage in stages
    )
