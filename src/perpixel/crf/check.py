"""Whether what is given to the CRF fits together.

Letters: K classes, H W pixels, C colours or bands, d features.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.kernels import Kernel
from perpixel.errors import UsageError

TOLERANCE = 0.01  # of a pixel's sum of probabilities: float16 loses that much over many classes
Size = tuple[int, int]


def check_probabilities(probabilities: NDArray[Any]) -> NDArray[Any]:
    """Return them, if they are (K, H, W), finite, not negative, and sum to 1.

    Raises:
        UsageError: They are not.
    """
    if probabilities.ndim != 3 or 0 in probabilities.shape:
        hint = " Take one image of the batch." if probabilities.ndim == 4 else ""
        raise UsageError(f"refine: expected probabilities (K, H, W), got {probabilities.shape}.{hint}")
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise UsageError(
            f"refine: expected probabilities as floats, got {probabilities.dtype}. "
            f"A map of class ids has none; give what the softmax gave."
        )
    sums = probabilities.sum(axis=0, dtype=np.float32)
    if not np.isfinite(sums).all():
        raise UsageError("refine: expected finite probabilities, got NaN or infinity. Look at the network's output.")
    least, largest = float(probabilities.min()), float(probabilities.max())
    if least < 0 or largest > 1 + TOLERANCE:
        raise UsageError(
            f"refine: expected probabilities from 0 to 1, got {least:.3g} to {largest:.3g}. "
            f"If these are logits, take their softmax over the classes."
        )
    if float(abs(sums - 1).max()) > TOLERANCE:
        raise UsageError(
            f"refine: expected probabilities that sum to 1 over the classes, got {float(sums.min()):.3g} to "
            f"{float(sums.max()):.3g}. Divide by the sum, with a class for everything else if there is none."
        )
    return probabilities


def check_pixels(pixels: NDArray[Any], size: Size, bilateral: tuple[float, float, float] | None) -> NDArray[Any]:
    """Return the image as (H, W, C), if it has the probabilities' size and its levels fit the deviation.

    Raises:
        UsageError: They do not.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.dtype.kind not in "uifb":
        raise UsageError(f"refine: expected pixels (H, W, 3) of numbers, got {pixels.shape} of {pixels.dtype}.")
    if pixels.shape[:2] != size:
        if pixels.shape[1:] == size:
            hint = "Move the channels last: pixels.transpose(1, 2, 0)."
        elif pixels.shape[1::-1] == size:
            hint = "Height and width are exchanged: a rotated photo?"
        else:
            hint = "Resize the probabilities to the image, or the image to them."
        raise UsageError(
            f"refine: expected pixels of the probabilities' size {size[0]} × {size[1]}, got {pixels.shape}. {hint}"
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise UsageError("refine: expected finite pixels, got NaN or infinity. Fill what is missing first.")
    if bilateral is not None and bilateral[0] > 0 and _looks_scaled(pixels) and bilateral[2] > 1:
        raise UsageError(
            f"refine: expected pixels in the units of the colour deviation {bilateral[2]:g}, got floats from "
            f"{float(pixels.min()):.3g} to {float(pixels.max()):.3g}. Multiply them by 255, or divide the deviation."
        )
    return pixels


def _looks_scaled(pixels: NDArray[Any]) -> bool:
    """Return whether these are floats from 0 to 1 that differ."""
    if pixels.dtype.kind != "f":
        return False
    least, largest = float(pixels.min()), float(pixels.max())
    return least >= 0 and largest <= 1 and largest > least


def check_kernels(kernels: Sequence[Kernel], size: Size, classes: int) -> list[Kernel]:
    """Return kernels with float32 features (H, W, d).

    Raises:
        UsageError: Features of another size, or not finite; a weight that is no number, (K,) or (K, K).
    """
    checked = []
    for number, kernel in enumerate(kernels):
        features = np.asarray(kernel.features, np.float32)
        if features.ndim == 2 and len(features) == size[0] * size[1]:
            features = features.reshape(*size, -1)
        if features.ndim != 3 or features.shape[:2] != size or not 1 <= features.shape[2] <= 32:
            raise UsageError(
                f"refine: expected features (H, W, d) of {size[0]} × {size[1]} pixels and d from 1 to 32 for kernel "
                f"{number}, got {np.shape(kernel.features)}."
            )
        if not np.isfinite(features).all() or not np.isfinite(kernel.weight).all():
            raise UsageError(f"refine: expected finite features and weights for kernel {number}, got NaN or infinity.")
        if np.shape(kernel.weight) not in ((), (classes,), (classes, classes)):
            raise UsageError(
                f"refine: expected a weight for kernel {number} that is a number, ({classes},) or "
                f"({classes}, {classes}), got {np.shape(kernel.weight)}."
            )
        checked.append(Kernel(np.ascontiguousarray(features), kernel.weight))
    return checked


def check_compatibility(compatibility: Any, classes: int) -> NDArray[np.float32] | None:
    """Return it as float32 (K, K), or None.

    Raises:
        UsageError: It is of another shape or not finite.
    """
    if compatibility is None:
        return None
    matrix = np.asarray(compatibility, np.float32)
    if matrix.shape != (classes, classes) or not np.isfinite(matrix).all():
        raise UsageError(
            f"refine: expected compatibility ({classes}, {classes}) of finite costs, got {matrix.shape}. "
            f"None costs 1 for every other class."
        )
    return matrix
