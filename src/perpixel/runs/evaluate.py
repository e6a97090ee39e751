"""Measure a trained network on a split: counts of pixels, summed over all of it.

Letters: K classes, H W pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.dataset import Dataset, Pair
from perpixel.errors import DataError
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.seams import Seams
from perpixel.inference.segmenter import Segmenter
from perpixel.metrics.boundary import Boundary
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.runs.predicting.inputs import Failure
from perpixel.training.machine import keep_freed_memory

MUCH_IGNORED = 0.2  # share of ignored pixels from which a score says little about the images
NAMED = 5  # best and worst images in the JSON


@dataclass(frozen=True)
class ImageScore:
    """How one image fared; None where nothing in it is labelled."""

    name: str
    pixel_accuracy: float | None
    ignored_share: float | None


@dataclass(frozen=True)
class Example:
    """One image with its truth and prediction, uint8 ids (H, W)."""

    score: ImageScore
    pixels: NDArray[Any]
    target: NDArray[np.uint8]
    prediction: NDArray[np.uint8]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a network on a split.

    Args:
        data: The data set's name.
        split: Which part of it.
        classes: Names in the order of the ids.
        palette: One colour a class.
        options: How it was predicted.
        confusion: Counts over the whole split.
        boundary: What was counted around the borders of the truth.
        scores: What follows from the counts.
        images: One score an image, the worst first; those without labelled pixels are left out.
        failed: Pairs that could not be measured, and why.
        best: Images to look at, best first.
        worst: Images to look at, worst first.
        seams: How neighbouring tiles agree; false where nothing was tiled.
    """

    data: str
    split: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    options: Options
    confusion: Confusion
    boundary: Boundary
    scores: Scores
    count: int
    images: tuple[ImageScore, ...]
    failed: tuple[Failure, ...]
    best: tuple[Example, ...] = ()
    worst: tuple[Example, ...] = ()
    seams: Seams = field(default_factory=Seams)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the scores must know."""
        found = []
        share = self.scores.ignored_share
        if share is not None and share > MUCH_IGNORED:
            found.append(
                f"{share:.0%} of all pixels are ignored: the scores say nothing about them. If they should count, "
                "look at `ignore` and `mask_values` in dataset.yaml"
            )
        predicted = self.confusion.counts.sum(0)
        if np.count_nonzero(predicted) == 1 and np.count_nonzero(self.confusion.counts.sum(1)) > 1:
            name = self.classes[int(predicted.argmax())]
            found.append(f"every pixel is predicted as {name}: train longer, or look at the class weights")
        if self.seams.warning:
            found.append(self.seams.warning)
        if self.failed:
            found.append(f"{len(self.failed)} of {self.count + len(self.failed)} pairs are not in the scores")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "data": self.data,
            "split": self.split,
            "images": self.count,
            **self.scores.to_json(self.classes),
            "ignored_pixels": self.confusion.ignored,
            "boundary": self.boundary.to_json(self.classes),
            "confusion": {"rows": "truth", "columns": "prediction", "counts": self.confusion.counts.tolist()},
            "options": self.options.to_json(),
            "seams": self.seams.to_json() if self.seams else None,
            "worst": [asdict(score) for score in self.images[:NAMED]],
            "best": [asdict(score) for score in self.images[::-1][:NAMED]],
            "warnings": list(self.warnings),
            "failed": [asdict(failure) for failure in self.failed],
        }


def evaluate(
    segmenter: Segmenter,
    dataset: Dataset,
    split: str = "val",
    options: Options = DEFAULT,
    examples: int = 0,
    advance: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Predict every image of a split at its own size, and count.

    Args:
        segmenter: The trained network.
        dataset: Data with the network's classes.
        split: One of the data set's.
        options: How to predict.
        examples: How many of the best and of the worst images to keep for pictures.
        advance: Told (done, total) after each image.

    Raises:
        DataError: The split is unknown or empty, or none of its pairs can be read.
        UsageError: The network cannot follow the options.
    """
    pairs = dataset.pairs(split)
    if not pairs:
        tags = f" {split} has tags alone: no IoU follows from them." if dataset.pictures(split) else ""
        raise DataError(f"evaluate: expected pairs in {split}, found none.{tags} Look with `perpixel inspect`.")
    segmenter.check(options)
    keep_freed_memory()
    segmenter.expect(len(pairs))
    seams = Seams()
    confusion, boundary, failed = Confusion(segmenter.num_classes), Boundary(segmenter.num_classes), []
    ranked: list[tuple[ImageScore, Pair]] = []
    for index, pair in enumerate(pairs):
        try:
            score, counts, near = _measure(segmenter, dataset, pair, options, seams)
            confusion, boundary = confusion + counts, boundary + near
            ranked.append((score, pair))
        except (DataError, MemoryError) as error:
            failed.append(Failure(pair.id, " ".join(str(error).split()) or type(error).__name__))
        if advance is not None:
            advance(index + 1, len(pairs))
    if not ranked:
        raise DataError(
            f"evaluate: expected a pair of {split} that can be read, found none of {len(pairs)}. "
            f"The first: {failed[0].reason}",
            [f"{failure.source}: {failure.reason}" for failure in failed],
        )
    labelled = sorted(
        (entry for entry in ranked if entry[0].pixel_accuracy is not None),
        key=lambda entry: entry[0].pixel_accuracy or 0.0,
    )
    worst, best = _choose(labelled, examples)
    return Evaluation(
        data=dataset.spec.name, split=split, classes=segmenter.classes, palette=segmenter.palette, options=options,
        confusion=confusion, boundary=boundary, scores=Scores.from_confusion(confusion), count=len(ranked),
        images=tuple(score for score, _ in labelled), failed=tuple(failed),
        best=tuple(_example(segmenter, dataset, entry, options) for entry in best),
        worst=tuple(_example(segmenter, dataset, entry, options) for entry in worst),
        seams=seams,
    )  # fmt: skip


def _measure(
    segmenter: Segmenter, dataset: Dataset, pair: Pair, options: Options, seams: Seams
) -> tuple[ImageScore, Confusion, Boundary]:
    pixels, target = dataset.read(pair)
    prediction = segmenter.ids(segmenter.read(pixels), options, seams)
    counts = Confusion(segmenter.num_classes).add(target, prediction)
    scores = Scores.from_confusion(counts)
    score = ImageScore(pair.name, scores.pixel_accuracy, scores.ignored_share)
    return score, counts, Boundary(segmenter.num_classes).add(target, prediction)


def _choose(
    ranked: Sequence[tuple[ImageScore, Pair]], count: int
) -> tuple[Sequence[tuple[ImageScore, Pair]], Sequence[tuple[ImageScore, Pair]]]:
    """Return the worst and the best, none of them twice."""
    worst = ranked[: min(count, (len(ranked) + 1) // 2)]
    best = ranked[len(worst) :][::-1][:count]
    return worst, best


def _example(segmenter: Segmenter, dataset: Dataset, entry: tuple[ImageScore, Pair], options: Options) -> Example:
    """Predict an image once more: keeping all of them would need the memory of the whole split."""
    score, pair = entry
    pixels, target = dataset.read(pair)
    return Example(score, pixels, target, segmenter.ids(segmenter.read(pixels), options))
