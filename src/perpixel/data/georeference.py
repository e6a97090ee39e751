"""Where on the map a GeoTIFF lies: six numbers, and the name of the coordinate system.

    x = a·column + b·row + c        column, row: of pixels' corners, 0, 0 the upper left of the image
    y = d·column + e·row + f

Source: OGC 19-008r4, "GeoTIFF Standard" 1.1, Sec. 7 and Annex B: the tags and the keys below.
Differs: several tie points without a scale (a mesh) say nothing here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, TiffImagePlugin

from perpixel.data.images import open_image
from perpixel.errors import DataError

Transform = tuple[float, float, float, float, float, float]

SCALE, TIE_POINT, MATRIX, KEYS, ORIENTATION = 33550, 33922, 34264, 34735, 274
RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1025, 2048, 3072
POINTS = 2  # a raster type: coordinates are those of pixels' centres
USER_DEFINED = 32767


class Place(NamedTuple):
    """Where an image lies.

    Attributes:
        transform: (a, b, c, d, e, f), as rasterio orders them.
        crs: Such as EPSG:32632; None where the file names none by a number.
    """

    transform: Transform
    crs: str | None


def read_place(path: Path) -> Place | None:
    """Return where an image lies on the map; None where it does not say so, or is no TIFF."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        with open_image(path) as image:
            return _place(image)
    except (DataError, OSError, ValueError, TypeError, KeyError, IndexError):
        return None  # whatever is wrong with it, its pixels may be right


def _place(image: Image.Image) -> Place | None:
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.tag_v2.get(ORIENTATION, 1) != 1:
        return None
    return place_of(image.tag_v2)


def place_of(tags: Mapping[int, Any]) -> Place | None:
    """Return where an image of these tags lies; None where they do not say so.

    Args:
        tags: Code -> values, tuples where there are several.
    """
    keys = _keys(tuple(map(int, tags.get(KEYS, ()))))
    matrix = _matrix(tuple(tags.get(MATRIX, ())), tuple(tags.get(SCALE, ())), tuple(tags.get(TIE_POINT, ())))
    if matrix is None:
        return None
    a, b, c, d, e, f = matrix
    if keys.get(RASTER_TYPE) == POINTS:
        c, f = c - (a + b) / 2, f - (d + e) / 2
    code = keys.get(PROJECTED) or keys.get(GEOGRAPHIC)
    return Place((a, b, c, d, e, f), f"EPSG:{code}" if code and code != USER_DEFINED else None)


def _matrix(matrix: tuple[float, ...], scale: tuple[float, ...], tie: tuple[float, ...]) -> Transform | None:
    if len(matrix) == 16:
        return matrix[0], matrix[1], matrix[3], matrix[4], matrix[5], matrix[7]
    if len(scale) < 2 or len(tie) != 6:
        return None
    column, row, _, x, y, _ = tie
    return scale[0], 0.0, x - column * scale[0], 0.0, -scale[1], y + row * scale[1]


def _keys(directory: tuple[int, ...]) -> dict[int, int]:
    """Return the keys whose values are in the directory itself."""
    entries = [directory[i : i + 4] for i in range(4, len(directory) - 3, 4)]
    return {key: value for key, location, _, value in entries if location == 0}
