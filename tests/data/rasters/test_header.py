"""What is read of a TIFF's directory without any library."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.rasters.header import read_header
from tests.data.rasters.files import UTM, noise, write_tiff


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bands", [1, 2, 3, 6])
def test_the_header_of_every_kind_of_tiff_is_read(tmp_path: Path, order: str, big: bool, bands: int) -> None:
    pytest.importorskip("tifffile")
    path = write_tiff(tmp_path / "a.tif", noise(30, 20, bands, np.uint16), byteorder=order, bigtiff=big, place=UTM)
    header = read_header(path)
    assert header is not None
    assert (header.size, header.bands, header.bits, header.is_big) == ((30, 20), bands, 16, big)
    assert {33550, 33922, 34735} < header.codes
    assert header.lies_on_a_map


def test_an_image_that_is_stored_turned_or_says_nothing_lies_on_no_map(tmp_path: Path) -> None:
    image = Image.fromarray(noise(4, 6))
    image.save(tmp_path / "a.tif")
    image.save(tmp_path / "b.tif", tiffinfo={274: 6, 33550: (1.0, 1.0, 0.0)})
    plain, turned = read_header(tmp_path / "a.tif"), read_header(tmp_path / "b.tif")
    assert plain is not None
    assert turned is not None
    assert not plain.lies_on_a_map
    assert (turned.orientation, turned.lies_on_a_map) == (6, False)


@pytest.mark.parametrize("data", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"\x89PNG", b"II*\0\x08\0\0\0\xff\xff"])
def test_what_is_no_tiff_has_no_header(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(data)
    assert read_header(tmp_path / "a.tif") is None
