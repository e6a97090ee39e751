"""Take whatever people call an image, and make of it the pixels that a network was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from perpixel.data.images import Pixels, convert_channels, read_pixels
from perpixel.errors import UsageError

Source = str | Path | Image.Image | NDArray[Any]


def as_pixels(source: Source, channels: int, bits: int = 8) -> Pixels:
    """Return (H, W, `channels`), uint8 or uint16.

    Args:
        source: A path; a PIL image, turned as its EXIF says; or uint8 or uint16 (H, W) or (H, W, C).
        channels: Grey is repeated, colour reduced to luminance, alpha left out.
        bits: 8 or 16; the other is scaled, white to white.

    Raises:
        DataError: A file cannot be read, or has channels from which there is no way to `channels`.
        UsageError: Not an image.
    """
    if isinstance(source, str | Path):
        return _scale(read_pixels(source, channels=channels), bits)
    pixels = _from_image(source) if isinstance(source, Image.Image) else _check(source)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return fit(pixels, channels, bits, "the image given")


def fit(pixels: Pixels, channels: int, bits: int, name: str) -> Pixels:
    """Return (H, W, `channels`) of stored pixels (H, W, C), uint8 or uint16; see `as_pixels`.

    Raises:
        DataError: There is no way from C to `channels`.
    """
    if pixels.shape[2] in (2, 4) and pixels.shape[2] != channels:  # alpha
        pixels = pixels[:, :, :-1]
    return _scale(convert_channels(pixels, channels, name), bits)


def _from_image(image: Image.Image) -> Pixels:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return np.asarray(image).clip(0, 65535).astype(np.uint16)
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def _check(pixels: Any) -> Pixels:
    if not isinstance(pixels, np.ndarray):
        raise UsageError(
            f"predict: expected a path, a PIL image or an array, got {type(pixels).__name__}. "
            "Give uint8 pixels of shape (H, W, C)."
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UsageError(
            f"predict: expected uint8 or uint16 pixels, got {pixels.dtype}. "
            "Give the stored levels, e.g. (pixels * 255).astype(np.uint8) for fractions."
        )
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise UsageError(
            f"predict: expected pixels of shape (H, W) or (H, W, C), none of them 0, got {pixels.shape}. "
            "Give one image at a time."
        )
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] > 4:
        raise UsageError(
            f"predict: expected pixels of shape (H, W, C), got {pixels.shape}. "
            "Move the channels last: pixels.transpose(1, 2, 0)."
        )
    return pixels


def _scale(pixels: Pixels, bits: int) -> Pixels:
    if pixels.dtype.itemsize * 8 == bits:
        return pixels
    if bits == 16:
        return pixels.astype(np.uint16) * np.uint16(257)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
