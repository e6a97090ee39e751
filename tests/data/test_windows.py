"""DeconvNet's windows: square, with context, on one object."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perpixel.data.masks import IGNORE
from perpixel.data.windows import (
    Box,
    alone,
    background_id,
    draw_object,
    propose,
    tight_box,
    window_view,
)

TARGET = np.zeros((60, 80), np.uint8)
TARGET[10:30, 20:50] = 1
TARGET[40:50, 5:15] = 1
TARGET[0:5, 70:80] = 2
TARGET[55:, :] = IGNORE


def test_one_object_of_one_class_is_drawn_and_never_background() -> None:
    found = [draw_object(TARGET, 0, np.random.default_rng(seed)) for seed in range(20)]
    boxes = {(chosen, tight_box(mask)) for chosen, mask in (each for each in found if each is not None)}
    assert boxes == {(1, Box(10, 20, 30, 50)), (1, Box(40, 5, 50, 15)), (2, Box(0, 70, 5, 80))}
    assert draw_object(np.zeros((4, 4), np.uint8), 0, np.random.default_rng(0)) is None


def test_a_window_is_square_and_a_fifth_larger_than_the_object() -> None:
    """Released lists hold squares: 251², 300², 509², 579² pixels, some leaving the image."""
    assert Box(10, 20, 30, 50).square(1.2) == Box(2, 17, 38, 53)


@given(st.integers(0, 500), st.sampled_from([0.3, 0.5, 0.7]))
def test_a_proposal_overlaps_its_object_enough(seed: int, min_iou: float) -> None:
    """DeconvNet, Sec. 6.1: 0.5 intersection over union."""
    box = Box(10, 20, 30, 50)
    assert propose(box, min_iou, np.random.default_rng(seed)).iou(box) >= min_iou


def test_intersection_over_union_is_of_areas() -> None:
    assert Box(0, 0, 2, 2).iou(Box(1, 0, 3, 2)) == pytest.approx(2 / 6)
    assert Box(0, 0, 2, 2).iou(Box(5, 5, 6, 6)) == 0.0


def test_other_classes_become_background_and_the_unknown_stays_unknown() -> None:
    """Stage 1 labels the central object's class alone."""
    left = alone(TARGET, 1, 0)
    assert set(np.unique(left)) == {0, 1, IGNORE}
    assert (left == IGNORE).sum() == (TARGET == IGNORE).sum()
    assert set(np.unique(alone(TARGET, 1, None))) == {1, IGNORE}


def test_background_is_known_by_its_name() -> None:
    assert background_id(("sky", "Background", "car")) == 1
    assert background_id(("sky", "car")) is None


def test_the_window_fills_its_side_and_the_crop_lies_within() -> None:
    """250 pixels a side, crops of 224: up to 26 pixels of play."""
    corners = [
        window_view((60, 80), Box(2, 17, 38, 53), 250, (224, 224), 0.5, np.random.default_rng(seed))
        for seed in range(50)
    ]
    factor = 250 / 36
    rows = [view.corner[0] - round(2 * factor) for view in corners]
    assert min(rows) >= 0
    assert max(rows) <= 26
    assert max(rows) - min(rows) > 15
    assert {view.mirrored[1] for view in corners} == {False, True}
    assert all(view.scaled == (round(60 * factor), round(80 * factor)) for view in corners)
