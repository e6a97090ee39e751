"""Write class ids as a tiled, compressed TIFF that maps open in colour, from tiles that are compressed already.

    tiles, deflated one by one as they become known -> TIFF, or BigTIFF from 4 GB on

Source: TIFF 6.0 (Adobe, 1992), Secs. 5 and 15; the tag for no data is GDAL's, 42113.
Letters: H W pixels, K classes.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.palette import colorize
from perpixel.data.rasters.raster import NODATA_TAG, Tag
from perpixel.data.rasters.tiff import tifffile_or_explain

TILE = 512
LEVEL = 6
CLASSIC_BYTES = 2**32 - 2**25  # room for the directory of a classic TIFF
DEFLATE = 8


def compress_tiles(values: NDArray[Any], fill: int) -> Iterator[bytes]:
    """Yield the deflated tiles of one row of them.

    Args:
        values: At most `TILE` rows of the raster, all columns: (h, W) or (h, W, samples).
        fill: For what a tile has beyond the raster.
    """
    for column in range(0, values.shape[1], TILE):
        part = values[:, column : column + TILE]
        if part.shape[:2] != (TILE, TILE):
            whole = np.full((TILE, TILE, *values.shape[2:]), fill, values.dtype)
            whole[: part.shape[0], : part.shape[1]] = part
            part = whole
        yield zlib.compress(np.ascontiguousarray(part, part.dtype.newbyteorder("<")).tobytes(), LEVEL)


def tiles_across(width: int) -> int:
    """Return how many tiles lie side by side."""
    return -(-width // TILE)


def write_tiles(
    path: Path,
    tiles: Iterator[bytes],
    length: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    palette: Sequence[tuple[int, int, int]] | None,
    nodata: int | None,
    place: Sequence[Tag],
) -> None:
    """Write a TIFF.

    Args:
        path: Where.
        tiles: All tiles, from `compress_tiles`, row by row.
        length: Their bytes in all.
        shape: (H, W), or (H, W, 3) for colours.
        dtype: Of the values; uint8 or uint16.
        palette: One colour a value; None where the values are none of a palette's.
        nodata: The value that stands for no data.
        place: Where on the map it lies.
    """
    tifffile = tifffile_or_explain(path)
    extra = [(*tag, True) for tag in place]
    if nodata is not None:
        text = str(nodata)
        extra.append((NODATA_TAG, 2, len(text) + 1, text, True))
    kind = "rgb" if len(shape) == 3 else "minisblack" if palette is None else "palette"
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=length > CLASSIC_BYTES) as file:
        file.write(
            tiles, shape=shape, dtype=dtype.newbyteorder("<"), tile=(TILE, TILE), compression=DEFLATE,
            photometric=kind, colormap=None if palette is None else _color_map(palette), metadata=None,
            software="perpixel", extratags=extra,
        )  # fmt: skip


def _color_map(palette: Sequence[tuple[int, int, int]]) -> NDArray[np.uint16]:
    """Return a TIFF's colour map, (3, 256)."""
    table = np.zeros((256, 3), np.uint16)
    table[: len(palette)] = np.asarray(palette, np.uint16)
    if len(palette) < 256:
        table[255] = colorize(np.full((1, 1), 255), palette)[0, 0]
    return np.ascontiguousarray(table.T * np.uint16(257))
