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
        stages: Whose own budgets all count iterations, or all epochs; where they do not, all get equal shares.
        budget: Iterations are shared by iterations, epochs and minutes by the images shown in them. Every stage
            gets one iteration at least.

    Falling steps (`Step`) fall at the same parts of the new budget as of the old one.
    """
    sizes = _sizes(stages, count_images=budget.iterations is None)
    return tuple(
        _with_budget(stage, _part(budget, size / sum(sizes))) for stage, size in zip(stages, sizes, strict=True)
    )


def _sizes(stages: Stages, count_images: bool) -> list[float]:
    """Return how large the stages are beside one another."""
    iterations = [stage.budget.iterations or 0 for stage in stages]
    images = [stage.batch_size * stage.accumulate for stage in stages]
    if all(iterations):
        return [count * (shown if count_images else 1) for count, shown in zip(iterations, images, strict=True)]
    epochs = [stage.budget.epochs or 0.0 for stage in stages]
    if all(epochs):
        return [count / (1 if count_images else shown) for count, shown in zip(epochs, images, strict=True)]
    return [1.0] * len(stages)


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
