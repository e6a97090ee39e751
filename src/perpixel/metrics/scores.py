"""The four scores of the FCN paper, and what they leave out.

With n_ij the pixels of class i predicted as class j, and t_i = Σ_j n_ij the pixels of class i:

    pixel accuracy           Σ_i n_ii / Σ_i t_i
    mean accuracy            mean over i of   n_ii / t_i
    mean IoU                 mean over i of   n_ii / (t_i + Σ_j n_ji − n_ii)
    frequency weighted IoU   Σ_i t_i·IoU_i / Σ_i t_i

All are computed from counts summed over the whole split, never averaged over images. A class with no
pixel in truth or prediction has no IoU; one with no true pixel has no accuracy; the means leave them out.
A class that is predicted but never true has IoU 0, and counts.

Source: Long, Shelhamer, Darrell, CVPR 2015, Sec. 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.metrics.confusion import Confusion

DEFINITIONS = {
    "pixel_accuracy": "pixels predicted right / pixels labelled",
    "mean_accuracy": "mean over classes of (pixels of the class predicted right / pixels of the class)",
    "mean_iou": "mean over classes of (predicted right / (true or predicted)), counted over the whole split",
    "frequency_weighted_iou": "mean of the classes' IoU, weighted by their true pixels",
    "absent_classes": "null, and left out of the means",
    "ignored_pixels": "counted nowhere but in ignored_share",
}


@dataclass(frozen=True)
class Scores:
    """Scores of one table of counts, fractions in [0, 1]; None where nothing was there to measure.

    Args:
        pixels: True pixels of each class, t_i.
        iou: IoU of each class; None where it is neither true nor predicted.
        accuracy: Share of each class that was found; None where it is never true.
        pixel_accuracy: Share of all labelled pixels predicted right.
        mean_accuracy: Mean of `accuracy`.
        mean_iou: Mean of `iou`.
        frequency_weighted_iou: Mean of `iou` weighted by `pixels`.
        commonest_class: Id of the class with most true pixels.
        baseline_mean_iou: Mean IoU of calling every pixel the commonest class: what any network must beat.
        ignored_share: Ignored pixels / all pixels.
    """

    pixels: tuple[int, ...]
    iou: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    pixel_accuracy: float | None
    mean_accuracy: float | None
    mean_iou: float | None
    frequency_weighted_iou: float | None
    commonest_class: int | None
    baseline_mean_iou: float | None
    ignored_share: float | None

    @classmethod
    def from_confusion(cls, confusion: Confusion) -> "Scores":
        """Compute every score from one table."""
        counts = confusion.counts.astype(np.float64)
        right, true, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
        total = float(true.sum())
        iou = _ratios(right, true + predicted - right)
        accuracy = _ratios(right, true)
        weighted = sum(t * share for t, share in zip(true.tolist(), iou, strict=True) if share is not None)
        return cls(
            pixels=tuple(confusion.counts.sum(1).tolist()),
            iou=iou,
            accuracy=accuracy,
            pixel_accuracy=_ratio(float(right.sum()), total),
            mean_accuracy=_mean(accuracy),
            mean_iou=_mean(iou),
            frequency_weighted_iou=_ratio(weighted, total),
            commonest_class=int(true.argmax()) if total else None,
            baseline_mean_iou=_ratio(float(true.max()), total * np.count_nonzero(true)),
            ignored_share=_ratio(float(confusion.ignored), confusion.ignored + total),
        )

    def columns(self) -> dict[str, float | None]:
        """Return what `metrics.csv` and TensorBoard keep of a validation."""
        names = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou")
        return {name: getattr(self, name) for name in names}

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return everything as plain values; `classes` names the K classes."""
        if len(classes) != len(self.iou):
            raise ValueError(
                f"Scores.to_json: expected {len(self.iou)} class names, got {len(classes)}. Give one a class."
            )
        per_class = zip(classes, self.iou, self.accuracy, self.pixels, strict=True)
        return {
            "pixel_accuracy": self.pixel_accuracy,
            "mean_accuracy": self.mean_accuracy,
            "mean_iou": self.mean_iou,
            "frequency_weighted_iou": self.frequency_weighted_iou,
            "per_class": [dict(zip(("name", "iou", "accuracy", "pixels"), row, strict=True)) for row in per_class],
            "commonest_class": None if self.commonest_class is None else classes[self.commonest_class],
            "baseline_mean_iou": self.baseline_mean_iou,
            "ignored_share": self.ignored_share,
            "definitions": DEFINITIONS,
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _ratios(parts: NDArray[np.float64], wholes: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(_ratio(part, whole) for part, whole in zip(parts.tolist(), wholes.tolist(), strict=True))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
