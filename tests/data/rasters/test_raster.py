"""Windows are pixels that a network takes, and it is known where there are none."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from perpixel.data.rasters.raster import Window, read_window
from perpixel.data.rasters.tiff import TiffRaster
from perpixel.errors import DataError
from tests.data.rasters.files import noise, write_tiff

pytest.importorskip("tifffile")

ROWS, COLUMNS = slice(0, 20), slice(0, 20)


def window(path: Path, bands: int) -> Window:
    with closing(TiffRaster(path)) as raster:
        return read_window(raster, ROWS, COLUMNS, bands)


def test_pixels_without_any_data_are_marked(tmp_path: Path) -> None:
    pixels = noise(20, 20)
    pixels[3:5] = 200
    pixels[7, 7] = (200, 200, 1)  # data in one band
    found = window(write_tiff(tmp_path / "a.tif", pixels, nodata="200"), 3)
    assert found.empty is not None
    assert np.array_equal(found.empty, (pixels == 200).all(2))
    assert np.array_equal(found.pixels, pixels)


def test_alpha_marks_what_is_empty_and_is_left_out(tmp_path: Path) -> None:
    pixels = noise(20, 20, 4)
    path = write_tiff(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    found = window(path, 3)
    assert found.empty is not None
    assert np.array_equal(found.empty, pixels[..., 3] == 0)
    assert np.array_equal(found.pixels, pixels[..., :3])
    whole = window(path, 4)
    assert whole.empty is None
    assert np.array_equal(whole.pixels, pixels)


def test_signed_values_that_are_images_become_sixteen_bits(tmp_path: Path) -> None:
    pixels = noise(20, 20, 5, np.uint8).astype(np.int16) * 100
    pixels[2, 3] = -9999
    found = window(write_tiff(tmp_path / "a.tif", pixels, nodata="-9999"), 5)
    assert found.pixels.dtype == np.uint16
    assert found.empty is not None
    assert found.empty.sum() == 1
    assert found.empty[2, 3]
    assert np.array_equal(found.pixels[~found.empty], pixels[~found.empty])


def test_values_that_no_image_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="values from 0 to 65535, got -5 to"):
        window(write_tiff(tmp_path / "a.tif", np.full((20, 20, 1), -5, np.int16)), 1)


@pytest.mark.parametrize("nodata", ["nan", "-1", "0.5", "70000", "rubbish"])
def test_a_value_that_cannot_occur_stands_for_nothing(tmp_path: Path, nodata: str) -> None:
    assert window(write_tiff(tmp_path / "a.tif", noise(20, 20), nodata=nodata), 3).empty is None
