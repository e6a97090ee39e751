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
        size: (H, W) of the crop, before it is transposed.
        scaled: (H, W) of the whole source after scaling.
        corner: (row, column) of the crop's first pixel on the scaled source; negative is outside.
        angle: Counter-clockwise turn about the crop's centre, in degrees.
        mirrored: Whether (rows, columns) run backwards.
        bend: How far (rows, columns) are displaced at the nodes of a coarse grid over the crop, corners
            included, in pixels: (2, n, n). Between the nodes the displacement is bicubic.
        transposed: Whether rows and columns change places last.
    """

    size: tuple[int, int]
    scaled: tuple[int, int]
    corner: tuple[int, int]
    angle: float = 0.0
    mirrored: tuple[bool, bool] = (False, False)
    bend: NDArray[np.float64] | None = None
    transposed: bool = False


def resample_target(target: Target, view: View) -> tuple[Target, NDArray[np.bool_] | None]:
    """Return the nearest ids, and where the view lies outside the source (None: nowhere)."""
    rows, columns = _source_positions(target.shape[:2], view)
    if view.transposed:
        rows, columns = np.ascontiguousarray(rows.T), np.ascontiguousarray(columns.T)
    outside = (rows < 0) | (rows >= target.shape[0]) | (columns < 0) | (columns >= target.shape[1])
    if not outside.any():
        return target[rows, columns], None
    crop = target[rows.clip(0, target.shape[0] - 1), columns.clip(0, target.shape[1] - 1)]
    crop[outside] = IGNORE
    return crop, outside


def _source_positions(source: tuple[int, ...], view: View) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the source row and column under the centre of each pixel of the crop; they broadcast."""
    backwards = _mirror(view)
    rows, columns = (positions[backwards] for positions in _positions(view))
    rows = (rows + view.corner[0]) * source[0] / view.scaled[0]
    columns = (columns + view.corner[1]) * source[1] / view.scaled[1]
    return np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)


def _positions(view: View) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where each pixel of the crop looks, from its corner, before mirroring; rows and columns broadcast."""
    height, width = view.size
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width)[None, :] + 0.5
    if view.bend is not None:
        down, right = _between_nodes(view.bend, view.size)
        rows, columns = rows + down, columns + right
    if view.angle:
        sine, cosine = math.sin(math.radians(view.angle)), math.cos(math.radians(view.angle))
        down, right = rows - height / 2, columns - width / 2
        rows, columns = cosine * down + sine * right + height / 2, cosine * right - sine * down + width / 2
    return rows, columns


def _between_nodes(nodes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Enlarge (2, n, n) to (2, H, W), bicubically, the outer nodes on the outer pixels; beyond them they repeat."""
    across, down = (_cubic_weights(length, nodes.shape[1]) for length in (size[1], size[0]))
    enlarged: NDArray[np.float64] = down @ nodes @ across.T
    return enlarged


def _cubic_weights(length: int, nodes: int) -> NDArray[np.float64]:
    """Return (length, nodes): how much of each node each pixel takes, by Keys' cubic kernel with a = -1/2."""
    places = np.linspace(0, nodes - 1, length)
    weights = np.zeros((length, nodes))
    for offset in (-1, 0, 1, 2):
        node = np.floor(places) + offset
        away = np.abs(places - node)
        near, far = 1.5 * away**3 - 2.5 * away**2 + 1, -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
        weight = np.where(away <= 1, near, np.where(away < 2, far, 0.0))
        np.add.at(weights, (np.arange(length), node.clip(0, nodes - 1).astype(np.intp)), weight)
    return weights


def _mirror(view: View) -> tuple[slice, slice]:
    rows, columns = (slice(None, None, -1 if mirrored else 1) for mirrored in view.mirrored)
    return rows, columns


def resample_pixels(pixels: Pixels, view: View) -> Pixels:
    """Return the crop's pixels; those outside the source repeat its border and are for the caller to fill."""
    if view.angle or view.bend is not None:
        margin = _margin(view)
        size = (view.size[0] + 2 * margin[0], view.size[1] + 2 * margin[1])
        window = _window(pixels, size, view.scaled, (view.corner[0] - margin[0], view.corner[1] - margin[1]))
        shown = _rotate(window, view, margin) if view.bend is None else _sample(window, view, margin)
    else:
        shown = _window(pixels, view.size, view.scaled, view.corner)
    shown = shown[_mirror(view)]
    return np.array(shown.swapaxes(0, 1) if view.transposed else shown, order="C")  # PIL's cannot be written to


def _margin(view: View) -> tuple[int, int]:
    """Return the rows above and below, and the columns on either side, that a turned or bent crop also reads."""
    sine, cosine = abs(math.sin(math.radians(view.angle))), abs(math.cos(math.radians(view.angle)))
    # The cubic kernel overshoots its nodes: its weights' absolute values sum to at most 1.25 along each axis.
    bent = 0.0 if view.bend is None else 2 * 1.25**2 * float(np.abs(view.bend).max())
    height, width = view.size[0] + bent, view.size[1] + bent
    needed = (height * cosine + width * sine, width * cosine + height * sine)
    return (
        max(0, math.ceil((needed[0] - view.size[0]) / 2) + 1),
        max(0, math.ceil((needed[1] - view.size[1]) / 2) + 1),
    )


def _sample(window: Pixels, view: View, margin: tuple[int, int]) -> Pixels:
    """Interpolate the window bilinearly where the crop's pixels look."""
    rows, columns = _positions(view)
    row = (rows + (margin[0] - 0.5)).clip(0, window.shape[0] - 1.001)
    column = (columns + (margin[1] - 0.5)).clip(0, window.shape[1] - 1.001)
    top, left = row.astype(np.intp), column.astype(np.intp)
    down, right = ((place - start).astype(np.float32)[..., None] for place, start in ((row, top), (column, left)))
    values: Pixels = window.astype(np.float32)
    upper = values[top, left] * (1 - right) + values[top, left + 1] * right
    lower = values[top + 1, left] * (1 - right) + values[top + 1, left + 1] * right
    shown: Pixels = upper * (1 - down) + lower * down
    return to_type(shown, window.dtype)


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
