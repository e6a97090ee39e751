"""A prediction draws itself and speaks the data set's own values."""

import numpy as np
import pytest

from perpixel.data.masks import MaskCoding
from perpixel.errors import UsageError
from perpixel.inference.segmenter import Segmenter

PIXELS = np.eye(3, dtype=np.uint8)[np.arange(40 * 60).reshape(40, 60) % 3] * 200


def test_the_overlay_has_the_images_size_without_a_legend_and_is_taller_with_one(levels: Segmenter) -> None:
    result = levels.predict(PIXELS)
    plain, named = result.overlay(legend=False), result.overlay()
    assert plain.size == (60, 40)
    assert named.height > named.width * 40 // 60


def test_opacity_0_shows_the_image(levels: Segmenter) -> None:
    flat = np.full((30, 30, 3), (200, 10, 10), np.uint8)
    assert np.array_equal(np.asarray(levels.predict(flat).overlay(0, legend=False)), flat)


def test_original_values_are_those_of_the_masks(levels: Segmenter) -> None:
    levels.coding = MaskCoding("index", levels.classes, {10: 0, 20: 1, 300: 2})
    stored = levels.predict(PIXELS).original_values()
    assert np.array_equal(stored, np.array([10, 20, 300])[PIXELS.argmax(2)])


def test_original_values_need_a_coding(levels: Segmenter) -> None:
    with pytest.raises(UsageError, match="Load a run directory"):
        levels.predict(PIXELS).original_values()
