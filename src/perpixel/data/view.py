"""A window of an image, scaled, turned and mirrored: where it lies, and what is seen through it.

Scaling and cropping are one step: only the part of the source that the window shows is resampled. Pixels are
interpolated bilinearly, over more of them where they shrink; targets take the id under each pixel's centre.

Letters: H W pixels, C channels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perpixel.data.appearance import to_type
from perpixel.data.masks import IGNORE

Pixels = NDArray[Any]
Target = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """Where a crop lies on the scaled source, and how it is turned.

    Args:
        size: (H, W) of the crop.
        scaled: (H, W) of the whole source after scaling.
        corner: (row, column) of the crop's first pixel on the scaled source; negative is outside.
        angle: Counter-clockwise turn about the crop's centre, in degrees.
        mirrored: Whether (rows, columns) run backwards.
    """

    size: tuple[int, int]
    scaled: tuple[int, int]
    corner: tuple[int, int]
    angle: float = 0.0
    mirrored: tuple[bool, bool] = (False, False)


def resample_target(target: Target, view: View) -> tuple[Target, NDArray[np.bool_] | None]:
    """Return the nearest ids, and where the view lies outside the source (None: nowhere)."""
    rows, columns = _source_positions(target.shape[:2], view)
    outside = (rows < 0) | (rows >= target.shape[0]) | (columns < 0) | (columns >= target.shape[1])
    if not outside.any():
        return target[rows, columns], None
    crop = target[rows.clip(0, target.shape[0] - 1), columns.clip(0, target.shape[1] - 1)]
    crop[outside] = IGNORE
    return crop, outside


def _source_positions(source: tuple[int, ...], view: View) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the source row and column under the centre of each pixel of the crop; they broadcast."""
    height, width = view.size
    rows = np.arange(height)[:: -1 if view.mirrored[0] else 1, None] + 0.5
    columns = np.arange(width)[None, :: -1 if view.mirrored[1] else 1] + 0.5
    if view.angle:
        sine, cosine = math.sin(math.radians(view.angle)), math.cos(math.radians(view.angle))
        down, right = rows - height / 2, columns - width / 2
        rows, columns = cosine * down + sine * right + height / 2, cosine * right - sine * down + width / 2
    rows = (rows + view.corner[0]) * source[0] / view.scaled[0]
    columns = (columns + view.corner[1]) * source[1] / view.scaled[1]
    return np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)


def resample_pixels(pixels: Pixels, view: View) -> Pixels:
    """Return the crop's pixels; those outside the source repeat its border and are for the caller to fill."""
    height, width = view.size
    if view.angle:
        turned = View(_bounding_size(view.size, view.angle), view.scaled, (0, 0))
        margin = ((turned.size[0] - height) // 2, (turned.size[1] - width) // 2)
        corner = (view.corner[0] - margin[0], view.corner[1] - margin[1])
        window = _window(pixels, turned.size, view.scaled, corner)
        shown = _rotate(window, view, margin)
    else:
        shown = _window(pixels, view.size, view.scaled, view.corner)
    rows, columns = (slice(None, None, -1 if mirrored else 1) for mirrored in view.mirrored)
    return np.array(shown[rows, columns], order="C")  # PIL lends arrays that cannot be written to


def _bounding_size(size: tuple[int, int], angle: float) -> tuple[int, int]:
    """Return the size that holds a rectangle turned about its centre; it exceeds `size` by even numbers."""
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    height, width = size
    needed = (height * cosine + width * sine, width * cosine + height * sine)
    return (
        height + 2 * max(0, math.ceil((needed[0] - height) / 2) + 1),
        width + 2 * max(0, math.ceil((needed[1] - width) / 2) + 1),
    )


def _window(pixels: Pixels, size: tuple[int, int], scaled: tuple[int, int], corner: tuple[int, int]) -> Pixels:
    """Cut a window out of the scaled source, repeating the source's border where the window leaves it."""
    spans = [(min(max(corner[i], 0), scaled[i] - 1), max(min(corner[i] + size[i], scaled[i]), 1)) for i in (0, 1)]
    (top, bottom), (left, right) = ((a, max(a + 1, b)) for a, b in spans)
    shown = _resize_part(pixels, scaled, (top, bottom, left, right))
    before = (max(0, top - corner[0]), max(0, left - corner[1]))
    after = (size[0] - before[0] - (bottom - top), size[1] - before[1] - (right - left))
    if not any(before) and not any(after):
        return shown
    return _pad(shown, size, before)


def _pad(shown: Pixels, size: tuple[int, int], before: tuple[int, int]) -> Pixels:
    """Repeat the border of `shown` so that it fills `size`."""
    rows = (np.arange(size[0]) - before[0]).clip(0, shown.shape[0] - 1)
    columns = (np.arange(size[1]) - before[1]).clip(0, shown.shape[1] - 1)
    padded: Pixels = shown[rows[:, None], columns[None, :]]
    return padded


def _resize_part(pixels: Pixels, scaled: tuple[int, int], part: tuple[int, int, int, int]) -> Pixels:
    """Resize the source to `scaled`, but compute only rows top..bottom and columns left..right of it."""
    top, bottom, left, right = part
    if pixels.shape[:2] == scaled:
        return pixels[top:bottom, left:right]
    (y0, y1, first_row, last_row) = _source_span(top, bottom, pixels.shape[0], scaled[0])
    (x0, x1, first_column, last_column) = _source_span(left, right, pixels.shape[1], scaled[1])
    needed = pixels[first_row:last_row, first_column:last_column]
    box = (x0 - first_column, y0 - first_row, x1 - first_column, y1 - first_row)
    size = (right - left, bottom - top)

    def resize(image: Image.Image) -> Image.Image:
        return image.resize(size, Image.Resampling.BILINEAR, box=box)

    return _each_image(needed, resize)


def _source_span(start: int, stop: int, source: int, scaled: int) -> tuple[float, float, int, int]:
    """Return where start..stop lie on the source, and the source indices that bilinear averaging reads."""
    factor = source / scaled
    first, last = start * factor, min(stop * factor, float(source))
    reach = max(1.0, factor) + 1
    return first, last, max(0, math.floor(first - reach)), min(source, math.ceil(last + reach))


def _rotate(window: Pixels, view: View, margin: tuple[int, int]) -> Pixels:
    """Turn the window about its centre and keep the middle; the margins say what surrounds it."""
    height, width = view.size
    sine, cosine = math.sin(math.radians(view.angle)), math.cos(math.radians(view.angle))
    middle_x, middle_y = width / 2, height / 2
    matrix = (
        cosine, -sine, margin[1] + middle_x - cosine * middle_x + sine * middle_y,
        sine, cosine, margin[0] + middle_y - sine * middle_x - cosine * middle_y,
    )  # fmt: skip

    def turn(image: Image.Image) -> Image.Image:
        return image.transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)

    return _each_image(window, turn)


def _each_image(pixels: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Apply `change` to all channels at once where PIL can hold them, else to one channel at a time."""
    if pixels.dtype == np.uint8 and pixels.shape[2] in (1, 3):
        source = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        changed = np.asarray(change(Image.fromarray(np.ascontiguousarray(source))))
        return changed.reshape(*changed.shape[:2], pixels.shape[2])
    channels = np.moveaxis(pixels, 2, 0).astype(np.float32, order="C")
    changed = np.stack([np.asarray(change(Image.fromarray(channel))) for channel in channels], axis=2)
    return to_type(changed, pixels.dtype)
