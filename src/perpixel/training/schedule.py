"""Learning-rate schedules, as functions of how much of the budget is spent.

A budget may be counted in iterations or in minutes; `progress` in [0, 1] is the same for both, which is
how a schedule fits itself to the time given. Caffe's `step` alone counts iterations, as its authors did.
"""

import math

from perpixel.training.recipe import Fixed, OneCycle, Poly, Schedule, Stairs, Step


def rate_factor(schedule: Schedule, progress: float, iteration: int) -> float:
    """Return what the learning rate is multiplied by, in [0, 1].

    Args:
        schedule: One of the recipe's schedules.
        progress: The part of the budget that is spent, in [0, 1].
        iteration: Weight updates so far.

    Source: Caffe, `SGDSolver::GetLearningRate` for fixed, step and poly; Smith & Topin, 2019 (1708.07120)
    for the one-cycle policy.
    """
    progress = min(max(progress, 0.0), 1.0)
    match schedule:
        case Fixed():
            return 1.0
        case Step():
            return float(schedule.factor ** (iteration // schedule.every))
        case Stairs():
            return float(schedule.factor ** math.floor(progress / schedule.every + 1e-9))
        case Poly():
            falling: float = (1.0 - progress) ** schedule.power
            return _warm(progress, schedule.warmup) * falling
        case OneCycle():
            return _one_cycle(schedule, progress)


def _warm(progress: float, warmup: float) -> float:
    return 1.0 if progress >= warmup else max(progress / warmup, 0.01)


def _one_cycle(schedule: OneCycle, progress: float) -> float:
    if progress < schedule.warmup:
        rise = 0.5 - 0.5 * math.cos(math.pi * progress / schedule.warmup)
        return schedule.start + (1.0 - schedule.start) * rise
    fall = (progress - schedule.warmup) / (1.0 - schedule.warmup)
    return 0.5 + 0.5 * math.cos(math.pi * fall)
