"""perpixel.losses.border: the values of U-Net's Eq. 2, and what counts as an object."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.losses.border import border_term, border_weights, separate


def two_columns(gap: int) -> np.ndarray:
    """Two objects, a column each, `gap` columns of background between them."""
    return np.array([[1, *[0] * gap, 2]] * 3)


@pytest.mark.parametrize(("gap", "total", "value"), [(1, 2, 9.23), (9, 10, 1.35), (19, 20, 0.003)])
def test_the_papers_weights(gap: int, total: int, value: float) -> None:
    """d1 + d2 is gap + 1 wherever one stands in the gap; with w0 = 10 and σ = 5."""
    term = border_term(two_columns(gap))
    assert gap + 1 == total
    assert term[:, 1:-1] == pytest.approx(10 * math.exp(-(total**2) / 50))
    assert term[0, 1] == pytest.approx(value, abs=5e-3)


def test_objects_themselves_gain_nothing() -> None:
    assert not border_term(two_columns(1))[:, [0, 2]].any()


def test_one_object_has_no_borders() -> None:
    """A mask of two classes in which cells touch: the trap that instances avoid."""
    assert not border_term(np.array([[1, 1, 0, 1, 1]] * 2 + [[1] * 5])).any()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(1, 20), st.floats(0.5, 8))
def test_the_term_is_the_formula_on_measured_distances(seed: int, w0: float, sigma: float) -> None:
    random = np.random.default_rng(seed)
    instances = random.integers(1, 6, (12, 14)) * (random.random((12, 14)) < 0.15)
    places = np.stack(np.mgrid[:12, :14], axis=-1)[:, :, None, :]
    each = [np.sqrt(((places - np.argwhere(instances == n)) ** 2).sum(-1)).min(-1) for n in set(instances.flat) - {0}]
    expected = np.zeros((12, 14))
    if len(each) > 1:
        nearest, second = np.sort(each, axis=0)[:2]
        expected = np.where(instances == 0, w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2)), 0)
    assert border_term(instances, w0, sigma) == pytest.approx(expected, rel=1e-5, abs=1e-10)


def test_connected_parts_of_a_class_are_the_objects_of_a_batch() -> None:
    target = torch.tensor([[[1, 0, 1], [1, 0, 1]], [[1, 0, 1], [1, 1, 1]]])
    weights = border_weights(target)
    assert weights[0, :, 1].tolist() == pytest.approx([1 + 10 * math.exp(-4 / 50)] * 2)
    assert (weights[1] == 1).all()  # one object, bent


def test_objects_of_different_classes_border_on_each_other() -> None:
    weights = border_weights(torch.tensor([[[1, 0, 2]]]))
    assert weights.flatten().tolist() == pytest.approx([1, 1 + 10 * math.exp(-4 / 50), 1])


def test_classes_are_balanced_by_addition() -> None:
    """Eq. 2: w_c is a summand; the border's part does not depend on it."""
    target = torch.tensor([[[1, 0, 1, 255]]])
    weights = border_weights(target, class_weights=torch.tensor([0.5, 3.0]))
    assert weights.flatten().tolist() == pytest.approx([3, 0.5 + 10 * math.exp(-4 / 50), 3, 0])


def test_ignored_pixels_are_no_objects_and_weigh_nothing() -> None:
    weights = border_weights(torch.tensor([[[255, 0, 1]]]))
    assert weights.tolist() == [[[0, 1, 1]]]


def test_another_class_may_lie_between_the_objects() -> None:
    weights = border_weights(torch.tensor([[[0, 1, 0]]]), background=1)
    assert weights[0, 0, 1] > 9


def test_separating_leaves_a_gap_of_one_pixel() -> None:
    touching = np.array([[1, 1, 2, 2]] * 3)
    assert separate(touching).tolist() == [[1, 0, 2, 2]] * 3
    apart = two_columns(1)
    assert np.array_equal(separate(apart), apart)


def test_separating_gives_components_that_are_the_instances() -> None:
    random = np.random.default_rng(0)
    centres = random.integers(0, 40, (12, 2))
    places = np.stack(np.mgrid[:40, :40], axis=-1)[:, :, None, :]
    cells = ((places - centres) ** 2).sum(-1).argmin(-1) + 1  # they tile the image, every one touches others
    gaps = separate(cells)
    for down, across in ((0, 1), (1, 0), (1, 1)):
        one, other = gaps[: 40 - down, : 40 - across], gaps[down:, across:]
        assert not ((one != other) & (one > 0) & (other > 0)).any()
    other, one = gaps[1:, :-1], gaps[:-1, 1:]
    assert not ((one != other) & (one > 0) & (other > 0)).any()
    assert (gaps == 0).mean() < 0.25
    assert np.array_equal(gaps[gaps > 0], cells[gaps > 0])


def test_a_sigma_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="a positive sigma, got 0"):
        border_term(two_columns(1), sigma=0)
