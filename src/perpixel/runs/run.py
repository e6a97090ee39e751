"""A run directory, and the record in it that says how to repeat the run.

    RUN/run.yaml            versions, command, seed, recipe, normalization, class weights, the data's fingerprint
        dataset.yaml        classes, colours and what each stored mask value means
        model.safetensors   the best weights so far, by the validation split
        last.ckpt           everything needed to go on
        metrics.csv         one row a validation
        events.out.*        TensorBoard
        phases/1-NAME/ …    the stages before, each a run of its own, where a recipe trains in stages

It can be moved or sent: the absolute paths in it, `data` and `root`, serve only to find the training data again.
"""

import csv
import os
import platform
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn

from perpixel import __version__
from perpixel.data.dataset import YAML_NAMES, Dataset, open_dataset
from perpixel.data.layouts import recognize
from perpixel.data.masks import MaskCoding
from perpixel.data.normalization import Normalization
from perpixel.data.palette import distinct_colors
from perpixel.data.spec import ANNOTATION_ENCODINGS, DatasetSpec
from perpixel.errors import DataError, RunError
from perpixel.models.catalog import build
from perpixel.training import files
from perpixel.training.machine import Precision
from perpixel.training.recipe import Recipe

RECORD = "run.yaml"
DATASET = "dataset.yaml"


class Record(BaseModel):
    """What `run.yaml` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    perpixel: str
    torch: str
    python: str
    command: str
    seed: int
    device: str
    precision: Precision = "auto"
    workers: int = 0
    plan: str | None = None
    data: tuple[str, ...]
    root: str | None = None
    fingerprint: str
    num_classes: int
    in_channels: int
    initial_weights: str | dict[str, str]
    previous: str | None = None
    finished: bool = False
    normalization: Normalization
    class_weights: tuple[float, ...] | None = None
    recipe: Recipe


@dataclass(frozen=True)
class Run:
    """An existing run directory.

    Attributes:
        path: The directory.
        record: What `run.yaml` says.
        dataset_spec: What `dataset.yaml` says.
    """

    path: Path
    record: Record
    dataset_spec: DatasetSpec

    @classmethod
    def open(cls, path: Path | str) -> "Run":
        """Read a run directory.

        Raises:
            RunError: The directory is missing, is not a run, or its record cannot be read.
        """
        path = Path(path)
        if not (path / RECORD).is_file():
            raise RunError(_not_a_run(path))
        try:
            record = Record.model_validate(yaml.safe_load((path / RECORD).read_text(encoding="utf-8")))
            return cls(path, record, DatasetSpec.load(path / DATASET))
        except (ValidationError, UnicodeDecodeError, yaml.YAMLError, DataError, OSError) as error:
            raise RunError(
                f"load: {path / RECORD} or {DATASET} beside it cannot be read ({_first_line(error)}). "
                f"It was written by another version, or edited; this is perpixel {__version__}."
            ) from None

    @property
    def recipe(self) -> Recipe:
        """How it was trained."""
        return self.record.recipe

    @property
    def normalization(self) -> Normalization:
        """What its network expects of pixels."""
        return self.record.normalization

    @cached_property
    def coding(self) -> MaskCoding:
        """How class ids are stored in this data set's masks."""
        return MaskCoding.from_spec(self.dataset_spec)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the ids."""
        return tuple(self.dataset_spec.classes)

    @property
    def palette(self) -> tuple[tuple[int, int, int], ...]:
        """One colour a class."""
        colors = self.dataset_spec.colors
        if colors:
            return tuple((int(r), int(g), int(b)) for r, g, b in colors)
        return tuple(distinct_colors(len(self.classes)))

    @property
    def data(self) -> tuple[Path, ...]:
        """Where the training data was."""
        return tuple(Path(path) for path in self.record.data)

    def metrics(self) -> list[dict[str, str]]:
        """Return the rows of `metrics.csv`, one a validation; none before the first."""
        try:
            with (self.path / files.METRICS).open(newline="") as file:
                return list(csv.DictReader(file))
        except OSError:
            return []

    def open_data(self, *elsewhere: Path | str) -> Dataset:
        """Open the data this run was trained on, as it was understood then, or other data of the same classes.

        Another folder without `dataset.yaml` is taken to store its masks as the run's own data does.

        Raises:
            RunError: The data is no longer where it was, or has other classes.
        """
        if not elsewhere and not all(path.exists() for path in self.data):
            raise RunError(
                f"load: the data of this run was at {', '.join(map(str, self.data))}, and is not there now. To "
                "evaluate, say where it is with --data; to resume, put it back, or correct `data` and `root` in "
                f"{self.path / RECORD}."
            )
        if not elsewhere and self.record.root is not None:
            return Dataset(self.dataset_spec, Path(self.record.root))
        paths = [Path(path) for path in elsewhere or self.data]
        foreign = bool(elsewhere) and not _describes_itself(paths)
        dataset = self._like_ours(paths) if foreign else open_dataset(*paths)
        if tuple(dataset.classes) != self.classes:
            raise RunError(
                f"evaluate: expected data with the run's classes ({', '.join(self.classes)}), got "
                f"{', '.join(dataset.classes)}. Name the same classes in its dataset.yaml."
            )
        return dataset

    def _like_ours(self, paths: list[Path]) -> Dataset:
        """Read other data in the run's own way; a folder that is in no splits is measured whole."""
        layout = recognize(*paths)
        drawn = isinstance(layout.splits, dict) and any(isinstance(v, float) for v in layout.splits.values())
        splits = ("all",) if drawn else layout.splits
        changes: dict[str, object] = {"images": layout.images, "masks": layout.masks, "splits": splits}
        if layout.encoding in ANNOTATION_ENCODINGS:
            changes["encoding"] = layout.encoding
        spec = self.dataset_spec.model_copy(update={**changes, "name": layout.root.name, "exclude": ()})
        return Dataset(spec, layout.root)


