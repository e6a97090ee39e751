"""Labels of a GeoTIFF lie where it lies; nothing but Pillow is needed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from perpixel.data.geotiff import lies_on_a_map, place_tags, without_data, write_labels
from perpixel.data.palette import distinct_colors, index_image
from perpixel.data.rasters.raster import Tag
from perpixel.errors import DataError
from tests.data.rasters.files import UTM, write_tiff

EVERY_TAG = (
    *UTM,
    Tag(34736, 12, 2, (6378137.0, 298.25)),
    Tag(34737, 2, 14, "of one's own|"),
    Tag(50844, 12, 92, tuple(np.arange(92.0).tolist())),
)


def write(path: Path, pixels: np.ndarray, tags: tuple[Tag, ...] = UTM, nodata: str = "", **more: Any) -> Path:
    """Write a GeoTIFF with Pillow."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for code, kind, _, value in (*tags, *([Tag(42113, 2, len(nodata) + 1, nodata)] if nodata else [])):
        info.tagtype[code] = kind
        info[code] = value
    Image.fromarray(pixels).save(path, "TIFF", tiffinfo=info, **more)
    return path


def test_every_tag_of_the_place_is_copied_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.zeros((40, 50, 3), np.uint8), EVERY_TAG)
    assert place_tags(path) == EVERY_TAG
    ids = np.arange(2000).reshape(40, 50).astype(np.uint8) % 3
    write_labels(tmp_path / "b.tif", index_image(ids, distinct_colors(3)), place_tags(path), 255)
    assert place_tags(tmp_path / "b.tif") == EVERY_TAG
    with Image.open(tmp_path / "b.tif") as image:
        assert np.array_equal(np.asarray(image), ids)
        assert image.mode == "P"
        assert image.getpalette()[:9] == np.ravel(distinct_colors(3)).tolist()
        assert image.tag_v2[42113] == "255"  # type: ignore[attr-defined]


def test_gdal_finds_the_labels_where_the_image_was(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = write(tmp_path / "a.tif", np.zeros((40, 50, 3), np.uint8), EVERY_TAG[:3])
    write_labels(tmp_path / "b.tif", Image.fromarray(np.zeros((40, 50), np.uint8)), place_tags(path), 255)
    with rasterio.open(path) as image, rasterio.open(tmp_path / "b.tif") as labels:
        assert labels.crs == image.crs == "EPSG:32633"
        assert labels.transform == image.transform
        assert labels.nodata == 255


@pytest.mark.parametrize("name", ["a.png", "b.tif", "none.tif"])
def test_what_does_not_say_where_it_lies_is_no_map(tmp_path: Path, name: str) -> None:
    if name != "none.tif":
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    assert not lies_on_a_map(tmp_path / name)
    assert lies_on_a_map(write(tmp_path / "map.tif", np.zeros((4, 4), np.uint8)))


def test_there_is_no_data_where_every_band_says_so(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 3), 9, np.uint8)
    pixels[0], pixels[1, :, 0] = 7, 7
    empty = without_data(write(tmp_path / "a.tif", pixels, nodata="7"), 3)
    assert empty is not None
    assert np.array_equal(empty, (pixels == 7).all(2))
    assert without_data(write(tmp_path / "a.tif", pixels), 3) is None
    fraction = without_data(write(tmp_path / "a.tif", pixels, nodata="-9999.5"), 3)
    assert fraction is not None
    assert not fraction.any()


def test_colours_of_sixteen_bits_cannot_be_compared_with_a_value_for_no_data(tmp_path: Path) -> None:
    """Every dark pixel would look like 0."""
    pytest.importorskip("tifffile")
    pixels = np.full((4, 4, 3), 200, np.uint16)
    assert without_data(write_tiff(tmp_path / "a.tif", pixels), 3) is None
    with pytest.raises(DataError, match="without --cluster"):
        without_data(write_tiff(tmp_path / "a.tif", pixels, nodata="0"), 3)


def test_there_is_no_data_where_alpha_is_0_unless_it_is_a_band_of_the_networks(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 4), 9, np.uint8)
    pixels[2, :, 3] = 0
    path = write(tmp_path / "a.tif", pixels)
    empty = without_data(path, 3)
    assert empty is not None
    assert np.array_equal(empty, pixels[..., 3] == 0)
    assert without_data(path, 4) is None
