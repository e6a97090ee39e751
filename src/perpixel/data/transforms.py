"""Random changes made to an image and its target together.

    source image --- one window of it, scaled, cropped, rotated, mirrored ---> crop
                     pixels: bilinear, averaging when they shrink; target: nearest

Scaling and cropping are one step: only the part of the source that the crop shows is resampled.
What lies outside the source is filled with the mean colour, and is IGNORE in the target.

Letters: H W pixels, C channels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, field_validator

from perpixel.data.masks import IGNORE
from perpixel.errors import UsageError

Pixels = NDArray[Any]
Target = NDArray[np.uint8]
Transform = Callable[[Pixels, Target, np.random.Generator], tuple[Pixels, Target]]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, the weights of "L" in PIL
Probability = Annotated[float, Field(ge=0, le=1)]


class Augmentation(BaseModel):
    """How an image and its target are varied; every number is a limit, drawn anew for each image.

    Args:
        scale: Least and greatest factor of size, drawn uniformly.
        flip: Probability of mirroring left and right.
        vertical_flip: Probability of mirroring top and bottom; for views from above or through a microscope.
        rotate: Greatest turn in degrees, either way.
        color: 0 leaves colours alone; at 1, brightness, contrast and saturation vary by ±50 % and
            each channel's gain by ±15 %.
        blur: Greatest standard deviation of a Gaussian blur, in pixels.
        noise: Greatest standard deviation of Gaussian noise, as a fraction of the full range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: tuple[float, float] = (1.0, 1.0)
    flip: Probability = 0.5
    vertical_flip: Probability = 0.0
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    color: Probability = 0.0
    blur: Annotated[float, Field(ge=0, le=10)] = 0.0
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0

    @field_validator("scale")
    @classmethod
    def _scale_is_a_range(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0.01 <= scale[0] <= scale[1] <= 100:
            raise ValueError(f"expected 0.01 <= least <= greatest <= 100, got {scale}. Say e.g. (0.5, 2.0).")
        return scale


def augment(
    pixels: Pixels,
    target: Target,
    crop_size: tuple[int, int] | None,
    options: Augmentation,
    rng: np.random.Generator,
    fill: Sequence[float] | None = None,
) -> tuple[Pixels, Target]:
    """Return one random view of an image and of its target.

    Args:
        pixels: uint8 or uint16, (H, W, C).
        target: uint8 class ids, (H, W).
        crop_size: (H, W) of the result; None keeps the image's own size.
        options: What may vary, and by how much.
        rng: The only source of randomness: the same state gives the same result.
        fill: What to show outside the image, one value a channel, in the units of `pixels`; the data
            set's mean. None takes the mean of this image.

    Returns: Pixels and target of the crop's size, in their own types, contiguous.
    Raises:
        UsageError: `pixels` and `target` do not fit each other.
    """
    _check(pixels, target)
    view = draw_view((target.shape[0], target.shape[1]), crop_size, options, rng)
    crop, outside = resample_target(target, view)
    shown = resample_pixels(pixels, view)
    shown = _vary_colors(shown, options, rng)
    if outside is not None:
        shown[outside] = _as_fill(fill, pixels)
    return shown, crop


def from_albumentations(transform: Callable[..., Any]) -> Transform:
    """Let an albumentations pipeline, or anything called like one, stand where `augment` does.

    Args:
        transform: Called as `transform(image=pixels, mask=target)`; returns a mapping with both names.

    Returns: A function of (pixels, target, rng). Where the pipeline has `set_random_seed`, `rng` seeds it.
    """

    def apply(pixels: Pixels, target: Target, rng: np.random.Generator) -> tuple[Pixels, Target]:
        if hasattr(transform, "set_random_seed"):
            transform.set_random_seed(int(rng.integers(2**31)))
        result = transform(image=pixels, mask=target)
        changed = np.asarray(result["image"])
        changed = changed[..., None] if changed.ndim == 2 else changed
        mask = np.ascontiguousarray(result["mask"], dtype=np.uint8)
        _check(changed, mask)
        return np.ascontiguousarray(changed), mask

    return apply


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


def draw_view(
    image_size: tuple[int, int],
    crop_size: tuple[int, int] | None,
    options: Augmentation,
    rng: np.random.Generator,
) -> View:
    """Draw the geometry; always the same number of draws, so that options do not disturb each other."""
    scale, row, column, flip, vertical, turn = rng.random(6)
    factor = options.scale[0] + scale * (options.scale[1] - options.scale[0])
    scaled = (max(1, round(image_size[0] * factor)), max(1, round(image_size[1] * factor)))
    size = crop_size or image_size
    return View(
        size=size,
        scaled=scaled,
        corner=(_place(scaled[0], size[0], row), _place(scaled[1], size[1], column)),
        angle=options.rotate * (2 * turn - 1),
        mirrored=(bool(vertical < options.vertical_flip), bool(flip < options.flip)),
    )


def _place(length: int, window: int, position: float) -> int:
    """Put a window anywhere on a longer line, or a shorter line anywhere in the window."""
    slack = length - window
    return math.floor(position * (abs(slack) + 1)) * (1 if slack >= 0 else -1)


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


def _window(
    pixels: Pixels, size: tuple[int, int], scaled: tuple[int, int], corner: tuple[int, int]
) -> Pixels:
    """Cut a window out of the scaled source, repeating the source's border where the window leaves it."""
    spans = [
        (min(max(corner[i], 0), scaled[i] - 1), max(min(corner[i] + size[i], scaled[i]), 1)) for i in (0, 1)
    ]
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
    return _to_type(changed, pixels.dtype)


def _to_type(values: NDArray[np.float32], dtype: np.dtype[Any]) -> Pixels:
    """Round to the nearest value that the integer type can hold."""
    np.rint(values, out=values)
    return values.clip(0, np.iinfo(dtype).max, out=values).astype(dtype)


def _vary_colors(pixels: Pixels, options: Augmentation, rng: np.random.Generator) -> Pixels:
    """Vary brightness, contrast, saturation and gains; then blur and add noise."""
    if not (options.color or options.blur or options.noise):
        return pixels
    values = pixels.astype(np.float32)
    if options.color:
        values = _shift_colors(values, options.color, rng)
    if options.blur:
        values = _blur(values, options.blur * rng.random())
    if options.noise:
        strength = np.float32(options.noise * rng.random() * np.iinfo(pixels.dtype).max)
        values += strength * rng.standard_normal(values.shape, dtype=np.float32)
    return _to_type(values, pixels.dtype)


def _shift_colors(
    values: NDArray[np.float32], strength: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Apply one random affine map to every pixel's channels."""
    channels = values.shape[2]
    brightness, contrast, saturation = rng.uniform(-0.5, 0.5, 3) * strength
    gains = ((1 + brightness) * (1 + strength * rng.uniform(-0.15, 0.15, channels))).astype(np.float32)
    offset = np.float32(-contrast * values.mean()) * gains  # contrast turns about the image's mean
    gains *= np.float32(1 + contrast)
    if channels != 3:
        values *= gains
        values += offset
        return values
    mix = np.float32(1 + saturation) * np.eye(3, dtype=np.float32) - np.float32(saturation) * LUMA[:, None]
    mixed: NDArray[np.float32] = values.reshape(-1, 3) @ (mix * gains)
    mixed += offset
    return mixed.reshape(values.shape)


def _blur(values: NDArray[np.float32], std: float) -> NDArray[np.float32]:
    """Blur with a Gaussian of `std` pixels, along rows and then along columns; borders are repeated."""
    reach = math.ceil(2.5 * std)
    if reach == 0:
        return values
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(std, 1e-6)) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    for axis in (0, 1):
        length = values.shape[axis]
        width = [(reach, reach) if i == axis else (0, 0) for i in range(3)]
        padded = np.moveaxis(np.pad(values, width, mode="edge"), axis, 0)
        values = np.zeros_like(padded[:length])
        for i, weight in enumerate(kernel):
            values += weight * padded[i : i + length]
        values = np.ascontiguousarray(np.moveaxis(values, 0, axis))
    return values


def _as_fill(fill: Sequence[float] | None, pixels: Pixels) -> Pixels:
    """Return one value a channel in the image's own type."""
    values = pixels.mean(axis=(0, 1)) if fill is None else np.asarray(fill, np.float64)
    if values.shape != pixels.shape[2:]:
        raise UsageError(
            f"augment: expected fill to hold {pixels.shape[2]} values, got {values.size}. Give one a channel."
        )
    shown: Pixels = np.rint(values).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return shown


def _check(pixels: Pixels, target: Target) -> None:
    if pixels.ndim != 3 or pixels.dtype not in (np.uint8, np.uint16):
        raise UsageError(
            f"augment: expected pixels of shape (H, W, C) in uint8 or uint16, got {pixels.shape} in "
            f"{pixels.dtype}. Grey images have C = 1: pixels[..., None]."
        )
    if target.shape != pixels.shape[:2]:
        raise UsageError(
            f"augment: expected a target of the image's size {pixels.shape[:2]}, got {target.shape}. "
            "Both must come from one pair."
        )
