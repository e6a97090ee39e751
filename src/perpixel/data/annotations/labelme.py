"""labelme: a JSON file an image, with polygons, boxes, circles, lines, points and small masks.

Lines are 10 px wide and points 10 px across, as labelme's own export draws them.

Source: labelme (wkentaro/labelme), labelme/utils/shape.py, shape_to_mask.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from perpixel.data.annotations.files import broken, read_json
from perpixel.data.annotations.shapes import (
    MAX_SHAPES,
    Points,
    Region,
    Shape,
    box_points,
    ellipse_points,
    line_points,
    to_points,
)
from perpixel.data.images import check_size

LINE_WIDTH = 10
POINT_RADIUS = 5


@dataclass(frozen=True)
class LabelmeFile:
    """A file: its image's name, its size (H, W) if stated, and its shapes in the order of drawing."""

    path: Path
    file: str
    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]


def read_labelme(path: Path) -> LabelmeFile:
    """Read a labelme file.

    Raises:
        DataError: It cannot be read, or is not labelme's.
    """
    values = read_json(path)
    try:
        height, width = values.get("imageHeight"), values.get("imageWidth")
        size = (int(height), int(width)) if height and width else None
        shapes = tuple(_shape(shape) for shape in values["shapes"][: MAX_SHAPES + 1])
        file = str(values.get("imagePath") or "")
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise broken(path, f"expected labelme's shapes, got others ({error})") from None
    if size is not None:
        check_size(path, *size)
    return LabelmeFile(path, file, size, shapes)


def _shape(shape: dict[str, Any]) -> Shape:
    kind = shape.get("shape_type") or "polygon"
    points, label = to_points(shape["points"]), str(shape["label"])
    if kind == "mask":
        return Shape(label, regions=(_region(shape["mask"], points),))
    return Shape(label, polygons=_outlines(kind, points))


def _outlines(kind: str, points: Points) -> tuple[Points, ...]:
    if kind == "polygon":
        return (points,)
    if kind in ("rectangle", "oriented_rectangle") and len(points) == 4:
        return (points,)
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return (box_points(left, top, right, bottom),)
    if kind == "circle" and len(points) == 2:
        radius = float(np.hypot(*(points[1] - points[0])))
        x, y = points[0]
        return (ellipse_points(x, y, radius, radius),)
    if kind in ("line", "linestrip"):
        return line_points(points, LINE_WIDTH)
    if kind in ("point", "points"):
        return tuple(ellipse_points(x, y, POINT_RADIUS, POINT_RADIUS) for x, y in points)
    known = "polygon, rectangle, circle, line, linestrip, point, mask"
    raise ValueError(f"a shape of type {kind!r} with {len(points)} points; known: {known}")


def _region(packed: str, points: Points) -> Region:
    """Decode a PNG that is stored as text; its upper left corner is the first point."""
    with Image.open(io.BytesIO(base64.b64decode(packed, validate=True)), formats=("PNG",)) as image:
        check_size(Path("mask"), image.size[1], image.size[0])
        pixels = np.asarray(image.convert("L")) > 0
    return Region(pixels, row=int(points[0][1]), column=int(points[0][0]))
