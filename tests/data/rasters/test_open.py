"""Which files are read by windows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perpixel.data.images import read_pixels
from perpixel.data.rasters import open as module
from perpixel.data.rasters.open import is_large_raster
from tests.data.rasters.files import noise, write_tiff

pytest.importorskip("tifffile")


@pytest.mark.parametrize(
    ("bands", "kind", "more", "expected"),
    [
        (3, np.uint8, {}, False),
        (3, np.uint8, {"bigtiff": True}, False),
        (1, np.uint16, {}, False),
        (4, np.uint8, {"photometric": "rgb"}, False),
        (3, np.uint8, {"bigtiff": True, "byteorder": ">"}, True),
        (5, np.uint8, {}, True),
        (2, np.uint16, {}, True),
        (4, np.uint16, {}, True),
        (1, np.int16, {"nodata": "-1"}, True),
        (3, np.uint16, {"nodata": "0"}, True),
    ],
)
def test_what_pillow_does_not_take_is_read_by_windows_whatever_its_size(
    tmp_path: Path, bands: int, kind: Any, more: dict[str, Any], expected: bool
) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(20, 30, bands, kind), **more)
    assert is_large_raster(path) == expected
    if not expected:
        assert np.array_equal(read_pixels(path, channels=bands), noise(20, 30, bands, kind))


def test_what_is_too_large_to_decode_is_read_by_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(20, 30))
    monkeypatch.setattr(module, "MAX_PIXELS", 599)
    assert is_large_raster(path)
    assert not is_large_raster(path.with_suffix(".png"))
    assert is_large_raster(Path("a.vrt"))
