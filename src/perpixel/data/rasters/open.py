"""Open a raster, whatever reads it; tell which files are better read by windows."""

import math
from pathlib import Path

from perpixel.data.images import MAX_PIXELS, open_image
from perpixel.data.rasters.gdal import DRIVERS, GdalRaster
from perpixel.data.rasters.header import Header, read_header
from perpixel.data.rasters.raster import NODATA_TAG, Raster
from perpixel.data.rasters.tiff import TiffRaster
from perpixel.errors import DataError

TIFF_SUFFIXES = (".tif", ".tiff")
PILLOWS_BANDS = 4


def open_raster(path: Path | str) -> Raster:
    """Open a TIFF, BigTIFF or GeoTIFF, or with the extra `geo` what else GDAL reads.

    Raises:
        DataError: There is no such file, it is damaged, or nothing installed reads it.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"rasters: expected a file, found none at {path}. Check the path.")
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return GdalRaster(path)
    try:
        return TiffRaster(path)
    except DataError as error:
        if "compression" not in str(error):
            raise
        try:
            return GdalRaster(path)
        except DataError:
            raise error from None


def is_large_raster(path: Path) -> bool:
    """Say whether a file is to be read by windows.

    That is a TIFF too large to decode whole, with bands that Pillow does not take, or of 16 bits with a value for no
    data, which Pillow does not keep apart; and what only GDAL reads.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return path.suffix.lower() in DRIVERS
    header = read_header(path)
    if header is None:
        return False
    if math.prod(header.size) > MAX_PIXELS or header.bands > PILLOWS_BANDS:
        return True
    return (header.bits > 8 and NODATA_TAG in header.codes) or _puzzles_pillow(path, header)


def _puzzles_pillow(path: Path, header: Header) -> bool:
    """Say whether Pillow knows no image of such bands, e.g. two of 16 bits, or no such BigTIFF."""
    if not header.is_big and (header.bands == 1 or (header.bands == 3 and header.bits == 8)):
        return False
    try:
        open_image(path).close()
    except DataError:
        return True
    return False
