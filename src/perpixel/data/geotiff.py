"""GeoTIFFs small enough to decode whole: what they say beside their pixels, and labels at the same place on the map.

    NAME.tif -> tags of its place ----------------------------+-> labels as a GeoTIFF
             -> pixels without data -> 255 in the labels -----+

Nothing but Pillow is needed. What lies beside a file, such as a world file, is not read.

Source: OGC 19-008r4, "GeoTIFF Standard" 1.1, Annex B; the tag for no data is GDAL's, 42113.
Letters: H W pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from perpixel.data.images import open_image
from perpixel.data.rasters.header import BITS, read_header
from perpixel.data.rasters.raster import NODATA_TAG, PLACE_TAGS, Tag
from perpixel.errors import DataError

TEXT = 2  # a tag's type
SUFFIXES = (".tif", ".tiff")
ALPHA_MODES = ("LA", "La", "RGBA", "RGBa")
COLORS = ("RGB", "RGBX", "RGBA", "RGBa", "CMYK")


def lies_on_a_map(path: Path) -> bool:
    """Say whether a file is a GeoTIFF that says where it lies."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    header = read_header(path)
    return header is not None and header.lies_on_a_map


def place_tags(path: Path) -> tuple[Tag, ...]:
    """Return the tags that say where an image lies, as they are.

    Raises:
        DataError: It cannot be read.
    """
    with open_image(path) as image:
        if not isinstance(image, TiffImagePlugin.TiffImageFile):
            return ()
        tags = image.tag_v2
        return tuple(_tag(code, tags.tagtype[code], tags[code]) for code in PLACE_TAGS if code in tags)


def _tag(code: int, kind: int, value: Any) -> Tag:
    if isinstance(value, str):
        return Tag(code, kind, len(value) + 1, value)
    values = tuple(value) if isinstance(value, tuple) else (value,)
    return Tag(code, kind, len(values), values)


def without_data(path: Path, channels: int) -> NDArray[np.bool_] | None:
    """Return where an image has no data, (H, W); None where it does not say what that would be.

    Args:
        path: A TIFF; of colours with 8 bits a band.
        channels: How many the network sees: alpha is one of them only where that makes up the number.

    Raises:
        DataError: It cannot be read, or Pillow changes what it stores.
    """
    with open_image(path) as image:
        if not isinstance(image, TiffImagePlugin.TiffImageFile):
            return None
        nodata = _number(image.tag_v2.get(NODATA_TAG))
        if nodata is not None and image.mode in COLORS and max(image.tag_v2.get(BITS, (8,))) > 8:
            raise DataError(
                f"geotiff: expected 8 bits a band where a value stands for no data, got more in {path}: Pillow keeps "
                "the upper 8 bits alone. Predict it without --cluster, or store it in 8 bits."
            )
        veiled = image.mode in ALPHA_MODES and len(image.getbands()) != channels
        if nodata is None and not veiled:
            return None
        values = np.atleast_3d(np.asarray(image))
    empty = np.zeros(values.shape[:2], np.bool_)
    if veiled:
        empty |= values[:, :, -1] == 0
        values = values[:, :, :-1]
    return empty if nodata is None else np.asarray(empty | (values == nodata).all(axis=2))


def _number(text: Any) -> float | None:
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None


def write_labels(path: Path, labels: Image.Image, place: Sequence[Tag], nodata: int | None) -> None:
    """Write a deflated GeoTIFF.

    Args:
        path: Where, whatever it is called.
        labels: Class ids with their palette, or what masks store.
        place: See `place_tags`.
        nodata: The value that stands for no data; None where none does.
    """
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for code, kind, _, value in place:
        tags.tagtype[code] = kind
        tags[code] = value
    if nodata is not None:
        tags.tagtype[NODATA_TAG] = TEXT
        tags[NODATA_TAG] = str(nodata)
    labels.save(path, "TIFF", compression="tiff_adobe_deflate", tiffinfo=tags)
