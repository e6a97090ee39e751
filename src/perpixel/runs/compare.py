"""Measure several runs on the same images, and say what each has learned from.

    runs -> each labels the same split -> scores; masks and tags that it learned from; classes it saw no mask of
                                       -> predictions of a few images, to look at side by side

Letters: H W pixels.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.dataset import Dataset, Pair
from perpixel.errors import DataError, PerpixelError, UsageError
from perpixel.inference.options import DEFAULT, Options
from perpixel.runs.evaluate import Evaluation, evaluate
from perpixel.runs.load import load_for
from perpixel.runs.run import Run
from perpixel.training.tasks import TASKS


@dataclass(frozen=True)
class Compared:
    """One run beside others.

    Args:
        run: Its directory.
        model: Its network's name.
        masks: Training images whose masks it learned from; None where its data is gone.
        tags: Training images that taught it by their tags alone: 0 where it learns from masks alone; likewise.
        masked: Classes that those masks show, without the background.
        unmasked: The other classes, without the background.
        evaluation: On the images that all runs are measured on.
        predictions: Ids, uint8 (H, W), of the images to look at.
    """

    run: Path
    model: str
    masks: int | None
    tags: int | None
    masked: tuple[str, ...]
    unmasked: tuple[str, ...]
    evaluation: Evaluation
    predictions: tuple[NDArray[np.uint8], ...] = ()

    def mean_iou(self, classes: Sequence[str]) -> float | None:
        """Return the mean IoU of some classes; None where the images show and the run predicts none of them."""
        named = zip(self.evaluation.classes, self.evaluation.scores.iou, strict=True)
        found = [iou for name, iou in named if iou is not None and name in classes]
        return statistics.mean(found) if found else None

    def to_json(self) -> dict[str, Any]:
        """Return what was measured, and what it was learned from."""
        scores = self.evaluation.scores
        return {
            "run": str(self.run), "model": self.model, "training_masks": self.masks, "training_tags_alone": self.tags,
            "mean_iou": scores.mean_iou, "pixel_accuracy": scores.pixel_accuracy,
            "masked_mean_iou": self.mean_iou(self.masked), "unmasked_mean_iou": self.mean_iou(self.unmasked),
            "per_class": dict(zip(self.evaluation.classes, scores.iou, strict=True)),
        }  # fmt: skip


def compare(
    paths: Sequence[Path],
    dataset: Dataset,
    split: str = "val",
    options: Callable[[Path], Options] = lambda _: DEFAULT,
    device: str | None = None,
    shown: Sequence[Pair] = (),
    advance: Callable[[int, int], None] | None = None,
) -> Iterator[Compared]:
    """Measure runs one after the other.

    Args:
        paths: Their directories.
        dataset: What they are measured on.
        split: Which part of it.
        options: How a run predicts, by its directory.
        device: The best there is where None.
        shown: Images whose predictions are kept.
        advance: Called with (images done, images in all) of one run.

    Raises:
        UsageError: Classes differ, or a network cannot follow the options.
        RunError: A run cannot be read, or has no weights. None is measured before all have been loaded once.
    """
    runs = [Run.open(path) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        _require_same_classes(dataset, run, path)
        load_for(run, options(path), device).check(options(path))
    for path, run in zip(paths, runs, strict=True):
        chosen = options(path)
        segmenter = load_for(run, chosen, device)
        evaluation = evaluate(segmenter, dataset, split, chosen, 0, advance)
        pictures = [segmenter.predict_pixels(dataset.read(pair)[0], chosen).prediction for pair in shown]
        yield _described(path, run, evaluation, tuple(picture.astype(np.uint8) for picture in pictures))


def pick(dataset: Dataset, split: str, count: int) -> list[Pair]:
    """Return so many images, spread over a split; those of them that cannot be read are left out."""
    pairs = dataset.pairs(split)
    spread = [pairs[int(place)] for place in np.linspace(0, len(pairs) - 1, min(count, len(pairs)))]
    return [pair for pair in spread if _readable(dataset, pair)]


def _readable(dataset: Dataset, pair: Pair) -> bool:
    try:
        dataset.read(pair)
    except DataError:
        return False
    return True


def _require_same_classes(dataset: Dataset, run: Run, path: Path) -> None:
    if run.classes == dataset.classes:
        return
    differ = sorted({*run.classes} ^ {*dataset.classes})
    how = f"{', '.join(differ[:5])} not in both" if differ else "the order differs"
    raise UsageError(
        f"compare: expected runs of the data's own classes, got {path} ({how}). Compare runs of the same classes."
    )


def _described(path: Path, run: Run, evaluation: Evaluation, predictions: tuple[NDArray[np.uint8], ...]) -> Compared:
    from_masks = TASKS[run.record.recipe.task].from_masks
    learned = Dataset(run.dataset_spec, Path(run.record.root or run.path))
    labels = [i for i in range(learned.num_classes) if i != learned.background]
    seen = learned.mask_ids if from_masks else ()
    masks, tags = _counts(run, from_masks, run.record.recipe.task != "segmentation")
    return Compared(
        path, run.record.recipe.model, masks, tags,
        tuple(learned.classes[i] for i in labels if i in seen),
        tuple(learned.classes[i] for i in labels if i not in seen), evaluation, predictions,
    )  # fmt: skip


def _counts(run: Run, from_masks: bool, from_tags: bool) -> tuple[int | None, int | None]:
    """Return how many training images taught it by masks, and by tags alone; None where the data is gone."""
    try:
        learned = run.open_data()
        masks = len(learned.pairs("train")) if from_masks else 0
        return masks, len(learned.pictures("train")) - masks if from_tags else 0
    except PerpixelError:
        return None, None
