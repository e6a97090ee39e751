"""A window of a TIFF is that part of the image, however the file stores it."""

import contextlib
import itertools
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from perpixel.data.rasters import tiff as module
from perpixel.data.rasters.tiff import TiffRaster
from perpixel.errors import DataError
from tests.data.rasters.files import UTM, noise, write_tiff

pytest.importorskip("tifffile")

LAYOUTS = [
    {"compression": compression, "predictor": predictor, "tile": tile, "rowsperstrip": None if tile else 7}
    for compression, predictor, tile in itertools.product((None, "deflate"), (False, True), (None, (32, 48)))
    if compression or not predictor
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rasters")


@given(
    st.sampled_from(LAYOUTS), st.sampled_from([1, 3, 5]), st.sampled_from([np.uint8, np.uint16, np.int16]),
    st.sampled_from(["contig", "separate"]), st.booleans(), st.sampled_from("<>"), st.data(),
)  # fmt: skip
@settings(max_examples=80)
def test_a_window_is_that_part_of_the_image(
    folder: Path, layout: dict[str, Any], bands: int, kind: Any, planes: str, big: bool, order: str, data: st.DataObject
) -> None:
    height, width = data.draw(st.integers(1, 80)), data.draw(st.integers(1, 100))
    pixels = noise(height, width, bands, kind)
    more = layout | ({"planarconfig": planes} if bands > 1 else {})
    path = write_tiff(folder / "a.tif", pixels, bigtiff=big, byteorder=order, **more)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows = slice(top, data.draw(st.integers(top + 1, height)))
    columns = slice(left, data.draw(st.integers(left + 1, width)))
    with closing(TiffRaster(path)) as raster:
        assert (raster.facts.size, raster.facts.bands, raster.facts.dtype) == ((height, width), bands, kind)
        found = raster.values(rows, columns)
    assert found.dtype == kind
    assert np.array_equal(found, pixels[rows, columns])


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits", "tiff_adobe_deflate", "raw"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "I;16"])
def test_what_pillow_reads_is_read_alike(tmp_path: Path, mode: str, compression: str) -> None:
    if compression == "jpeg" and mode in ("P", "RGBA", "I;16"):
        pytest.skip("Pillow does not write it")
    picture = Image.fromarray(noise(70, 90, 4)).convert("RGBA" if mode == "RGBA" else "RGB")
    if mode == "I;16":
        picture = Image.fromarray(noise(70, 90, 1, np.uint16)[..., 0])
    path = tmp_path / "a.tif"
    picture.convert(mode).save(path, compression=None if compression == "raw" else compression)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB") if mode == "P" else image)
    with closing(TiffRaster(path)) as raster:
        found = raster.values(slice(3, 61), slice(10, 77))
        assert raster.facts.alpha == (3 if mode == "RGBA" else None)
    assert np.array_equal(found, expected[3:61, 10:77].reshape(58, 67, -1))


def test_only_tiles_that_a_window_touches_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(128, 128), tile=(32, 32), compression="deflate")
    decoded: list[int] = []
    decode = TiffRaster._decode
    monkeypatch.setattr(TiffRaster, "_decode", lambda self, i, s: decoded.append(i) or decode(self, i, s))
    with closing(TiffRaster(path)) as raster:
        raster.values(slice(40, 50), slice(60, 70))
        assert decoded == [5, 6]
        raster.values(slice(40, 50), slice(90, 100))
        assert decoded == [5, 6, 7]  # 6 was kept


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_BYTES", 3 * 32 * 32 * 3)
    path = write_tiff(tmp_path / "a.tif", noise(128, 128), tile=(32, 32), compression="deflate")
    with closing(TiffRaster(path)) as raster:
        raster.values(slice(0, 128), slice(0, 128))
        assert len(raster.kept) == 3
        assert raster.kept_bytes == sum(piece.nbytes for piece in raster.kept.values())


def test_the_place_on_the_map_and_no_data_are_told(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(20, 20, 1, np.int16), nodata="-9999", place=UTM)
    with closing(TiffRaster(path)) as raster:
        assert raster.facts.nodata == -9999
        assert {tag.code: tuple(tag.value) for tag in raster.facts.place} == {tag.code: tag.value for tag in UTM}


