"""Random changes of an image's colours and sharpness; its target stays.

Letters: H W pixels, C channels.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, the weights of "L" in PIL


def vary_appearance(pixels: Pixels, color: float, blur: float, noise: float, rng: np.random.Generator) -> Pixels:
    """Vary brightness, contrast, saturation and gains; then blur and add noise.

    Args:
        pixels: uint8 or uint16, (H, W, C).
        color: 0 to 1: at 1, brightness, contrast and saturation vary by ±50 %, each channel's gain by ±15 %.
        blur: Greatest standard deviation of a Gaussian, in pixels.
        noise: Greatest standard deviation of Gaussian noise, as a fraction of the full range.
        rng: The only source of randomness.

    Returns: Pixels of the same shape and type.
    """
    if not (color or blur or noise):
        return pixels
    values = pixels.astype(np.float32)
    if color:
        values = _shift_colors(values, color, rng)
    if blur:
        values = _blur(values, blur * rng.random())
    if noise:
        strength = np.float32(noise * rng.random() * np.iinfo(pixels.dtype).max)
        values += strength * rng.standard_normal(values.shape, dtype=np.float32)
    return to_type(values, pixels.dtype)


def vary_gamma(pixels: Pixels, limit: float, rng: np.random.Generator) -> Pixels:
    """Raise every value, as a fraction of the full range, to one random power.

    Args:
        pixels: uint8 or uint16, (H, W, C).
        limit: Of Z, drawn uniformly either way; the power is log(1/2 + Z/√2) / log(1/2 - Z/√2), which makes an
            image brighter as likely as darker.
        rng: The only source of randomness; nothing is drawn where the limit is 0.

    Returns: Pixels of the same shape and type.

    Source: TobyPDE/FRRN, dltools/augmentation.py, GammaAugmentor.
    """
    if not limit:
        return pixels
    drawn = rng.uniform(-limit, limit) / math.sqrt(2)
    power = math.log(0.5 + drawn) / math.log(0.5 - drawn)
    most = np.iinfo(pixels.dtype).max
    table: Pixels = np.rint(most * (np.arange(most + 1) / most) ** power).astype(pixels.dtype)
    return table[pixels]


def _shift_colors(values: NDArray[np.float32], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
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


def to_type(values: NDArray[np.float32], dtype: np.dtype[Any]) -> Pixels:
    """Round to the nearest value that the integer type can hold."""
    np.rint(values, out=values)
    return values.clip(0, np.iinfo(dtype).max, out=values).astype(dtype)
