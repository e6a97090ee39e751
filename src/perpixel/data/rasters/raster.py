"""What every raster can do, whatever reads it.

    file -> windows of stored values -> uint8 or uint16 pixels, and where there is no data

Letters: H W pixels, C bands.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from perpixel.data.images import Pixels
from perpixel.errors import DataError

KINDS = "iu"  # integers, with and without sign
PLACE_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 50844)  # GeoTIFF's, and RPC
NODATA_TAG = 42113  # GDAL's


class Tag(NamedTuple):
    """One entry of a TIFF directory, as `tifffile` takes it.

    Attributes:
        code: Its number.
        kind: The number of its data type.
        number: How many values.
        value: A number, several, or text.
    """

    code: int
    kind: int
    number: int
    value: Any


@dataclass(frozen=True)
class Facts:
    """What is known of a raster before a pixel is read.

    Args:
        size: (H, W).
        bands: C, as stored, with alpha.
        dtype: Of the stored values.
        nodata: The value that stands for no data; None where none does.
        alpha: The band that is 0 where there is no data; None where there is none.
        place: The TIFF tags that say where on the map it lies; empty where nothing says it.
        note: What makes it slow to read, and what to do; empty where nothing does.
    """

    size: tuple[int, int]
    bands: int
    dtype: np.dtype[Any]
    nodata: float | None = None
    alpha: int | None = None
    place: tuple[Tag, ...] = ()
    note: str = ""


class Raster(Protocol):
    """A file that is read by windows."""

    name: str
    facts: Facts

    def values(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return stored values (h, w, C) of a window.

        Raises:
            DataError: They are damaged.
        """

    def close(self) -> None:
        """Let the file go."""


class Window(NamedTuple):
    """A part of a raster.

    Attributes:
        pixels: uint8 or uint16 (h, w, C), without alpha.
        empty: Where there is no data, (h, w); None where there is data everywhere.
    """

    pixels: Pixels
    empty: NDArray[np.bool_] | None


def read_window(raster: Raster, rows: slice, columns: slice, bands: int) -> Window:
    """Read a window as pixels.

    Args:
        raster: An open raster.
        rows: First to last but one, inside the raster.
        columns: The same.
        bands: How many the reader wants. An alpha band is left out, unless it makes up the number.

    Raises:
        DataError: The file is damaged, or stores what is no image.
    """
    facts = raster.facts
    values = raster.values(rows, columns)
    keeps_alpha = facts.alpha is None or facts.bands == bands
    empty = np.zeros(values.shape[:2], np.bool_)
    if facts.alpha is not None and not keeps_alpha:
        empty |= values[:, :, facts.alpha] == 0
        values = np.delete(values, facts.alpha, axis=2)
    if facts.nodata is not None:
        missing = is_nodata(values, facts.nodata)
        empty |= missing.all(axis=2)
        if values.dtype not in (np.uint8, np.uint16):
            values = np.where(missing, values.dtype.type(0), values)
    return Window(_as_pixels(values, raster.name), empty if empty.any() else None)


def is_nodata(values: NDArray[Any], nodata: float) -> NDArray[np.bool_]:
    """Say which values stand for no data; a value that the type cannot hold stands nowhere."""
    info = np.iinfo(values.dtype)
    if not math.isfinite(nodata) or nodata != int(nodata) or not info.min <= nodata <= info.max:
        return np.zeros(values.shape, np.bool_)
    return np.asarray(values == values.dtype.type(int(nodata)))


def check_facts(facts: Facts, name: str) -> None:
    """Refuse what is no image of integers.

    Raises:
        DataError: Fractions or complex numbers are stored.
    """
    if facts.dtype.kind not in KINDS:
        raise DataError(
            f"rasters: expected 8 or 16 bits a band, got {facts.dtype} in {name}. Scale it to 0–65535 and store it "
            "as uint16, as the network's training images were."
        )


def _as_pixels(values: NDArray[Any], name: str) -> Pixels:
    if values.dtype in (np.uint8, np.uint16):
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low < 0 or high > 65535:
        raise DataError(
            f"rasters: expected values from 0 to 65535, got {low} to {high} ({values.dtype}) in {name}. Scale it, or "
            "say which value stands for no data: gdal_translate -a_nodata VALUE."
        )
    return values.astype(np.uint16)
