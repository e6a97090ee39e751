"""Anything that people call an image becomes the pixels a network knows."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.errors import DataError, UsageError
from perpixel.inference.pixels import as_pixels

COLOR = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_an_array_of_the_right_kind_stays_as_it_is() -> None:
    assert as_pixels(COLOR, 3) is COLOR


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_of_photo_fits_grey_and_colour_networks(mode: str, channels: int) -> None:
    image = (
        Image.fromarray(COLOR[:, :, 0].astype(np.uint16) * 257)
        if mode == "I;16"
        else Image.fromarray(COLOR).convert("RGBA" if mode == "LA" else "RGB").convert(mode)
    )
    pixels = as_pixels(image, channels)
    assert pixels.shape == (5, 7, channels)
    assert pixels.dtype == np.uint8


def test_a_grey_photo_is_repeated() -> None:
    pixels = as_pixels(COLOR[:, :, 0], 3)
    assert all(np.array_equal(pixels[:, :, c], COLOR[:, :, 0]) for c in range(3))


def test_transparency_is_left_out() -> None:
    assert np.array_equal(as_pixels(np.dstack([COLOR, COLOR[:, :, 0]]), 3), COLOR)


def test_sixteen_bits_become_eight_white_to_white() -> None:
    wide = np.array([[0, 257, 65535]], np.uint16)
    assert as_pixels(wide, 1)[0, :, 0].tolist() == [0, 1, 255]
    assert np.array_equal(as_pixels(COLOR, 3, bits=16), COLOR.astype(np.uint16) * 257)


def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    image = Image.fromarray(COLOR)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    from_path = as_pixels(tmp_path / "turned.png", 3)
    from_image = as_pixels(Image.open(tmp_path / "turned.png"), 3)
    assert from_path.shape == (7, 5, 3)
    assert np.array_equal(from_path, from_image)


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (COLOR / 255, r"astype\(np.uint8\)"),
        (COLOR.transpose(2, 0, 1), r"transpose\(1, 2, 0\)"),
        (COLOR[None], "one image at a time"),
        (COLOR[:0], "none of them 0"),
        ([1, 2], "a path, a PIL image or an array"),
    ],
)
def test_what_is_no_image_is_refused_with_advice(wrong: object, advice: str) -> None:
    with pytest.raises(UsageError, match=advice):
        as_pixels(wrong, 3)  # type: ignore[arg-type]


def test_channels_without_a_way_to_the_networks_are_refused() -> None:
    with pytest.raises(DataError, match="expected 3 channels, got 5"):
        as_pixels(np.zeros((6, 6, 5), np.uint8), 3)
