"""Where a GeoTIFF lies, from its tags."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from perpixel.data.georeference import Place, read_place


def write(path: Path, **tags: tuple[Any, ...]) -> Path:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, values in tags.items():
        code = int(name[1:])
        info.tagtype[code] = 3 if code == 34735 else 12
        info[code] = values
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(path, tiffinfo=info)
    return path


UTM = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632)
SCALE, TIE = (10.0, 20.0, 0.0), (0.0, 0.0, 0.0, 600000.0, 5000000.0, 0.0)


def test_a_scale_and_a_tie_point_place_a_north_up_map(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", t33550=SCALE, t33922=TIE, t34735=UTM)
    assert read_place(path) == Place((10, 0, 600000, 0, -20, 5000000), "EPSG:32632")


def test_a_tie_point_need_not_be_the_corner(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", t33550=SCALE, t33922=(2.0, 3.0, 0.0, 600020.0, 4999940.0, 0.0))
    assert read_place(path) == Place((10, 0, 600000, 0, -20, 5000000), None)


def test_coordinates_of_centres_are_moved_to_corners(tmp_path: Path) -> None:
    """GeoTIFF 1.1, GTRasterTypeGeoKey 2: RasterPixelIsPoint."""
    keys = (1, 1, 0, 2, 1025, 0, 1, 2, 2048, 0, 1, 4326)
    path = write(tmp_path / "a.tif", t33550=SCALE, t33922=TIE, t34735=keys)
    assert read_place(path) == Place((10, 0, 599995, 0, -20, 5000010), "EPSG:4326")


def test_a_matrix_may_turn_the_map(tmp_path: Path) -> None:
    matrix = (1.0, 2.0, 0.0, 3.0, 4.0, 5.0, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    assert read_place(write(tmp_path / "a.tif", t34264=matrix)) == Place((1, 2, 3, 4, 5, 6), None)


def test_a_system_of_its_own_has_no_number(tmp_path: Path) -> None:
    keys = (1, 1, 0, 1, 3072, 0, 1, 32767)
    place = read_place(write(tmp_path / "a.tif", t33550=SCALE, t33922=TIE, t34735=keys))
    assert place is not None
    assert place.crs is None


@pytest.mark.parametrize("tags", [{}, {"t33550": SCALE}, {"t33922": TIE * 2}])
def test_a_tiff_that_does_not_say_where_it_lies_has_no_place(tmp_path: Path, tags: dict[str, Any]) -> None:
    assert read_place(write(tmp_path / "a.tif", **tags)) is None


def test_what_is_no_tiff_has_no_place(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    assert read_place(tmp_path / "a.tif") is None
    assert read_place(tmp_path / "a.png") is None
