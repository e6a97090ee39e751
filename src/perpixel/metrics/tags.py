"""How well an image's labels are told.

    precision                labels said rightly / labels said            of all images and labels together
    recall                   labels said rightly / labels there are
    F1                       their harmonic mean, 2 · right / (said + there)
    average precision        of one label: images in the order of its probability, the highest first; the mean, over
                             the images that have the label, of the share of such images down to there
    mean average precision   mean over the labels that some image has

Source: Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010, Sec. 4.2, for ranking by label; the
    mean over every image with the label is the form without interpolation.
Letters: M images, L labels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]


@dataclass(frozen=True)
class TagScores:
    """Scores of labels, fractions in [0, 1]; None where nothing was there to measure.

    Args:
        precision: Of what was said.
        recall: Of what is there.
        f1: Of both.
        average_precision: Of each label; None where no image has it.
        mean_average_precision: Their mean.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: tuple[float | None, ...]
    mean_average_precision: float | None

    @classmethod
    def of(cls, probabilities: Matrix, present: NDArray[np.bool_], threshold: float = 0.5) -> "TagScores":
        """Score labels.

        Args:
            probabilities: (M, L), in [0, 1].
            present: (M, L), which labels each image has.
            threshold: Above which a label is said.

        Raises:
            ValueError: The two differ in shape.
        """
        if probabilities.shape != present.shape:
            raise ValueError(
                f"TagScores.of: expected truth of {probabilities.shape}, got {present.shape}. Give a row an image."
            )
        said = probabilities > threshold
        right, there = int((said & present).sum()), int(present.sum())
        average = tuple(average_precision(*columns) for columns in zip(probabilities.T, present.T, strict=True))
        known = [value for value in average if value is not None]
        return cls(
            precision=_ratio(right, int(said.sum())),
            recall=_ratio(right, there),
            f1=_ratio(2 * right, int(said.sum()) + there),
            average_precision=average,
            mean_average_precision=sum(known) / len(known) if known else None,
        )

    def columns(self) -> dict[str, float | None]:
        """Return what `metrics.csv` and TensorBoard keep of a validation."""
        names = ("precision", "recall", "f1", "mean_average_precision")
        return {name: getattr(self, name) for name in names}


def average_precision(probabilities: NDArray[np.floating], present: NDArray[np.bool_]) -> float | None:
    """Return a label's average precision over images, (M,) both; None where no image has it."""
    if not present.any():
        return None
    ranked = present[np.argsort(-probabilities, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean())


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
