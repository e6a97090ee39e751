"""Measure which classes a trained network finds in the images of a split that has tags and no masks.

Letters: M images, L labels (the classes but the background).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perpixel.data.dataset import Dataset, Picture
from perpixel.errors import DataError
from perpixel.inference.segmenter import Segmenter
from perpixel.metrics.tags import TagScores
from perpixel.runs.predicting.inputs import Failure
from perpixel.training.tagging import Classifying, tag_vector


@dataclass(frozen=True)
class TagEvaluation:
    """Scores of a network's tags.

    Args:
        data: The data set's name.
        split: Which part of it.
        classes: All names in the order of the ids.
        labels: The names that can be tags.
        scores: Of all images and labels together, and of each label.
        count: Images measured.
        failed: Images that could not be read, and why.
    """

    data: str
    split: str
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    scores: TagScores
    count: int
    failed: tuple[Failure, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the scores must know."""
        found = [f"{self.split} has tags and no masks: there is no mean IoU, only how well tags are found"]
        if self.failed:
            found.append(f"{len(self.failed)} of {self.count + len(self.failed)} images are not in the scores")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values; what masks alone could tell is null."""
        average = dict(zip(self.labels, self.scores.average_precision, strict=True))
        return {
            "data": self.data,
            "split": self.split,
            "images": self.count,
            **dict.fromkeys(("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou")),
            "per_class": [
                {"name": name, "iou": None, "accuracy": None, "pixels": 0, "average_precision": average.get(name)}
                for name in self.classes
            ],
            "tags": self.scores.columns(),
            "warnings": list(self.warnings),
            "failed": [asdict(failure) for failure in self.failed],
        }


def has_tags_alone(dataset: Dataset, split: str) -> bool:
    """Return whether a split has no masks to measure with, and images with tags.

    Raises:
        DataError: There is no such split, or the tags cannot be used.
    """
    return not dataset.pairs(split) and bool(dataset.pictures(split))


def evaluate_tags(
    segmenter: Segmenter, dataset: Dataset, split: str = "val", advance: Callable[[int, int], None] | None = None
) -> TagEvaluation:
    """Classify every tagged image of a split.

    Args:
        segmenter: The trained network, one that has learned tags.
        dataset: Data with the network's classes.
        split: One of the data set's.
        advance: Told (done, total) after each image.

    Raises:
        DataError: The network says nothing of tags or learned another background, or no image can be read.
    """
    if not hasattr(segmenter.network, "classify"):
        raise DataError(
            f"evaluate: expected masks in {split}, found tags alone, and {type(segmenter.network).__name__} finds no "
            "tags. Draw masks of some images to measure it with."
        )
    _require_same_background(segmenter, dataset)
    pictures = dataset.pictures(split)
    probabilities, present, failed = [], [], []
    for index, picture in enumerate(pictures):
        try:
            probabilities.append(_classified(segmenter, dataset, picture))
            present.append(tag_vector(dataset, picture) > 0)
        except (DataError, MemoryError) as error:
            failed.append(Failure(picture.id, " ".join(str(error).split()) or type(error).__name__))
        if advance is not None:
            advance(index + 1, len(pictures))
    if not present:
        raise DataError(f"evaluate: expected images of {split} that can be read, found none of {len(pictures)}.")
    return TagEvaluation(
        dataset.spec.name, split, segmenter.classes, tuple(dataset.classes[i] for i in dataset.taggable),
        TagScores.of(np.stack(probabilities), np.stack(present)), len(present), tuple(failed),
    )  # fmt: skip


def _require_same_background(segmenter: Segmenter, dataset: Dataset) -> None:
    """Refuse data in which another class is no label, or none is: tags would be compared with their neighbours'."""
    learned = getattr(segmenter.network, "background", None)
    if dataset.num_classes > 1 and learned != dataset.background:
        ours, theirs = ("none" if i is None else dataset.classes[i] for i in (learned, dataset.background))
        raise DataError(
            f"evaluate: expected data whose background is {ours}, as the network learned it, got {theirs}. Correct "
            "`background` in dataset.yaml."
        )


@torch.inference_mode()
def _classified(segmenter: Segmenter, dataset: Dataset, picture: Picture) -> NDArray[np.float32]:
    """Return the probability of each label in an image, (L,), as validation computes it."""
    pixels = segmenter.read(dataset.read_pixels(picture))
    image = torch.from_numpy(segmenter.normalization.apply(pixels)).to(segmenter.device)
    logits = Classifying(segmenter.network)(image if image.ndim == 4 else image[None])
    found: NDArray[np.float32] = logits.float().sigmoid()[0].cpu().numpy()
    return found
