"""Scores of labels."""

import numpy as np
import pytest

from perpixel.metrics.tags import TagScores, average_precision

PROBABILITIES = np.array([[0.9, 0.1], [0.6, 0.7], [0.4, 0.2]])
PRESENT = np.array([[True, False], [False, True], [True, False]])


def test_precision_recall_and_f1_count_images_and_labels_together() -> None:
    """Said: both of image 1, first of image 0; two of three are right, and one is missed."""
    scores = TagScores.of(PROBABILITIES, PRESENT)
    assert (scores.precision, scores.recall) == (2 / 3, 2 / 3)
    assert scores.f1 == pytest.approx(2 / 3)


def test_average_precision_is_the_mean_precision_at_every_image_with_the_label() -> None:
    """Ranked: right, wrong, right."""
    assert average_precision(PROBABILITIES[:, 0], PRESENT[:, 0]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(PROBABILITIES[:, 1], PRESENT[:, 1]) == 1


def test_a_label_that_no_image_has_is_left_out_of_the_mean() -> None:
    scores = TagScores.of(PROBABILITIES, PRESENT & [True, False])
    assert scores.average_precision[1] is None
    assert scores.mean_average_precision == scores.average_precision[0]


def test_the_threshold_decides_what_is_said() -> None:
    assert TagScores.of(PROBABILITIES, PRESENT, threshold=0.95).recall == 0
    assert TagScores.of(PROBABILITIES, PRESENT, threshold=0.95).precision is None


def test_truth_of_other_images_is_refused() -> None:
    with pytest.raises(ValueError, match="expected truth of"):
        TagScores.of(PROBABILITIES, PRESENT[:2])
