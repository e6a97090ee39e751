"""perpixel.data.view: resampling against PIL and against whole numbers."""

from typing import Any

import numpy as np
import pytest
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


@pytest.mark.parametrize("mirrored", [(False, False), (True, True)])
def test_a_grid_displaced_everywhere_alike_only_shifts(mirrored: tuple[bool, bool]) -> None:
    pixels, target = sample()
    bend = np.stack([np.full((3, 3), 3.0), np.full((3, 3), -2.0)])
    bent, still = (View((20, 30), (40, 60), (5, 9), mirrored=mirrored, bend=bend),
                   View((20, 30), (40, 60), (8, 7), mirrored=mirrored))  # fmt: skip
    assert np.array_equal(resample_pixels(pixels, bent), resample_pixels(pixels, still))
    assert np.array_equal(resample_target(target, bent)[0], resample_target(target, still)[0])


def test_a_displaced_node_moves_its_pixel_by_as_much_and_its_neighbours_nodes_not() -> None:
    """The cubic kernel is 1 at its own node and 0 at the others."""
    _, target = sample()
    bend = np.zeros((2, 3, 3))
    bend[0, 1, 1] = 4.0
    crop, _ = resample_target(target, View((21, 31), (40, 60), (5, 9), bend=bend))
    assert crop[10, 15] == target[19, 24]
    for row, column in [(0, 0), (0, 15), (0, 30), (10, 0), (10, 30), (20, 0), (20, 15), (20, 30)]:
        assert crop[row, column] == target[5 + row, 9 + column]


def test_bent_pixels_outside_the_window_are_read_from_the_source() -> None:
    """Far displacements show the source where there is some, not the window's repeated border."""
    pixels = np.broadcast_to(np.arange(120, dtype=np.uint8)[:, None, None], (120, 90, 1))
    bend = np.random.default_rng(1).normal(0, 15, (2, 3, 3)).clip(-25, 25)
    for angle in (0.0, 30.0):
        view = View((40, 40), (120, 90), (40, 25), angle=angle, bend=bend)
        shown = resample_pixels(pixels, view)
        expected, outside = resample_target(np.ascontiguousarray(pixels[..., 0]), view)
        assert outside is None
        assert np.abs(shown[..., 0].astype(int) - expected).max() <= 1
