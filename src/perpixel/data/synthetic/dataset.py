"""Many scenes: in memory, or written as a data set like any user's.

Letters: H W pixels.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from perpixel.data.masks import IGNORE
from perpixel.data.palette import save_index_png
from perpixel.data.spec import DatasetSpec
from perpixel.data.synthetic.canvas import CLASSES, Color
from perpixel.data.synthetic.scene import Pixels, Target, check_size, scene
from perpixel.errors import UsageError

COLORS: tuple[Color, ...] = (
    (120, 170, 220), (160, 100, 90), (90, 90, 110), (200, 170, 200), (70, 150, 70), (220, 60, 60),
    (250, 180, 40), (250, 240, 110),
)  # fmt: skip


@dataclass(frozen=True)
class SyntheticScenes:
    """Draw scene i whenever it is asked for; nothing is kept.

    Args:
        count: How many there are.
        image_size: (H, W), each at least 16.
        seed: Of the whole set. Scene i does not depend on `count`.
    """

    count: int
    image_size: tuple[int, int] = (128, 160)
    seed: int = 0

    def __post_init__(self) -> None:
        check_size(self.image_size)
        if self.count < 0 or self.seed < 0:
            raise UsageError(
                f"SyntheticScenes: expected a count and a seed of 0 or more, got {self.count} and {self.seed}. "
                "Give e.g. SyntheticScenes(100, (128, 160), seed=0)."
            )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Pixels, Target]:
        index = operator.index(index)
        if not -self.count <= index < self.count:
            raise IndexError(f"SyntheticScenes: expected an index below {self.count}, got {index}.")
        return scene((self.seed, index % self.count), self.image_size)

    def __iter__(self) -> Iterator[tuple[Pixels, Target]]:
        return (self[i] for i in range(self.count))


def write_scenes(
    folder: Path | str,
    counts: Mapping[str, int],
    image_size: tuple[int, int] = (128, 160),
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetSpec:
    """Write scenes as images/SPLIT, masks/SPLIT and dataset.yaml.

    Args:
        folder: Made where it is missing; files of the same names are replaced.
        counts: How many scenes each split gets, e.g. {"train": 300, "val": 60}. No scene is in two splits.
        image_size: (H, W), each at least 16.
        seed: Non-negative; the same seed, size and counts write the same pixels.
        progress: Called with (scenes written, scenes in all) after each.

    Returns: What dataset.yaml says, statistics of the split "train" included.
    Raises:
        UsageError: The size is too small, or there is nothing to write.
    """
    check_size(image_size)
    drawn = Drawn("synthetic-streets", CLASSES, COLORS, lambda index: scene((seed, index), image_size))
    return write_drawn(Path(folder), counts, drawn, progress)


@dataclass(frozen=True)
class Drawn:
    """A data set that a program draws.

    Args:
        name: What to call it.
        classes: Names, in the order of their ids.
        colors: One for each class.
        draw: From a picture's number to its pixels and class ids.
    """

    name: str
    classes: tuple[str, ...]
    colors: tuple[Color, ...]
    draw: Callable[[int], tuple[Pixels, Target]]


def write_drawn(
    folder: Path,
    counts: Mapping[str, int],
    drawn: Drawn,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str, str, Target], None] | None = None,
) -> DatasetSpec:
    """Write what a program draws as images/SPLIT, masks/SPLIT and dataset.yaml.

    Args:
        folder: Made where it is missing; files of the same names are replaced.
        counts: How many pictures each split gets.
        drawn: What is drawn.
        progress: Called with (pictures written, pictures in all) after each.
        note: Called with each picture's split, name and class ids.

    Returns: What dataset.yaml says, statistics of the split "train" included.
    Raises:
        UsageError: There is nothing to write.
    """
    total = sum(counts.values())
    if total < 1 or min(counts.values()) < 0:
        raise UsageError(
            f'write: expected at least one scene to write, got {dict(counts)}. Say e.g. {{"train": 300, "val": 60}}.'
        )
    statistics, index = _Statistics(len(drawn.classes)), 0
    for split, count in counts.items():
        for part in ("images", "masks"):
            (folder / part / split).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            pixels, target = drawn.draw(index)
            name = f"scene-{index:05d}"
            Image.fromarray(pixels).save(folder / "images" / split / f"{name}.png", compress_level=3)
            save_index_png(folder / "masks" / split / f"{name}.png", target, drawn.colors)
            if split == "train":
                statistics.add(pixels, target)
            if note is not None:
                note(split, name, target)
            index += 1
            if progress is not None:
                progress(index, total)
    spec = _describe(drawn, tuple(counts), statistics)
    spec.save(folder / "dataset.yaml")
    return spec


class _Statistics:
    """Sums over the training scenes."""

    def __init__(self, num_classes: int) -> None:
        self.pixels = 0
        self.total, self.squares = np.zeros(3), np.zeros(3)
        self.ids, self.images, self.shown = (np.zeros(num_classes, np.int64) for _ in range(3))

    def add(self, pixels: Pixels, target: Target) -> None:
        values = pixels.reshape(-1, 3).astype(np.float64)
        self.pixels += len(values)
        self.total += values.sum(0)
        self.squares += (values**2).sum(0)
        found = np.bincount(target.ravel(), minlength=IGNORE + 1)[: len(self.ids)]
        self.ids += found
        self.images += found > 0
        self.shown += np.where(found > 0, found.sum(), 0)


def _describe(drawn: Drawn, splits: tuple[str, ...], statistics: _Statistics) -> DatasetSpec:
    spec = DatasetSpec(
        name=drawn.name,
        images="images/{split}",
        masks="masks/{split}",
        splits=splits,
        classes=drawn.classes,
        colors=drawn.colors,
        ignore=(IGNORE,),
    )
    if not statistics.pixels:
        return spec
    mean = statistics.total / statistics.pixels
    std = np.sqrt(np.maximum(statistics.squares / statistics.pixels - mean**2, 0))
    return spec.model_copy(
        update={
            "mean": tuple(mean.round(3).tolist()),
            "std": tuple(std.round(3).tolist()),
            "pixel_counts": tuple(statistics.ids.tolist()),
            "image_counts": tuple(statistics.images.tolist()),
            "image_pixel_counts": tuple(statistics.shown.tolist()),
        }
    )
