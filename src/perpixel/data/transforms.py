"""Random changes made to an image and its target together.

    source image --- one window of it, scaled, cropped, rotated, bent, mirrored ---> crop ---> shifted
                     pixels: bilinear, averaging when they shrink; target: nearest

What lies outside the source is filled with the mean colour; what lies outside a shifted crop mirrors it. Both are
IGNORE in the target.

Letters: H W pixels, C channels.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from perpixel.data.appearance import vary_appearance, vary_gamma
from perpixel.data.masks import IGNORE
from perpixel.data.view import View, resample_pixels, resample_target
from perpixel.errors import UsageError

Pixels = NDArray[Any]
Target = NDArray[np.uint8]
Transform = Callable[[Pixels, Target, np.random.Generator], tuple[Pixels, Target]]

Probability = Annotated[float, Field(ge=0, le=1)]


class Augmentation(BaseModel):
    """How an image and its target are varied; every number is a limit, drawn anew for each image.

    Args:
        scale: Least and greatest factor of size, drawn uniformly.
        flip: Probability of mirroring left and right.
        vertical_flip: Probability of mirroring top and bottom; for views from above or through a microscope.
        transpose: Probability of exchanging rows and columns. With both mirrors these are all eight ways to lay a
            square, without resampling. Whole images that are not square (no crop) stay as they are.
        rotate: Greatest turn in degrees, either way.
        elastic: Standard deviation, in pixels, of the random displacement of a 3 x 3 grid over the crop, between
            whose nodes the picture is bent smoothly (U-Net, Sec. 3.1: 10 pixels on its tiles of 572).
        color: 0 leaves colours alone; at 1, brightness, contrast and saturation vary by ±50 % and
            each channel's gain by ±15 %.
        blur: Greatest standard deviation of a Gaussian blur, in pixels.
        noise: Greatest standard deviation of Gaussian noise, as a fraction of the full range.
        gamma: Greatest Z of a random power of all values, γ = log(1/2 + Z/√2) / log(1/2 - Z/√2); at 0.05, γ is 0.815
            to 1.227.
        shift: Greatest shift of the crop's contents along each axis, in pixels of the crop.

    Source: TobyPDE/FRRN, dltools/augmentation.py, of the last two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: tuple[float, float] = (1.0, 1.0)
    flip: Probability = 0.5
    vertical_flip: Probability = 0.0
    transpose: Probability = 0.0
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    elastic: Annotated[float, Field(ge=0, le=100)] = 0.0
    color: Probability = 0.0
    blur: Annotated[float, Field(ge=0, le=10)] = 0.0
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    gamma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    shift: Annotated[int, Field(ge=0, le=10_000)] = 0

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
    view: View | None = None,
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
        view: Which part is shown, and how, instead of one that is drawn here.

    Returns: Pixels and target of the crop's size, in their own types, contiguous.
    Raises:
        UsageError: `pixels` and `target` do not fit each other.
    """
    _check(pixels, target)
    view = view or draw_view((target.shape[0], target.shape[1]), crop_size, options, rng)
    crop, outside = resample_target(target, view)
    shown = resample_pixels(pixels, view)
    shown = vary_appearance(shown, options.color, options.blur, options.noise, rng)
    shown = vary_gamma(shown, options.gamma, rng)
    if outside is not None:
        shown[outside] = _as_fill(fill, pixels)
    if options.shift:  # drawn after all others, which stay as they are without it
        down, right = rng.integers(-options.shift, options.shift + 1, 2)
        return shift_contents(shown, crop, (int(down), int(right)))
    return shown, crop


def shift_contents(pixels: Pixels, target: Target, by: tuple[int, int]) -> tuple[Pixels, Target]:
    """Move an image and its target within their frame; what comes in mirrors the image and is IGNORE.

    Args:
        pixels: (H, W, C).
        target: Class ids, (H, W).
        by: Rows down and columns right.
    """
    rows, columns = (np.arange(length) - step for length, step in zip(target.shape, by, strict=True))
    inside = np.ix_(_reflected(rows, target.shape[0]), _reflected(columns, target.shape[1]))
    shifted = target[inside]
    shifted[(rows < 0) | (rows >= target.shape[0])] = IGNORE
    shifted[:, (columns < 0) | (columns >= target.shape[1])] = IGNORE
    return pixels[inside], shifted


def _reflected(places: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Mirror places that lie outside 0 to `length` - 1 back into it; the outermost ones are not repeated."""
    period = max(1, 2 * (length - 1))
    folded = places % period
    return np.where(folded < length, folded, period - folded)


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


def draw_view(
    image_size: tuple[int, int],
    crop_size: tuple[int, int] | None,
    options: Augmentation,
    rng: np.random.Generator,
) -> View:
    """Draw the geometry; always the same number of draws, so that options do not disturb each other.

    Only `transpose`, the latest, is drawn where it is wanted: without it all is as it was before it came.
    """
    scale, row, column, flip, vertical, turn, bend = rng.random(7)
    transposed = bool(options.transpose) and bool(rng.random() < options.transpose)
    factor = options.scale[0] + scale * (options.scale[1] - options.scale[0])
    scaled = (max(1, round(image_size[0] * factor)), max(1, round(image_size[1] * factor)))
    size = crop_size or image_size
    transposed = transposed and (crop_size is not None or size[0] == size[1])
    size = size[::-1] if transposed else size
    return View(
        size=size,
        scaled=scaled,
        corner=(_place(scaled[0], size[0], row), _place(scaled[1], size[1], column)),
        angle=options.rotate * (2 * turn - 1),
        mirrored=(bool(vertical < options.vertical_flip), bool(flip < options.flip)),
        bend=_draw_bend(options.elastic, seed=int(bend * 2**53)) if options.elastic else None,
        transposed=transposed,
    )


def _draw_bend(std: float, seed: int) -> NDArray[np.float64]:
    """Displace the nodes of a 3 x 3 grid; at most by three standard deviations."""
    return np.random.default_rng(seed).normal(0.0, std, (2, 3, 3)).clip(-3 * std, 3 * std)


def _place(length: int, window: int, position: float) -> int:
    """Put a window anywhere on a longer line, or a shorter line anywhere in the window."""
    slack = length - window
    return math.floor(position * (abs(slack) + 1)) * (1 if slack >= 0 else -1)


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
