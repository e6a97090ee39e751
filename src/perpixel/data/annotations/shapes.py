"""Draw outlines and regions as class ids.

A pixel belongs to a polygon where its centre, (column + ½, row + ½), lies inside, by the even-odd rule: two
neighbours that share an edge then share no pixel and leave none out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

MAX_POINTS = 1_000_000  # of one image's outlines
MAX_SHAPES = 100_000  # of one image
_CIRCLE_POINTS = 64
_CELLS = 1 << 22  # crossings worked out at a time


@dataclass(frozen=True)
class Region:
    """A mask at a place: `pixels` (h, w) with its upper left corner at (row, column)."""

    pixels: NDArray[np.bool_]
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Shape:
    """What one annotation covers: polygons (points as x, y) and regions together, under one label."""

    label: str
    polygons: tuple[Points, ...] = ()
    regions: tuple[Region, ...] = ()


def to_points(values: object) -> Points:
    """Return outline points (n, 2) as x, y from nested or flat numbers.

    Raises:
        ValueError: They are not finite numbers in twos.
    """
    try:
        points = np.asarray(values, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        raise ValueError("expected an outline as numbers x, y, x, y, …, got something else") from None
    if not np.isfinite(points).all() or np.abs(points).max(initial=0) > 1e7:
        raise ValueError("expected an outline of finite numbers, got others")
    if len(points) > MAX_POINTS:
        raise ValueError(f"expected at most {MAX_POINTS:,} points, got {len(points):,}")
    return points


def box_points(left: float, top: float, right: float, bottom: float) -> Points:
    """Return a box's corners."""
    return to_points([[left, top], [right, top], [right, bottom], [left, bottom]])


def ellipse_points(x: float, y: float, radius_x: float, radius_y: float) -> Points:
    """Return an ellipse's outline."""
    angle = np.linspace(0, 2 * np.pi, _CIRCLE_POINTS, endpoint=False)
    return to_points(np.stack([x + radius_x * np.cos(angle), y + radius_y * np.sin(angle)], axis=1))


def line_points(points: Points, width: float) -> tuple[Points, ...]:
    """Return polygons that cover a polyline of a width: a box a piece, a disc a joint."""
    pieces = [ellipse_points(x, y, width / 2, width / 2) for x, y in points]
    for start, end in pairwise(points):
        along = end - start
        length = float(np.hypot(*along))
        if length > 0:
            side = np.array([-along[1], along[0]]) / length * width / 2
            pieces.append(np.stack([start + side, end + side, end - side, start - side]))
    return tuple(pieces)


def draw(shapes: Sequence[Shape], size: tuple[int, int], meanings: Mapping[str, int], rest: int) -> NDArray[np.uint8]:
    """Draw shapes one over the other; later ones lie on top.

    Args:
        shapes: In the order of drawing.
        size: (H, W).
        meanings: Label -> class id.
        rest: Where no shape lies.
    """
    if len(shapes) > MAX_SHAPES:
        raise ValueError(f"expected at most {MAX_SHAPES:,} shapes in an image, got {len(shapes):,}")
    target = np.full(size, rest, np.uint8)
    for shape in shapes:
        for polygon in shape.polygons:
            _paint_polygon(target, polygon, meanings[shape.label])
        for region in shape.regions:
            _paint_region(target, region, meanings[shape.label])
    return target


def _paint_region(target: NDArray[np.uint8], region: Region, value: int) -> None:
    height, width = region.pixels.shape
    top, left = max(region.row, 0), max(region.column, 0)
    bottom, right = min(region.row + height, target.shape[0]), min(region.column + width, target.shape[1])
    if top < bottom and left < right:
        inside = region.pixels[top - region.row : bottom - region.row, left - region.column : right - region.column]
        target[top:bottom, left:right][inside] = value


def _paint_polygon(target: NDArray[np.uint8], points: Points, value: int) -> None:
    if len(points) < 3:
        return
    height, width = target.shape
    top, bottom = _span(points[:, 1], height)
    left, right = _span(points[:, 0], width)
    if top >= bottom or left >= right:
        return
    inside = fill_polygon(points - (left, top), (bottom - top, right - left))
    target[top:bottom, left:right][inside] = value


def _span(values: NDArray[np.float64], size: int) -> tuple[int, int]:
    """Return the pixels whose centres may lie inside."""
    first, last = np.ceil(values.min() - 0.5), np.floor(values.max() - 0.5)
    return max(int(first), 0), min(int(last) + 1, size)


def fill_polygon(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixel centres (H, W) lie inside a polygon, by the even-odd rule."""
    height, width = size
    toggles = np.zeros((height, width + 1), np.uint8)
    for rows, columns in _crossings(points, height):
        np.bitwise_xor.at(toggles, (rows, np.clip(columns, 0, width)), 1)
    inside: NDArray[np.bool_] = np.bitwise_xor.accumulate(toggles[:, :width], axis=1).astype(np.bool_)
    return inside


def _crossings(points: Points, height: int) -> Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield, for blocks of edges, (row, first column right of the edge) at every row's centre."""
    start, end = points, np.roll(points, -1, axis=0)
    centres = np.arange(height) + 0.5
    block = max(1, _CELLS // max(height, 1))
    for i in range(0, len(points), block):
        (x0, y0), (x1, y1) = start[i : i + block].T, end[i : i + block].T
        crosses = (y0[:, None] <= centres) != (y1[:, None] <= centres)
        edge, row = np.nonzero(crosses)
        x = x0[edge] + (centres[row] - y0[edge]) * (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
        yield row, np.ceil(x - 0.5).astype(np.intp)
