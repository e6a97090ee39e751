"""Write class ids, or a band for each class, as a tiled, compressed TIFF, from tiles that are compressed already.

    tiles, deflated one by one as they become known -> TIFF, or BigTIFF from 4 GB on

Source: TIFF 6.0 (Adobe, 1992), Secs. 5 and 15; the tags for no data and what bands are, 42113 and 42112, are GDAL's.
Letters: H W pixels, K classes.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from perpixel.data.palette import colorize
from perpixel.data.rasters.raster import NODATA_TAG, Tag
from perpixel.data.rasters.tiff import tifffile_or_explain

TILE = 512
LEVEL = 6
CLASSIC_BYTES = 2**32 - 2**25  # room for the directory of a classic TIFF
DEFLATE = 8
METADATA_TAG = 42112  # GDAL's


def compress_tiles(values: NDArray[Any], fill: int) -> Iterator[bytes]:
    """Yield the deflated tiles of one row of them.

    Args:
        values: At most `TILE` rows of the raster, all columns: (h, W) or (h, W, samples).
        fill: For what a tile has beyond the raster.
    """
    for column in range(0, values.shape[1], TILE):
        yield compress_tile(values[:, column : column + TILE], fill)


def compress_tile(part: NDArray[Any], fill: int) -> bytes:
    """Return a tile deflated; where it is smaller than `TILE`, with `fill` beside and below it."""
    if part.shape[:2] != (TILE, TILE):
        whole = np.full((TILE, TILE, *part.shape[2:]), fill, part.dtype)
        whole[: part.shape[0], : part.shape[1]] = part
        part = whole
    return zlib.compress(np.ascontiguousarray(part, part.dtype.newbyteorder("<")).tobytes(), LEVEL)


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
    bands: Sequence[str] = (),
) -> None:
    """Write a TIFF.

    Args:
        path: Where.
        tiles: All tiles, from `compress_tiles`, row by row.
        length: Their bytes in all.
        shape: (H, W), or (H, W, 3) for colours, or (H, W, K) where bands are named.
        dtype: Of the values; uint8 or uint16.
        palette: One colour a value; None where the values are none of a palette's.
        nodata: The value that stands for no data.
        place: Where on the map it lies.
        bands: What each band is called; its values are fractions of the type's largest number.
    """
    tifffile = tifffile_or_explain(path)
    extra = [(*tag, True) for tag in place]
    texts = {NODATA_TAG: "" if nodata is None else str(nodata), METADATA_TAG: _describe(bands, dtype)}
    extra += [(code, 2, len(text) + 1, text, True) for code, text in texts.items() if text]
    kind = "rgb" if len(shape) == 3 and not bands else "minisblack" if palette is None else "palette"
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=length > CLASSIC_BYTES) as file:
        file.write(
            tiles, shape=shape, dtype=dtype.newbyteorder("<"), tile=(TILE, TILE), compression=DEFLATE,
            photometric=kind, planarconfig="contig" if len(shape) == 3 else None, metadata=None,
            colormap=None if palette is None else _color_map(palette),
            software="perpixel", extratags=extra,
        )  # fmt: skip


def _describe(bands: Sequence[str], dtype: np.dtype[Any]) -> str:
    """Return what GDAL reads of bands: their names, and by what values are to be multiplied. ASCII, as TIFF wants.

    GDAL takes back the escapes of a text twice.
    """
    items = []
    for index, name in enumerate(bands):
        plain = escape(escape(name)).encode("ascii", "xmlcharrefreplace").decode()
        items.append(f'<Item name="DESCRIPTION" sample="{index}" role="description">{plain}</Item>')
        items.append(f'<Item name="SCALE" sample="{index}" role="scale">{1 / np.iinfo(dtype).max!r}</Item>')
    return f"<GDALMetadata>{''.join(items)}</GDALMetadata>" if items else ""


def _color_map(palette: Sequence[tuple[int, int, int]]) -> NDArray[np.uint16]:
    """Return a TIFF's colour map, (3, 256)."""
    table = np.zeros((256, 3), np.uint16)
    table[: len(palette)] = np.asarray(palette, np.uint16)
    if len(palette) < 256:
        table[255] = colorize(np.full((1, 1), 255), palette)[0, 0]
    return np.ascontiguousarray(table.T * np.uint16(257))
