"""Square windows around single objects: what DeconvNet is trained on, instead of whole images.

    stage 1, "object"     the tight box of one object, 1.2 times as large, square; all other classes are background
    stage 2, "proposal"   a box that overlaps an object with an IoU of 0.5 or more, made square likewise; all labels

    +-----------+        window, resized to 250 x 250        crop of 224 x 224, perhaps mirrored
    |   +---+   |   ->   +-------+                      ->   +-----+
    |   | # |   |        |  ###  |                           | ### |
    +---+---+---+        +-------+                           +-----+

What lies outside the image is black, and ignored.

Source: Noh, Hong & Han, "DeconvNet", ICCV 2015, Sec. 4.2 and 6.1; HyeonwooNoh/DeconvNet, training/00{1,2}*/*.prototxt,
    and caffe's window_seg_data_layer.cpp. Square windows that may leave the image are the released list's.
Differs: boxes of stage 2 are the object's own, moved and stretched at random until they still overlap enough, where
    the authors took EdgeBox proposals. Objects are connected parts of one class, and each class of an image is drawn
    as often as any other, where the authors repeated rare classes in their list.
Letters: H W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perpixel.data.masks import IGNORE
from perpixel.data.view import View
from perpixel.ops.components import connected_components

BACKGROUND_NAMES = ("background", "_background_", "__background__", "bg", "other", "others")
ATTEMPTS = 50
Target = NDArray[np.uint8]


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, half open: rows top..bottom, columns left..right. It may leave the image."""

    top: float
    left: float
    bottom: float
    right: float

    @property
    def area(self) -> float:
        """Its pixels."""
        return max(0.0, self.bottom - self.top) * max(0.0, self.right - self.left)

    def iou(self, other: "Box") -> float:
        """Return intersection over union."""
        both = Box(
            max(self.top, other.top), max(self.left, other.left),
            min(self.bottom, other.bottom), min(self.right, other.right),
        ).area  # fmt: skip
        return both / max(self.area + other.area - both, 1e-9)

    def square(self, context: float) -> "Box":
        """Return the square about the same centre, `context` times as long as the longer side."""
        half = context * max(self.bottom - self.top, self.right - self.left) / 2
        row, column = (self.top + self.bottom) / 2, (self.left + self.right) / 2
        return Box(row - half, column - half, row + half, column + half)


def background_id(classes: Sequence[str]) -> int | None:
    """Return the class that is nothing in particular, None where a data set has none."""
    names = [name.lower() for name in classes]
    return next((names.index(name) for name in BACKGROUND_NAMES if name in names), None)


def draw_object(
    target: Target, background: int | None, rng: np.random.Generator
) -> tuple[int, NDArray[np.bool_]] | None:
    """Draw a class of the image, then one of its connected parts, the larger the likelier.

    Returns: The class and the part (H, W), or None where there is nothing but background.
    """
    classes = [int(c) for c in np.unique(target) if c not in (IGNORE, background)]
    if not classes:
        return None
    chosen = int(rng.choice(classes))
    mask = target == chosen
    parts = connected_components(mask)
    return chosen, parts == int(rng.choice(parts[mask]))


def tight_box(mask: NDArray[np.bool_]) -> Box:
    """Return the smallest box around the pixels of a mask that has some."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return Box(float(rows[0]), float(columns[0]), float(rows[-1] + 1), float(columns[-1] + 1))


def propose(box: Box, min_iou: float, rng: np.random.Generator) -> Box:
    """Return a box moved and stretched at random that overlaps `box` with at least `min_iou`."""
    height, width = box.bottom - box.top, box.right - box.left
    for _ in range(ATTEMPTS):
        moves = rng.uniform(-0.4, 0.4, 4) * (height, width, height, width)
        moved = Box(box.top + moves[0], box.left + moves[1], box.bottom + moves[2], box.right + moves[3])
        if moved.iou(box) >= min_iou:
            return moved
    return box


def alone(target: Target, chosen: int, background: int | None) -> Target:
    """Return the target with every other class turned into background, or ignored where there is none."""
    others = (target != chosen) & (target != IGNORE)
    return np.where(others, np.uint8(IGNORE if background is None else background), target)


def window_view(
    image_size: tuple[int, int], window: Box, side: int, crop_size: tuple[int, int], flip: float,
    rng: np.random.Generator,
) -> View:  # fmt: skip
    """Return the view that resizes a square window to `side` pixels, crops it anywhere, and mirrors it."""
    factor = side / max(window.bottom - window.top, 1e-6)
    row, column, mirror = rng.random(3)
    slack = [max(0, side - length) for length in crop_size]
    corner = (
        round(window.top * factor) + int(row * (slack[0] + 1)),
        round(window.left * factor) + int(column * (slack[1] + 1)),
    )
    scaled = (max(1, round(image_size[0] * factor)), max(1, round(image_size[1] * factor)))
    return View(crop_size, scaled, corner, mirrored=(False, bool(mirror < flip)))