def _describes_itself(paths: list[Path]) -> bool:
    """Return whether there is a `dataset.yaml`, named or inside the folder."""
    return len(paths) == 1 and (paths[0].is_file() or any((paths[0] / name).is_file() for name in YAML_NAMES))


def build_network(record: Record) -> nn.Module:
    """Build the network that a record describes."""
    recipe = record.recipe
    network = build(
        recipe.model,
        num_classes=record.num_classes,
        in_channels=record.in_channels,
        width=recipe.width,
        **recipe.options,
    )
    tell_black(network, record.normalization)
    return network


def tell_black(network: nn.Module, normalization: Normalization) -> None:
    """Tell a network that pads images with black what a black pixel is once normalised."""
    black = getattr(network, "black", None)
    if black is not None:
        pixel = normalization.apply(np.zeros((1, 1, len(black)), np.float32))
        black.copy_(torch.from_numpy(pixel).flatten())


def write_record(path: Path, record: Record) -> None:
    """Write `run.yaml` in one step."""
    text = "# How this run was made; `perpixel train --resume` and `perpixel evaluate` read it.\n"
    text += yaml.safe_dump(_plain(record.model_dump(mode="json")), sort_keys=False, width=110)
    files.write_atomically(path / RECORD, lambda beside: _write_text(beside, text))


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    return {"perpixel": __version__, "torch": torch.__version__, "python": platform.python_version()}


def command_line() -> str:
    """Return the command as it was typed."""
    import shlex

    return shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    """Drop empty entries, which say nothing."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if inner not in ({}, None, [])}
    return value


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'all of it'}: {e['msg']}" for e in error.errors()]
        return "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    return str(error).splitlines()[0]


def _not_a_run(path: Path) -> str:
    if not path.exists():
        return f"load: there is no {path}. Give the directory that `perpixel train --out` made."
    if path.is_file():
        return f"load: expected a run directory, got the file {path}. Give the directory it is in."
    return f"load: {path} has no {RECORD}. Give the directory that `perpixel train --out` made."
