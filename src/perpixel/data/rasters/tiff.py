"""Read a TIFF or BigTIFF by windows: the tiles or strips that a window touches, and a few that were read before.

    +----+----+----+
    |    | ## | #  |      # the window: four tiles of six are decoded, or come from memory
    +----+----+----+
    |    | ## | #  |
    +----+----+----+

The file's directory is read, and its tiles decoded, by `tifffile` (the extra `raster`); LZW and JPEG by Pillow where
`imagecodecs` is not installed.

Source: TIFF 6.0 (Adobe, 1992), Secs. 2, 8, 13 to 15, 22; TIFF Technical Note 2 for JPEG.
Letters: H W pixels, C bands.
"""

import copy
import importlib.util
import logging
import math
import zlib
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.rasters.pillow_codecs import decode_jpeg, decode_lzw
from perpixel.data.rasters.raster import NODATA_TAG, PLACE_TAGS, Facts, Tag, check_facts
from perpixel.errors import DataError

CACHE_BYTES = 192 * 10**6  # of decoded tiles or strips that are kept
LARGEST_PIECE = 512 * 10**6  # bytes that one tile or strip may decode to
LARGEST_LZW = 64 * 10**6  # what Pillow opens without a warning
UNCOMPRESSED, LZW, JPEG, PACKBITS = 1, 5, 7, 32773
DEFLATE = (8, 32946)
MINISWHITE, PALETTE = 0, 3
ALPHA = (1, 2)  # associated, unassociated


def tifffile_or_explain(path: Path) -> ModuleType:
    """Return `tifffile`.

    Raises:
        DataError: It is not installed.
    """
    try:
        import tifffile
    except ImportError:
        raise DataError(
            f"rasters: expected the extra `raster` for {path}, which is too large or has too many bands for Pillow. "
            "Install it: pip install 'perpixel[raster]'."
        ) from None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what matters is raised
    return tifffile


