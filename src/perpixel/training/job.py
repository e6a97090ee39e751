"""What a fit is given, what it tells, and where it stands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from perpixel.data.dataset import Dataset
from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Transform
from perpixel.metrics.scores import Scores
from perpixel.metrics.tags import TagScores
from perpixel.training.machine import Plan, Precision
from perpixel.training.recipe import Recipe
from perpixel.training.validate import Example

CPU = torch.device("cpu")


@dataclass
class State:
    """Where a run stands. Everything else follows from the recipe and the seed."""

    iteration: int = 0
    elapsed: float = 0.0
    validations: int = 0
    best: float = -1.0
    best_iteration: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """What to train, on what, and where it goes.

    `weights` are the loss's class weights, length K, or None. `normalization` turns stored pixels into
    what the network expects. `plan` is measured at the start where it is None. `transform` is a user's own, after
    the recipe's augmentation.
    """

    recipe: Recipe
    dataset: Dataset
    run: Path
    normalization: Normalization
    weights: tuple[float, ...] | None = None
    seed: int = 0
    device: torch.device = CPU
    precision: Precision = "auto"
    plan: Plan | None = None
    workers: int = 0
    transform: Transform | None = None


class Listener:
    """Told what happens; the base class ignores it all."""

    def started(self, job: Job, state: State, facts: dict[str, Any]) -> None:
        """The first step is about to be taken; `facts` say what was measured."""

    def warned(self, message: str) -> None:
        """Something is odd, and training goes on."""

    def stepped(self, state: State, loss: float, rate: float, progress: float, images: int) -> None:
        """One update was made from `images` images."""

    def validated(self, state: State, scores: Scores | TagScores, examples: list[Example], improved: bool) -> None:
        """The validation split was scored."""

    def ended(self, state: State, finished: bool) -> None:
        """The budget is spent, or the run was asked to stop."""


@dataclass(frozen=True)
class Outcome:
    """How a fit ended: `finished` is False when it was asked to stop and can be resumed."""

    state: State
    finished: bool
