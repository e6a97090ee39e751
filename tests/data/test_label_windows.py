"""Subsets of labels, and windows around them."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perpixel.data.label_windows import draw_subset, draw_window, foreground, shown_classes, whole_image
from perpixel.data.masks import IGNORE


def test_every_non_empty_subset_is_as_likely_as_another() -> None:
    rng = np.random.default_rng(0)
    counts = Counter(draw_subset((2, 5, 7), rng) for _ in range(7000))
    assert len(counts) == 2**3 - 1
    assert min(counts.values()) > 850
    assert draw_subset((), rng) == ()


def test_the_foreground_is_the_chosen_classes_and_what_is_ignored_stays_so() -> None:
    target = np.array([[0, 1, 2], [3, 2, IGNORE]], np.uint8)
    assert foreground(target, (1, 2)).tolist() == [[0, 1, 1], [0, 1, IGNORE]]
    assert foreground(target, ()).tolist() == [[0, 0, 0], [0, 0, IGNORE]]
    assert shown_classes(target, (3, 4, 1)) == (3, 1)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_windows_are_squares_between_the_foreground_and_the_whole_image(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < 0.1
    mask[rng.integers(height), rng.integers(width)] = True
    window = draw_window(mask, 1.2, 0.5, rng)
    side, whole = window.bottom - window.top, whole_image(height, width)
    assert np.isclose(side, window.right - window.left)
    assert side <= 1.2 * 1.8 * max(height, width) + 1e-6  # a box may be stretched by 0.4 at either end
    assert window.iou(whole) > 0
