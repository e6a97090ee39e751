"""The result of an inspection: a proposed `dataset.yaml`, what is in the data, and what is wrong with it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from perpixel.data.inspection.problems import Problem, name_files
from perpixel.data.inspection.tagged import Labels
from perpixel.data.pairs import Pair
from perpixel.data.spec import Color, DatasetSpec
from perpixel.errors import DataError


@dataclass(frozen=True)
class ClassShare:
    """How much of the labelled pixels a class takes.

    Args:
        name: Its name.
        value: The stored value, or the colour as a list.
        pixels: Over all splits.
        share: Of the pixels that count; ignored ones are left out.
        images: That hold it.
        color: To show it in, where the data has colours.
    """

    name: str
    value: int | list[int]
    pixels: int
    share: float
    images: int
    color: Color | None = None


@dataclass(frozen=True)
class Inspection:
    """What is in a data set.

    Args:
        root: The folder that the proposal's paths start from.
        kind: The layout.
        draft: The proposed `dataset.yaml`; None where nothing can be proposed.
        problems: Everything that is wrong, gravest first.
        classes: In the order of their ids.
        ignored: Pixels that neither loss nor metric counts.
        sizes: "HxW" -> images, commonest first.
        splits: Split -> pairs that can be used; images with tags where not one has a mask.
        used: Those pairs.
        left_out: Pairs that cannot be used, as "split/name".
        notes: What was decided, in words.
        labels: How many images have masks, tags, or neither.
        unmasked: Whether not one image has a mask, and tags are all there is.
    """

    root: Path
    kind: str
    draft: DatasetSpec | None
    problems: tuple[Problem, ...]
    classes: tuple[ClassShare, ...] = ()
    ignored: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    used: tuple[Pair, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    labels: Labels = field(default_factory=lambda: Labels(0))
    unmasked: bool = False

    @property
    def pairs(self) -> int:
        """Pairs that can be used."""
        return 0 if self.unmasked else sum(self.splits.values())

    @property
    def encoding(self) -> str:
        """How the masks are stored."""
        return self.draft.encoding if self.draft else "unknown"

    @property
    def fatal(self) -> tuple[Problem, ...]:
        """Return the problems that training refuses."""
        return tuple(problem for problem in self.problems if problem.fatal)

    @cached_property
    def spec(self) -> DatasetSpec:
        """The proposed `dataset.yaml`.

        Raises:
            DataError: There are fatal problems; all of them are named.
        """
        if self.draft is None or self.fatal:
            lines = [f"{problem.kind}: {name_files(problem.files)}{problem.message}" for problem in self.fatal]
            fixes = dict.fromkeys(problem.fix for problem in self.fatal)
            listed = "\n  ".join([*lines, *fixes])
            raise DataError(
                f"inspect: expected data that can be trained on, got {len(lines)} fatal "
                f"problem{'s' * (len(lines) > 1)} in {self.root}.\n  {listed}",
                [str(problem) for problem in self.problems],
            )
        return self.draft

    def to_json(self) -> dict[str, Any]:
        """Return the contract's JSON, and a little more."""
        counted = sum(share.pixels for share in self.classes)
        return {
            "pairs": self.pairs,
            "splits": self.splits,
            "layout": self.kind,
            "encoding": self.encoding,
            "classes": [
                {"name": c.name, "value": c.value, "pixels": c.pixels, "share": c.share, "images": c.images}
                for c in self.classes
            ],
            "ignored": {"pixels": self.ignored, "share": self.ignored / max(1, counted + self.ignored)},
            "sizes": self.sizes,
            "problems": [problem.to_json() for problem in self.problems],
            "left_out": list(self.left_out),
            "notes": list(self.notes),
            "labels": self.labels.to_json(),
        }
