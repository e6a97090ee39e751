"""perpixel.data.view: resampling against PIL and against whole numbers."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from perpixel.data.view import View, resample_pixels, resample_target


def sample() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (40, 60, 3), np.uint8), rng.integers(0, 5, (40, 60), np.uint8)


@settings(deadline=None)
@given(scaled=st.tuples(st.integers(5, 90), st.integers(5, 90)), data=st.data())
def test_scaling_and_cropping_at_once_is_scaling_and_then_cropping(scaled: tuple[int, int], data: Any) -> None:
    pixels, _ = sample()
    size = data.draw(st.tuples(st.integers(1, scaled[0]), st.integers(1, scaled[1])))
    corner = data.draw(st.tuples(st.integers(0, scaled[0] - size[0]), st.integers(0, scaled[1] - size[1])))
    whole = np.asarray(Image.fromarray(pixels).resize(scaled[::-1], Image.Resampling.BILINEAR))
    expected = whole[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]
    found = resample_pixels(pixels, View(size, scaled, corner))
    assert np.abs(found.astype(int) - expected).max() <= 3  # of 255: PIL rounds its weights


@settings(deadline=None)
@given(scaled=st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_targets_take_the_id_under_each_pixels_centre(scaled: tuple[int, int]) -> None:
    """Source position ⌊(i + ½)·H / H'⌋, in whole numbers."""
    _, target = sample()
    rows, columns = ((2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(scaled, (40, 60), strict=True))
    found, outside = resample_target(target, View(scaled, scaled, (0, 0)))
    assert outside is None
    assert np.array_equal(found, target[np.ix_(rows, columns)])


def test_a_half_turn_puts_the_last_pixel_first() -> None:
    pixels, target = sample()
    crop, _ = resample_target(target, View((40, 60), (40, 60), (0, 0), angle=180))
    assert np.array_equal(crop, target[::-1, ::-1])
    shown = resample_pixels(pixels, View((40, 60), (40, 60), (0, 0), angle=180))
    assert np.abs(shown[1:-1, 1:-1].astype(int) - pixels[::-1, ::-1][1:-1, 1:-1]).max() <= 1
