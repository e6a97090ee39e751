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
        exact_xy_std: The features are positions over this many pixels and nothing else, and the sum is to be exact
            (a separable Gaussian); None filters with the lattice.
    """

    features: NDArray[Any]
    weight: Any = 1.0
    exact_xy_std: float | None = None


def positions(height: int, width: int, xy_std: float | Sequence[float]) -> Array:
    """Return (H, W, 2): x and y of each pixel over the deviation, a number or one for (y, x), in pixels."""
    y_std, x_std = np.broadcast_to(np.asarray(xy_std, np.float32), (2,))
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([columns / x_std, rows / y_std], axis=-1)


def spatial_features(height: int, width: int, xy_std: float | Sequence[float]) -> Array:
    """Return the spatial kernel's features, float32 (H, W, 2).

    Args:
        height: H.
        width: W.
        xy_std: Standard deviation in pixels, or two for (y, x).
    """
    return positions(height, width, xy_std)


def bilateral_features(
    pixels: NDArray[Any], xy_std: float | Sequence[float], value_std: float | Sequence[float]
) -> Array:
    """Return the bilateral kernel's features, float32 (H, W, 2 + C).

    Args:
        pixels: (H, W) or (H, W, C) of any numbers: colours, bands, depths, learned features.
        xy_std: Standard deviation in pixels, or two for (y, x).
        value_std: Standard deviation in units of `pixels`, or one for each of the C.

    Raises:
        UsageError: `pixels` are not an image, or hold numbers that are not finite.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3:
        raise UsageError(f"refine: expected pixels (H, W) or (H, W, C), got {pixels.shape}. Give one image.")
    if not np.isfinite(pixels).all():
        raise UsageError("refine: expected finite pixels, got NaN or infinity. Fill the missing ones first.")
    height, width, channels = pixels.shape
    stds = np.broadcast_to(np.asarray(value_std, np.float32), (channels,))
    return np.concatenate([positions(height, width, xy_std), pixels.astype(np.float32) / stds], axis=-1)
