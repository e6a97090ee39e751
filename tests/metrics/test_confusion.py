"""perpixel.metrics.confusion: counting, against a loop over pixels."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from perpixel.metrics.confusion import Confusion


def draw(seed: int, classes: int, size: int = 60) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, size).astype(np.uint8)
    target[rng.random(size) < 0.2] = 255
    return target, rng.integers(0, classes, size).astype(np.uint8)


def naive(target: NDArray[Any], prediction: NDArray[Any], classes: int) -> tuple[NDArray[Any], int]:
    counts, ignored = np.zeros((classes, classes), np.int64), 0
    for true, predicted in zip(target.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if 0 <= true < classes:
            counts[true, predicted] += 1
        else:
            ignored += 1
    return counts, ignored


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 150))
def test_counts_are_those_of_a_naive_loop(seed: int, classes: int) -> None:
    target, prediction = draw(seed, classes)
    confusion = Confusion(classes).add(target, prediction)
    counts, ignored = naive(target, prediction, classes)
    assert np.array_equal(confusion.counts, counts)
    assert confusion.ignored == ignored


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 60))
def test_counts_add_over_batches(seed: int, cut: int) -> None:
    target, prediction = draw(seed, 5)
    whole = Confusion(5).add(target, prediction)
    first, rest = (
        Confusion(5).add(target[:cut], prediction[:cut]),
        Confusion(5).add(target[cut:], prediction[cut:]),
    )
    assert first + rest == whole
    assert first.add(target[cut:], prediction[cut:]) == whole


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_tensors_of_any_integer_type_count_as_arrays_do(dtype: torch.dtype) -> None:
    target, prediction = draw(1, 120)
    tensors = torch.from_numpy(target).to(dtype), torch.from_numpy(prediction).long()
    assert Confusion(120).add(*tensors) == Confusion(120).add(target, prediction)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint32, np.int64])
def test_arrays_of_any_integer_type_count_alike(dtype: type) -> None:
    target, prediction = np.array([[0, 1], [2, 2]]), np.array([[0, 2], [2, 1]])
    assert Confusion(3).add(target.astype(dtype), prediction.astype(dtype)).counts.tolist() == [
        [1, 0, 0],
        [0, 0, 1],
        [0, 1, 1],
    ]


def test_an_array_and_a_tensor_can_be_compared() -> None:
    assert Confusion(2).add(np.array([0, 1]), torch.tensor([0, 1])).counts.trace() == 2


def test_negative_ids_are_ignored_in_the_truth() -> None:
    confusion = Confusion(2).add(np.array([-1, -100, 0]), np.array([0, 1, 0]))
    assert confusion.ignored == 2
    assert confusion.counts.sum() == 1


def test_predictions_matter_only_where_the_truth_is_known() -> None:
    confusion = Confusion(2).add(np.array([255, 1]), np.array([255, 1]))
    assert confusion.counts.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("stranger", [2, -1, 255])
def test_a_predicted_id_that_is_no_class_is_refused_and_nothing_is_counted(stranger: int) -> None:
    confusion = Confusion(2)
    with pytest.raises(ValueError, match=r"within 0\.\.1, got 1 pixels outside"):
        confusion.add(np.array([0, 1]), np.array([stranger, 1]))
    assert confusion == Confusion(2)


def test_a_prediction_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(3, 2\)"):
        Confusion(2).add(np.zeros((2, 3), int), np.zeros((3, 2), int))


def test_tables_of_different_classes_do_not_add() -> None:
    with pytest.raises(ValueError, match="got 2 and 3 classes"):
        Confusion(2) + Confusion(3)


def test_at_least_one_class_is_needed() -> None:
    with pytest.raises(ValueError, match="at least one class, got 0"):
        Confusion(0)


@pytest.mark.gpu
def test_a_gpu_counts_as_a_cpu_does() -> None:
    target, prediction = draw(1, 150, 10_000)
    tensors = torch.from_numpy(target).cuda(), torch.from_numpy(prediction).cuda()
    assert Confusion(150).add(*tensors) == Confusion(150).add(target, prediction)