class TiffRaster:
    """The first image of a TIFF.

    Args:
        path: The file.
        indices: Of a palette's colours give the indices, as of class ids.

    Raises:
        DataError: It is no TIFF, is damaged or cut off, or is stored in a way that windows cannot be read from.
    """

    def __init__(self, path: Path, indices: bool = False) -> None:
        self.name, self.indices = str(path), indices
        tifffile = tifffile_or_explain(path)
        self.kept: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self.kept_bytes = 0
        self.handle = path.open("rb")  # our own: tifffile leaves files open that it cannot read
        try:
            self.file = tifffile.TiffFile(self.handle)
            self.page: Any = self.file.pages[0]
            self.facts = self._describe()
            self._check(path.stat().st_size)
        except DataError:
            self.close()
            raise
        except Exception as error:  # whatever a damaged file makes of the reader
            self.close()
            raise DataError(self._damaged(error)) from error

    def values(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return stored values (h, w, C) of a window, a palette's indices as its colours.

        Raises:
            DataError: They are damaged.
        """
        try:
            stored = self._by_rows(rows, columns) if self._is_plain else self._by_pieces(rows, columns)
        except DataError:
            raise
        except Exception as error:
            raise DataError(self._damaged(error, rows, columns)) from error
        if self._has_colors:
            return np.ascontiguousarray((self.page.colormap >> 8).astype(np.uint8).T[stored[:, :, 0]])
        return np.iinfo(stored.dtype).max - stored if self.page.photometric == MINISWHITE else stored

    def close(self) -> None:
        """Let the file go."""
        self.handle.close()

    # ---- what the directory says

    @property
    def _tile(self) -> tuple[int, int]:
        """(H, W) of a tile or strip."""
        page = self.page
        if page.is_tiled:
            return page.tilelength, page.tilewidth
        return min(page.rowsperstrip, page.imagelength), page.imagewidth

    @property
    def _has_colors(self) -> bool:
        return bool(self.page.photometric == PALETTE and not self.indices)

    @property
    def _planes(self) -> int:
        return self.page.samplesperpixel if self.page.planarconfig == 2 else 1

    @property
    def _is_plain(self) -> bool:
        """Whether rows can be read without decoding anything."""
        page = self.page
        plain = page.compression == UNCOMPRESSED and page.predictor == 1 and page.fillorder == 1
        return bool(plain and not page.is_tiled and self._planes == 1 and page.bitspersample in (8, 16, 32))

    @property
    def _piece_bytes(self) -> int:
        height, width = self._tile
        samples = self.page.samplesperpixel // self._planes
        return int(height * width * samples * self.page.dtype.itemsize)

    def _describe(self) -> Facts:
        page = self.page
        if page.dtype is None or page.imagedepth != 1:
            raise DataError(f"rasters: expected an image of 8 or 16 bits a band, got another kind in {self.name}.")
        bands = 3 if self._has_colors else page.samplesperpixel
        alphas = [bands - len(page.extrasamples) + i for i, kind in enumerate(page.extrasamples) if kind in ALPHA]
        size = (int(page.imagelength), int(page.imagewidth))
        dtype = np.dtype(np.uint8) if self._has_colors else np.dtype(page.dtype)
        return Facts(
            size, bands, dtype, self._nodata(), alphas[0] if alphas else None, place_of(page), self._note(size[1])
        )

    def _nodata(self) -> float | None:
        tag = self.page.tags.get(NODATA_TAG)
        try:
            return None if tag is None else float(str(tag.value).strip("\0 "))
        except ValueError:
            return None

    def _note(self, width: int) -> str:
        height, across = self._tile
        if self.page.is_tiled or self._is_plain or self._piece_bytes * math.ceil(1024 / height) < CACHE_BYTES:
            return ""
        return (
            f"it is stored in strips of {height} × {across} pixels, which are decoded again and again. Tiles would be "
            "read faster: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE"
        )

    def _check(self, length: int) -> None:
        """Refuse what cannot be read, before hours of work."""
        page = self.page
        check_facts(self.facts, self.name)
        orientation = page.tags.get(274)
        if orientation is not None and orientation.value != 1:
            raise DataError(
                f"rasters: expected the first row on top, got orientation {orientation.value} in {self.name}. Turn it "
                "upright: gdalwarp, or `magick … -auto-orient`."
            )
        if not self._is_plain and self._piece_bytes > LARGEST_PIECE:
            height, width = self._tile
            raise DataError(
                f"rasters: expected tiles, got pieces of {height} × {width} pixels, compressed, in {self.name}: none "
                "can be read in part. Store it in tiles: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE."
            )
        height, width = self._tile
        pieces = math.ceil(page.imagelength / height) * math.ceil(page.imagewidth / width) * self._planes
        end = max((o + c for o, c in zip(page.dataoffsets, page.databytecounts, strict=True)), default=0)
        if len(page.dataoffsets) != pieces or end > length:
            raise DataError(
                f"rasters: expected {end:,} bytes in {pieces} pieces, got {length:,} bytes in {len(page.dataoffsets)} "
                f"pieces in {self.name}: the file is cut off or damaged. Fetch it again."
            )
        self._decoder()

    # ---- reading

    def _by_rows(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window of uncompressed strips, row by row."""
        page, handle = self.page, self.handle
        pixel = page.samplesperpixel * page.dtype.itemsize
        height, width = self._tile
        count = (columns.stop - columns.start) * pixel
        parts = []
        for row in range(rows.start, rows.stop):
            strip, inside = divmod(row, height)
            handle.seek(page.dataoffsets[strip] + (inside * width + columns.start) * pixel)
            parts.append(handle.read(count))
        stored = np.frombuffer(b"".join(parts), page.dtype.newbyteorder(page.parent.byteorder))
        return stored.reshape(len(parts), -1, page.samplesperpixel).astype(page.dtype, copy=False)

    def _by_pieces(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Copy a window together from tiles or strips."""
        page, (height, width) = self.page, self._tile
        across, down = math.ceil(page.imagewidth / width), math.ceil(page.imagelength / height)
        samples = page.samplesperpixel // self._planes
        shape = (rows.stop - rows.start, columns.stop - columns.start, page.samplesperpixel)
        result = np.empty(shape, page.dtype)
        for plane in range(self._planes):
            bands = slice(plane * samples, (plane + 1) * samples)
            for i in range(rows.start // height, math.ceil(rows.stop / height)):
                for j in range(columns.start // width, math.ceil(columns.stop / width)):
                    piece = self._piece((plane * down + i) * across + j, samples)
                    to_rows, from_rows = _shared(rows, i * height, height)
                    to_columns, from_columns = _shared(columns, j * width, width)
                    result[to_rows, to_columns, bands] = piece[from_rows, from_columns]
        return result

    def _piece(self, index: int, samples: int) -> NDArray[Any]:
        """Return a tile or strip, (h, w, samples), from memory if it was read lately."""
        if index in self.kept:
            self.kept.move_to_end(index)
            return self.kept[index]
        piece = self._decode(index, samples)
        self.kept[index] = piece
        self.kept_bytes += piece.nbytes
        while self.kept_bytes > CACHE_BYTES and len(self.kept) > 1:
            self.kept_bytes -= self.kept.popitem(last=False)[1].nbytes
        return piece

    def _decode(self, index: int, samples: int) -> NDArray[Any]:
        page = self.page
        count = page.databytecounts[index]
        if count == 0:  # left out, as GDAL does with empty tiles
            return np.full((*self._tile, samples), self.facts.nodata or 0, page.dtype)
        self.handle.seek(page.dataoffsets[index])
        data = self.handle.read(count)
        kind = self._decoder()
        if kind == "jpeg":
            return decode_jpeg(data, page.jpegtables, samples, is_rgb=page.photometric == 2)
        if kind in ("lzw", "deflate"):
            height, width = self._tile
            if not page.is_tiled:
                height = min(height, page.imagelength - index % math.ceil(page.imagelength / height) * height)
            length = height * width * samples * page.dtype.itemsize
            data = decode_lzw(data, length) if kind == "lzw" else inflate(data, length)
            page = self._as_if_uncompressed()
        decoded: NDArray[Any] = page.decode(data, index)[0][0]
        return decoded

    def _decoder(self) -> str:
        """Return who decodes: tifffile, or our ways through Pillow.

        Raises:
            DataError: Nobody here can.
        """
        page = self.page
        if page.compression in DEFLATE:
            return "deflate"
        if page.compression in (UNCOMPRESSED, PACKBITS) or importlib.util.find_spec("imagecodecs"):
            return "tifffile"
        if page.compression == LZW and page.fillorder == 1 and self._piece_bytes <= LARGEST_LZW:
            return "lzw"
        if page.compression == JPEG and page.bitspersample == 8 and page.samplesperpixel in (1, 3):
            return "jpeg"
        name = getattr(page.compression, "name", page.compression)
        raise DataError(
            f"rasters: expected a common compression, got {name} in {self.name}. Install what decodes it: "
            "pip install imagecodecs, or pip install 'perpixel[geo]'."
        )

    def _as_if_uncompressed(self) -> Any:
        """Return the page with compression 1, whose `decode` only undoes the predictor."""
        if not hasattr(self, "_plain_page"):
            self._plain_page = copy.copy(self.page)
            self._plain_page.__dict__.pop("decode", None)
            self._plain_page.compression = UNCOMPRESSED
        return self._plain_page

    def _damaged(self, error: Exception, rows: slice | None = None, columns: slice | None = None) -> str:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        where = f" at row {rows.start}, column {columns.start}" if rows is not None and columns is not None else ""
        return f"rasters: expected a whole TIFF, cannot read {self.name}{where} ({reason}). Fetch it again."


def place_of(page: Any) -> tuple[Tag, ...]:
    """Return the tags of a page that say where on the map it lies."""
    found = [page.tags[code] for code in PLACE_TAGS if code in page.tags]
    return tuple(Tag(tag.code, int(tag.dtype), tag.count, _storable(tag.value)) for tag in found)


def inflate(data: bytes, length: int) -> bytes:
    """Return at most `length` bytes of what was compressed with deflate: no more is needed, whatever is sent."""
    return zlib.decompressobj().decompress(data, length)


def _storable(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _shared(window: slice, start: int, length: int) -> tuple[slice, slice]:
    """Return where a piece lies in the window, and where the window lies in the piece."""
    first, last = max(window.start, start), min(window.stop, start + length)
    return slice(first - window.start, last - window.start), slice(first - start, last - start)
