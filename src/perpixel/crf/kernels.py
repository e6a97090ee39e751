"""What makes two pixels alike: features in units of their standard deviation, and a weight.

    k(i, j) = weight · exp(−½ |fᵢ − fⱼ|²)

    bilateral   f = (x / θα, y / θα, red / θβ, green / θβ, blue / θβ)
    spatial     f = (x / θγ, y / θγ)

Source: Krähenbühl & Koltun, NIPS 2011, Sec. 2. The order of the features is pydensecrf's; the lattice's answer
    depends on it a little.
Letters: H W pixels, C colours or bands, d features, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.errors import UsageError

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Kernel:
    """One kernel of the CRF.

    Args:
        features: (H, W, d) or (H·W, d), each divided by its standard deviation.
        weight: A number; or one for each class, (K,); or a matrix (K, K) that mixes the filtered classes, as CRF-RNN
            learns (row: the class that receives).
    """

    features: NDArray[Any]
    weight: Any = 1.0


def spatial_features(
    height: int, width: int, xy_std: float | Sequence[float], origin: tuple[int, int] = (0, 0)
) -> Array:
    """Return the spatial kernel's features, float32 (H, W, 2): x and y over the deviation.

    Args:
        height: H.
        width: W.
        xy_std: Standard deviation in pixels, or two for (y, x).
        origin: (row, column) of the first pixel, where this is a part of an image.
    """
    y_std, x_std = np.broadcast_to(np.asarray(xy_std, np.float32), (2,))
    features = np.empty((height, width, 2), np.float32)
    features[..., 0] = np.arange(origin[1], origin[1] + width, dtype=np.float32) / x_std
    features[..., 1] = (np.arange(origin[0], origin[0] + height, dtype=np.float32) / y_std)[:, None]
    return features


def bilateral_features(
    pixels: NDArray[Any],
    xy_std: float | Sequence[float],
    value_std: float | Sequence[float],
    origin: tuple[int, int] = (0, 0),
) -> Array:
    """Return the bilateral kernel's features, float32 (H, W, 2 + C).

    Args:
        pixels: (H, W) or (H, W, C) of any numbers: colours, bands, depths, learned features.
        xy_std: Standard deviation in pixels, or two for (y, x).
        value_std: Standard deviation in units of `pixels`, or one for each of the C.
        origin: (row, column) of the first pixel, where this is a part of an image.

    Raises:
        UsageError: `pixels` are not an image, or hold numbers that are not finite.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3:
        raise UsageError(f"refine: expected pixels (H, W) or (H, W, C), got {pixels.shape}. Give one image.")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise UsageError("refine: expected finite pixels, got NaN or infinity. Fill the missing ones first.")
    height, width, channels = pixels.shape
    features = np.empty((height, width, 2 + channels), np.float32)
    features[..., :2] = spatial_features(height, width, xy_std, origin)
    deviations = np.broadcast_to(np.asarray(value_std, np.float32), (channels,))
    for channel, deviation in enumerate(deviations):  # one by one: NumPy is slow where the last axis is short
        np.divide(pixels[..., channel], deviation, out=features[..., 2 + channel], dtype=np.float32, casting="unsafe")
    return features
