"""What is no single image, and is predicted piece by piece: rasters and films, one after another.

inputs -> images                                                       steps.py
       -> of each kind: where its files go -> done? -> else predict it, or go on with it
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from perpixel.errors import UsageError
from perpixel.inference.options import Options
from perpixel.inference.seams import Seams
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.predicting.inputs import Input
from perpixel.runs.predicting.places import Places
from perpixel.runs.predicting.record import without_runs
from perpixel.runs.predicting.steps import Wanted


class Progress(Protocol):
    """Is told how far something is that takes long."""

    def part(self, name: str, done: int, total: int, unit: str, size: float) -> None:
        """Take note of pieces done, and in all, a unit of which is `size`."""

    def say(self, line: str) -> None:
        """Print a line."""


class Result(Protocol):
    """What became of one."""

    seams: Seams

    def to_json(self) -> dict[str, Any]:
        """Return what is recorded of it."""


@dataclass(frozen=True)
class Order:
    """How all of them are predicted.

    Args:
        segmenter: The trained network.
        wanted: What to write.
        options: How to predict.
        made_by: What identifies the network.
        progress: Told how far one is.
    """

    segmenter: Segmenter
    wanted: Wanted
    options: Options
    made_by: Mapping[str, Any]
    progress: Progress | None

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the contents, wherever the run lies."""
        return without_runs(dict(self.made_by))

    def advance(self, name: str, unit: str, size: float) -> Callable[[int, int], None] | None:
        """Return what is to be told (done, total) of an input."""
        progress = self.progress
        return None if progress is None else lambda done, total: progress.part(name, done, total, unit, size)

    def say(self, name: str) -> Callable[[str], None] | None:
        """Return what is to be told a line about an input."""
        progress = self.progress
        return None if progress is None else lambda line: progress.say(f"{name}: {line}")


class Kind(Protocol):
    """One kind of such inputs."""

    def takes(self, path: Path) -> bool:
        """Say whether a file is of this kind."""

    def suffixes(self, wanted: Wanted) -> list[str]:
        """Return how the names of one's files end, the class ids first."""

    def is_done(self, item: Input, places: Places, wanted: Wanted) -> bool:
        """Say whether all that is wanted of one is there."""

    def predict(self, item: Input, paths: Sequence[Path], order: Order, ways: dict[str, str] | None) -> Result:
        """Predict one, or go on with it.

        Args:
            item: What it is, and what it is called.
            paths: Where its files go, in the order of `suffixes`.
            order: How.
            ways: Which way each layer is to be computed, where that was measured before.

        Raises:
            DataError: The file cannot be used.
            UsageError: What is wanted does not exist for this kind.
        """


def refuse(asked: Mapping[str, object], exists: str, instead: str) -> None:
    """Refuse what does not exist for a kind.

    Args:
        asked: Option -> whether it was given.
        exists: What may be wanted.
        instead: What to do.

    Raises:
        UsageError: Something was given.
    """
    if refused := [name for name, given in asked.items() if given]:
        raise UsageError(f"predict: expected {exists}, got {', '.join(refused)}. {instead}")
