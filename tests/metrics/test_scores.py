"""perpixel.metrics.scores: the FCN paper's four, worked by hand and by a naive loop."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores


def table(counts: Any, ignored: int = 0) -> Confusion:
    confusion = Confusion(len(counts))
    confusion.counts = np.asarray(counts, np.int64)
    confusion.ignored = ignored
    return confusion


def naive(n: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """FCN, Sec. 5, with its own letters."""
    classes, total = range(len(n)), int(n.sum())
    t = [int(n[i].sum()) for i in classes]
    union = [t[i] + int(n[:, i].sum()) - int(n[i, i]) for i in classes]
    recalls = [n[i, i] / t[i] for i in classes if t[i]]
    ious = [n[i, i] / union[i] for i in classes if union[i]]
    weighted = sum(t[i] * n[i, i] / union[i] for i in classes if union[i]) / total
    return (
        sum(int(n[i, i]) for i in classes) / total,
        sum(recalls) / len(recalls),
        sum(ious) / len(ious),
        weighted,
    )


def test_three_classes_worked_by_hand() -> None:
    scores = Scores.from_confusion(table([[6, 2, 0], [1, 3, 0], [0, 0, 8]], ignored=5))
    assert scores.pixel_accuracy == pytest.approx(17 / 20)
    assert scores.accuracy == pytest.approx((6 / 8, 3 / 4, 1))
    assert scores.iou == pytest.approx((6 / 9, 3 / 6, 1))
    assert scores.mean_accuracy == pytest.approx((6 / 8 + 3 / 4 + 1) / 3)
    assert scores.mean_iou == pytest.approx((6 / 9 + 3 / 6 + 1) / 3)
    assert scores.frequency_weighted_iou == pytest.approx((8 * 6 / 9 + 4 * 3 / 6 + 8 * 1) / 20)
    assert scores.ignored_share == pytest.approx(5 / 25)
    assert scores.pixels == (8, 4, 8)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_scores_are_those_of_the_papers_formulas(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 50, (classes, classes)) * (rng.random((classes, classes)) < 0.3)
    counts[0, 0] += 1
    scores = Scores.from_confusion(table(counts))
    found = scores.pixel_accuracy, scores.mean_accuracy, scores.mean_iou, scores.frequency_weighted_iou
    assert found == pytest.approx(naive(counts))


def test_a_perfect_prediction_scores_one() -> None:
    scores = Scores.from_confusion(table(np.diag([5, 1, 9])))
    assert (scores.pixel_accuracy, scores.mean_accuracy, scores.mean_iou) == (1, 1, 1)
    assert scores.frequency_weighted_iou == 1


def test_a_class_that_is_nowhere_is_none_and_not_in_the_means() -> None:
    scores = Scores.from_confusion(table([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    assert scores.iou[2] is None
    assert scores.accuracy[2] is None
    assert scores.mean_iou == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_a_class_that_is_only_predicted_has_iou_zero_which_counts() -> None:
    scores = Scores.from_confusion(table([[3, 1], [0, 0]]))
    assert scores.iou == (0.75, 0)
    assert scores.accuracy == (0.75, None)
    assert scores.mean_iou == pytest.approx(0.375)
    assert scores.mean_accuracy == pytest.approx(0.75)


def test_nothing_labelled_scores_nothing_rather_than_one() -> None:
    """A mask whose every pixel is ignored must never look like a perfect score."""
    scores = Scores.from_confusion(table([[0, 0], [0, 0]], ignored=12))
    assert scores.mean_iou is None
    assert scores.pixel_accuracy is None
    assert scores.commonest_class is None
    assert scores.baseline_mean_iou is None
    assert scores.ignored_share == 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any))
def test_the_baseline_is_the_score_of_calling_everything_the_commonest_class(pixels: list[int]) -> None:
    scores = Scores.from_confusion(table(np.diag(pixels)))
    assert scores.commonest_class is not None
    constant = np.zeros((len(pixels), len(pixels)), np.int64)
    constant[:, scores.commonest_class] = pixels
    assert scores.baseline_mean_iou == pytest.approx(Scores.from_confusion(table(constant)).mean_iou)


def test_mean_iou_is_of_the_split_and_not_the_mean_of_images() -> None:
    """Two images: class 1 is missed in the first, where it is one pixel of many."""
    first = Confusion(2).add(np.array([0] * 9 + [1]), np.array([0] * 10))
    second = Confusion(2).add(np.array([1] * 10), np.array([1] * 10))
    assert Scores.from_confusion(first + second).mean_iou == pytest.approx((9 / 10 + 10 / 11) / 2)


def test_json_has_the_names_of_the_contract_and_null_for_what_is_absent() -> None:
    scores = Scores.from_confusion(table([[3, 1, 0], [0, 4, 0], [0, 0, 0]], ignored=2))
    document = json.loads(json.dumps(scores.to_json(["road", "car", "pole"]), allow_nan=False))
    assert document["per_class"][2] == {"name": "pole", "iou": None, "accuracy": None, "pixels": 0}
    assert document["per_class"][1] == {"name": "car", "iou": 0.8, "accuracy": 1, "pixels": 4}
    assert document["commonest_class"] == "road"
    assert document["ignored_share"] == pytest.approx(0.2)
    assert {"pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou"} <= document.keys()


def test_json_needs_a_name_for_each_class() -> None:
    with pytest.raises(ValueError, match="expected 2 class names, got 1"):
        Scores.from_confusion(table(np.eye(2))).to_json(["road"])
