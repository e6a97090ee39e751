"""Open a raster, whatever reads it; tell which files are better read by windows."""

import struct
from pathlib import Path
from typing import BinaryIO

from perpixel.data.images import MAX_PIXELS
from perpixel.data.rasters.gdal import DRIVERS, GdalRaster
from perpixel.data.rasters.raster import Raster
from perpixel.data.rasters.tiff import TiffRaster
from perpixel.errors import DataError

TIFF_SUFFIXES = (".tif", ".tiff")
PILLOWS_BANDS = 4
_WIDTH, _HEIGHT, _BANDS = 256, 257, 277
_MOST_ENTRIES = 4096  # of a directory; real ones have some dozens


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

    That is a TIFF too large to decode whole, or of more bands than Pillow takes, and what only GDAL reads.
    """
    if path.suffix.lower() in TIFF_SUFFIXES:
        size = tiff_size(path)
        return size is not None and (size[0] * size[1] > MAX_PIXELS or size[2] > PILLOWS_BANDS)
    return path.suffix.lower() in DRIVERS


def tiff_size(path: Path) -> tuple[int, int, int] | None:
    """Return (H, W, C) from the header of a TIFF or BigTIFF; None where there is none to be read.

    Source: TIFF 6.0 (Adobe, 1992), Sec. 2; BigTIFF as libtiff 4 writes it.
    """
    try:
        with path.open("rb") as file:
            return _read_size(file)
    except (OSError, struct.error):
        return None


def _read_size(file: BinaryIO) -> tuple[int, int, int] | None:
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return None
    (version,) = struct.unpack_from(order + "H", head, 2)
    if version not in (42, 43):
        return None
    count_kind, entry, start = ("Q", "HHQQ", 8) if version == 43 else ("H", "HHII", 4)
    (place,) = struct.unpack_from(order + ("Q" if version == 43 else "I"), head, start)
    file.seek(place)
    (count,) = struct.unpack(order + count_kind, file.read(struct.calcsize(order + count_kind)))
    length = struct.calcsize(order + entry)
    found = {_BANDS: 1}
    for _ in range(min(count, _MOST_ENTRIES)):
        raw = file.read(length)
        code, kind = struct.unpack_from(order + "HH", raw)
        if code in (_WIDTH, _HEIGHT, _BANDS):
            form = {3: "H", 4: "I", 16: "Q"}.get(kind, "I")
            (found[code],) = struct.unpack_from(order + form, raw, 12 if version == 43 else 8)
    return (found[_HEIGHT], found[_WIDTH], found[_BANDS]) if len(found) == 3 else None
