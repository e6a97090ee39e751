"""What GDAL reads lies where it says, and reads as ours do."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from perpixel.data.rasters.gdal import GdalRaster
from perpixel.data.rasters.open import is_large_raster, open_raster
from perpixel.data.rasters.tiff import TiffRaster
from perpixel.errors import DataError
from tests.data.rasters.files import UTM, noise, write_tiff

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("tifffile")


def test_gdal_reads_what_we_read(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(70, 90, 5, np.uint16), nodata="7", place=UTM, tile=(32, 32))
    with closing(TiffRaster(path)) as ours, closing(GdalRaster(path)) as theirs:
        assert ours.facts.size == theirs.facts.size
        assert (ours.facts.bands, ours.facts.dtype, ours.facts.nodata) == (5, np.uint16, 7)
        assert (theirs.facts.bands, theirs.facts.dtype, theirs.facts.nodata) == (5, np.uint16, 7)
        window = slice(11, 60), slice(30, 77)
        assert np.array_equal(ours.values(*window), theirs.values(*window))
        corner = {tag.code: tuple(tag.value) for tag in theirs.facts.place if tag.code != 34735}
        assert corner[33550][:2] == (0.5, 0.5)
        assert corner[33922] == (0, 0, 0, 500000, 4100000, 0)


def test_a_mosaic_is_read_and_keeps_its_place(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", noise(40, 50), place=UTM)
    text = f"""<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:32633</SRS>
      <GeoTransform>500000, 0.5, 0, 4100000, 0, -0.5</GeoTransform>{
        "".join(
            f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource>'
            "</VRTRasterBand>"
            for band in (1, 2, 3)
        )
    }</VRTDataset>"""
    (tmp_path / "b.vrt").write_text(text)
    assert is_large_raster(tmp_path / "b.vrt")
    with closing(open_raster(tmp_path / "b.vrt")) as raster:
        assert np.array_equal(raster.values(slice(3, 20), slice(4, 50)), noise(40, 50)[3:20, 4:50])
        keys = next(tuple(tag.value) for tag in raster.facts.place if tag.code == 34735)
        assert 32633 in keys


def test_a_compression_that_only_gdal_knows_is_read(tmp_path: Path) -> None:
    pixels, place = noise(64, 64), rasterio.Affine(0.5, 0, 500000, 0, -0.5, 4100000)
    profile = {"driver": "GTiff", "height": 64, "width": 64, "count": 3, "dtype": "uint8", "compress": "zstd"}
    with rasterio.open(tmp_path / "a.tif", "w", **profile, crs="EPSG:32633", transform=place) as file:
        file.write(pixels.transpose(2, 0, 1))
    with closing(open_raster(tmp_path / "a.tif")) as raster:
        assert np.array_equal(raster.values(slice(0, 64), slice(0, 64)), pixels)


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jp2").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.jp2"):
        open_raster(tmp_path / "a.jp2")
