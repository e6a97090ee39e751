"""The picture shows each map in colours from 0 to what is said below it."""

import math

import numpy as np
from PIL import Image

from perpixel.data.shades import ANCHORS
from perpixel.inference.uncertainty import UncertaintyMaps
from perpixel.inference.uncertainty_picture import GAP, PANEL, draw_uncertainty

PIXELS = np.full((30, 240, 3), 200, np.uint8)


def maps(entropy: float) -> UncertaintyMaps:
    ramp = np.linspace(0, entropy, 240, dtype=np.float32)[None].repeat(30, 0)
    return UncertaintyMaps(ramp, np.stack([ramp, ramp]) / 9, ramp / 3)


def test_there_is_a_panel_for_the_photo_and_each_map() -> None:
    picture = draw_uncertainty(PIXELS, maps(0.5), num_classes=2)
    assert picture.width == 4 * 240 + 3 * GAP
    assert draw_uncertainty(PIXELS, UncertaintyMaps(maps(0.5).entropy), 2).width == 2 * 240 + GAP
    assert picture.getpixel((5, 5)) == (200, 200, 200)


def test_the_entropys_scale_is_the_same_for_all_images_and_the_others_their_own() -> None:
    brightest = tuple(ANCHORS[-1].astype(int))

    def ends(picture: Image.Image) -> list[object]:
        return [picture.getpixel((panel * (240 + GAP) + 239, 5)) for panel in (1, 2, 3)]

    assert ends(draw_uncertainty(PIXELS, maps(math.log(2)), 2)) == [brightest] * 3
    half = ends(draw_uncertainty(PIXELS, maps(math.log(2) / 2), 2))
    assert half[0] == tuple(ANCHORS[3].astype(int))
    assert half[1:] == [brightest] * 2


def test_large_photos_are_shrunk_and_certain_ones_drawn() -> None:
    pixels = np.zeros((2000, 1000, 3), np.uint8)
    nothing = UncertaintyMaps(*(np.zeros(shape, np.float32) for shape in [(2000, 1000), (3, 2000, 1000), (2000, 1000)]))
    picture = draw_uncertainty(pixels, nothing, 3)
    assert picture.height == PANEL + 44
    assert picture.getpixel((picture.width - 3, 3)) == tuple(ANCHORS[0].astype(int))