def test_tiles_that_were_left_out_are_no_data(tmp_path: Path) -> None:
    """GDAL's SPARSE_OK: offset and length 0."""
    import tifffile

    path = write_tiff(tmp_path / "a.tif", noise(64, 32, 1), tile=(32, 32), compression="deflate", nodata="7")
    with tifffile.TiffFile(path, mode="r+") as file:
        for name in ("TileOffsets", "TileByteCounts"):
            values = list(file.pages[0].tags[name].value)
            file.pages[0].tags[name].overwrite([0, *values[1:]])
    with closing(TiffRaster(path)) as raster:
        assert (raster.values(slice(0, 32), slice(0, 32)) == 7).all()
        assert np.array_equal(raster.values(slice(32, 64), slice(0, 32)), noise(64, 32, 1)[32:])


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("layout", [{"tile": (32, 32), "compression": "deflate"}, {}])
def test_a_file_that_was_cut_off_is_refused_at_once(tmp_path: Path, share: float, layout: dict[str, Any]) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(100, 100), **layout)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"a\.tif.* Fetch it again"):
        TiffRaster(path)


def test_a_damaged_tile_is_named_by_its_place(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(100, 100), tile=(32, 32), compression="deflate")
    data = bytearray(path.read_bytes())
    with closing(TiffRaster(path)) as raster:
        start = raster.page.dataoffsets[5]
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    with closing(TiffRaster(path)) as raster:
        raster.values(slice(0, 32), slice(0, 100))
        with pytest.raises(DataError, match="row 32, column 40"):
            raster.values(slice(32, 64), slice(40, 60))


@given(st.binary(max_size=300), st.integers(0, 2000))
@settings(max_examples=40)
def test_garbage_is_refused_and_nothing_else_happens(folder: Path, garbage: bytes, place: int) -> None:
    path = write_tiff(folder / "b.tif", noise(40, 40), tile=(32, 32), compression="deflate")
    data = path.read_bytes()
    path.write_bytes(data[:place] + garbage + data[place + len(garbage) :])
    with contextlib.suppress(DataError), closing(TiffRaster(path)) as raster:
        height, width = raster.facts.size
        found = raster.values(slice(0, min(height, 40)), slice(0, min(width, 40)))
        assert found.shape[:2] == (min(height, 40), min(width, 40))


def test_fractions_and_turned_images_are_refused(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", np.zeros((4, 4, 1), np.float32))
    with pytest.raises(DataError, match="8 or 16 bits a band, got float32"):
        TiffRaster(path)
    Image.fromarray(noise(4, 6)).save(tmp_path / "b.tif", tiffinfo={274: 6})
    with pytest.raises(DataError, match="orientation 6"):
        TiffRaster(tmp_path / "b.tif")


def test_a_compressed_piece_too_large_to_decode_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_PIECE", 100 * 100)
    whole = write_tiff(tmp_path / "a.tif", noise(100, 100), compression="deflate", rowsperstrip=100)
    with pytest.raises(DataError, match="TILED=YES"):
        TiffRaster(whole)
    plain = write_tiff(tmp_path / "b.tif", noise(100, 100), rowsperstrip=100)
    with closing(TiffRaster(plain)) as raster:  # rows of it are read without the rest
        assert np.array_equal(raster.values(slice(5, 9), slice(2, 4)), noise(100, 100)[5:9, 2:4])


def test_strips_that_do_not_fit_into_memory_are_worth_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_BYTES", 10_000)
    strips = write_tiff(tmp_path / "a.tif", noise(100, 100), compression="deflate", rowsperstrip=4)
    tiles = write_tiff(tmp_path / "b.tif", noise(100, 100), compression="deflate", tile=(16, 16))
    with closing(TiffRaster(strips)) as one, closing(TiffRaster(tiles)) as other:
        assert "strips of 4 × 100 pixels" in one.facts.note
        assert other.facts.note == ""
        assert np.array_equal(one.values(slice(0, 100), slice(3, 50)), noise(100, 100)[:, 3:50])
