"""Probabilities and pixels in, refined probabilities out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.kernels import Kernel
from perpixel.crf.options import Backend, CrfOptions, Normalization, SpatialFilter

Probabilities = NDArray[np.float32]


def refine(
    probabilities: NDArray[Any],
    pixels: NDArray[Any],
    bilateral: tuple[float, float, float] | None = (4.0, 49.0, 5.0),
    spatial: tuple[float, float] | None = (3.0, 3.0),
    iterations: int = 10,
    normalization: Normalization = "symmetric",
    *,
    kernels: Sequence[Kernel] = (),
    compatibility: NDArray[Any] | None = None,
    spatial_filter: SpatialFilter = "lattice",
    tile: tuple[int, int] | None = None,
    backend: Backend = "auto",
) -> Probabilities:
    """Refine (K, H, W) probabilities with the image's (H, W, C) pixels; returns float32 (K, H, W)."""
    options = CrfOptions(bilateral, spatial, iterations, normalization, spatial_filter, tile, backend)
    return refine_with(probabilities, pixels, options, kernels=kernels, compatibility=compatibility)


def refine_with(
    probabilities: NDArray[Any],
    pixels: NDArray[Any],
    options: CrfOptions,
    *,
    kernels: Sequence[Kernel] = (),
    compatibility: NDArray[Any] | None = None,
) -> Probabilities:
    """Refine as `options` say; see `refine`."""
    raise NotImplementedError
