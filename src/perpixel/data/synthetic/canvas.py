"""A sheet on which colour and class are drawn at once, so that they cannot disagree.

Shapes are drawn three times larger. The picture is the mean of each 3×3 block, as a camera's pixel is;
the class is that of the block's centre.

Letters: H W pixels. Points are (x, y): columns and rows, in pixels of the result.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from perpixel.data.masks import IGNORE

Point = tuple[float, float]
Color = tuple[int, int, int]

CLASSES = ("sky", "building", "road", "pavement", "tree", "car", "pedestrian", "pole")
SKY, BUILDING, ROAD, PAVEMENT, TREE, CAR, PEDESTRIAN, POLE = range(8)
UNLABELLED = IGNORE

FINER = 3


class Canvas:
    """Draw shapes from back to front; each takes the place of what it covers.

    Args:
        size: (H, W) of the result.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        large = (size[1] * FINER, size[0] * FINER)
        self._colors = Image.new("RGB", large)
        self._ids = Image.new("L", large, SKY)
        self._paint = ImageDraw.Draw(self._colors, "RGBA")
        self._label = ImageDraw.Draw(self._ids)

    def polygon(self, points: Iterable[Point], color: Color, label: int | None = None) -> None:
        """Fill a polygon; without a label it only recolours what is there."""
        corners = _large(points)
        self._paint.polygon(corners, fill=color)
        if label is not None:
            self._label.polygon(corners, fill=label)

    def ellipse(self, centre: Point, radii: Point, color: Color, label: int | None = None) -> None:
        """Fill an ellipse with upright axes."""
        (x, y), (width, height) = centre, radii
        box = _large([(x - width, y - height), (x + width, y + height)])
        self._paint.ellipse(box, fill=color)
        if label is not None:
            self._label.ellipse(box, fill=label)

    def bar(self, start: Point, end: Point, width: float, color: Color, label: int | None = None) -> None:
        """Draw a straight bar `width` pixels thick."""
        (x0, y0), (x1, y1) = start, end
        length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-6)
        dx, dy = (y1 - y0) / length * width / 2, (x0 - x1) / length * width / 2
        corners = [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)]
        self.polygon(corners, color, label)

    def shade(self, points: Iterable[Point], strength: float) -> None:
        """Darken a polygon; `strength` is 0 for nothing, 1 for black."""
        self._paint.polygon(_large(points), fill=(18, 22, 40, round(255 * strength)))

    def shade_ellipse(self, centre: Point, radii: Point, strength: float) -> None:
        """Darken an ellipse, less towards its edge."""
        (x, y), (width, height) = centre, radii
        for share in (1.0, 0.85, 0.7):
            box = _large([(x - share * width, y - share * height), (x + share * width, y + share * height)])
            self._paint.ellipse(box, fill=(14, 16, 28, round(255 * strength / 3)))

    def glow(self, centre: Point, radius: float, color: Color, strength: float) -> None:
        """Lay a soft light over whatever is there."""
        for step in range(10):
            reach = radius * (1 - step / 10)
            box = _large([(centre[0] - reach, centre[1] - reach), (centre[0] + reach, centre[1] + reach)])
            self._paint.ellipse(box, fill=(*color, round(255 * strength / 10)))

    def gradient(self, top: Color, bottom: Color, rows: float) -> None:
        """Fill the first rows with a gradient, and the rest with its last colour."""
        count = max(2, round(rows * FINER))
        share = np.linspace(0, 1, count)[:, None, None]
        column = np.rint(np.array(top) + share * (np.array(bottom) - np.array(top))).astype(np.uint8)
        self._colors.paste(bottom, (0, 0, *self._colors.size))
        self._colors.paste(Image.fromarray(column).resize((self._colors.width, count)), (0, 0))

    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return colours, float32 (H, W, 3), and class ids, uint8 (H, W)."""
        colors = np.asarray(self._colors.reduce(FINER), np.float32)
        ids = np.asarray(self._ids)[FINER // 2 :: FINER, FINER // 2 :: FINER]
        return np.array(colors), np.ascontiguousarray(ids)


def _large(points: Iterable[Point]) -> Sequence[Point]:
    return [(x * FINER, y * FINER) for x, y in points]
