"""Pictures of heatmaps."""

import numpy as np
import pytest

from perpixel.reports.heatmap import LONGEST, colors, draw_heatmap, mixed


def test_the_photo_stays_grey_where_nothing_is_and_warms_where_something_is() -> None:
    pixels = np.full((4, 6, 3), 100, np.uint8)
    share = np.zeros((4, 6), np.float32)
    share[1, 2] = 1
    painted = mixed(pixels, share)
    assert (painted[0] == 100).all()
    red, _, blue = painted[1, 2].astype(int)
    assert red > blue > 100


def test_lightness_rises_with_the_value() -> None:
    lightness = colors(np.linspace(0, 1, 50)) @ np.array([0.299, 0.587, 0.114], np.float32)
    assert (np.diff(lightness) > 0).all()


@pytest.mark.parametrize(("size", "width"), [((30, 40), 480), ((500, 700), 700), ((1000, 3200), LONGEST)])
def test_pictures_fit_a_screen_and_hold_their_key(size: tuple[int, int], width: int) -> None:
    picture = draw_heatmap(np.zeros((*size, 3), np.uint8), np.zeros(size, np.float32), "class 1 " * 40, "a note")
    assert picture.width == width
    assert picture.height > size[0] * width / size[1] + 30


def test_very_long_photos_are_drawn_too() -> None:
    assert draw_heatmap(np.zeros((3000, 1, 3), np.uint8), np.zeros((3000, 1), np.float32), "title").height > 1000
