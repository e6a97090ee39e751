"""Probabilities and pixels in, refined probabilities out.

    probabilities ─ check ─ log ─┐
    pixels ─ features / std ─────┴─ mean field ─ probabilities      whole, or tile by tile and blended

Letters: K classes, H W pixels, C colours or bands, N = H·W.
"""

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.check import check_compatibility, check_kernels, check_pixels, check_probabilities
from perpixel.crf.kernels import Kernel, bilateral_features, spatial_features
from perpixel.crf.options import Backend, CrfOptions, Normalization, SpatialFilter
from perpixel.crf.tiles import refine_tiled
from perpixel.errors import UsageError

Probabilities = NDArray[np.float32]
LEAST = 1e-5  # smaller probabilities are taken for this, as pydensecrf's unary_from_softmax does
PIXELS_A_THREAD = 4096  # fewer are not worth another


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
    """Let probabilities follow the image's edges: mean field in a fully connected CRF.

    Args:
        probabilities: (K, H, W), of any network; they sum to 1 over K. Those below 1e-5 are taken for 1e-5.
        pixels: The image at the same size: uint8 (H, W, 3), or (H, W) or (H, W, C) of any numbers, in the units of
            the kernel's deviation.
        bilateral: (weight, standard deviation in pixels, in levels), or None.
        spatial: (weight, standard deviation in pixels), or None.
        iterations: Mean-field updates.
        normalization: "symmetric" as pydensecrf, "after" as DeepLab's programs, "none"; see `CrfOptions`.
        kernels: Further kernels, with any features.
        compatibility: (K, K), the cost of one class beside another; row: the pixel's class, column: the other's.
            None is Potts's: 1 for every other class.
        spatial_filter: "lattice", or "gaussian" for the exact sum of the spatial kernel.
        tile: (H, W): larger images are refined in tiles of this size that overlap and blend, in pixels.
        backend: "numba", "torch", or "auto".

    Returns: float32 (K, H, W); they sum to 1 over K.
    Raises:
        UsageError: Something does not fit; the message says what.

    Time and memory grow linearly with H·W. Whole, an image takes about 9·K + 150 bytes a pixel beside input and output,
    with K rounded up to 2, 4 or a multiple of eight; a tile bounds it. Numba compiles once, in about ten seconds, and
    keeps the result on disk. As many threads are used as PyTorch is set to; the answer does not depend on how many.

    Source: Krähenbühl & Koltun, NIPS 2011, Alg. 1, with the lattice and the normalisation of pydensecrf (their code of
        2013), whose answer this is to about 1e-5.
    """
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
    """Refine as `options` say; see `refine`.

    Raises:
        UsageError: Something does not fit; the message says what.
    """
    probabilities = check_probabilities(np.asarray(probabilities))
    classes, height, width = probabilities.shape
    pixels = check_pixels(np.asarray(pixels), (height, width), options.bilateral)
    more = check_kernels(kernels, (height, width), classes)
    matrix = check_compatibility(compatibility, classes)
    if classes == 1:
        return np.ones(probabilities.shape, np.float32)

    def refine_part(rows: slice, columns: slice) -> Probabilities:
        part = [Kernel(kernel.features[rows, columns], kernel.weight) for kernel in more]
        origin = (rows.start, columns.start)
        return _refine(probabilities[:, rows, columns], pixels[rows, columns], origin, options, part, matrix)

    if options.tile is None or (height <= options.tile[0] and width <= options.tile[1]):
        return refine_part(slice(0, height), slice(0, width))
    return refine_tiled((classes, height, width), options.tile, _overlap(options), refine_part)


def _overlap(options: CrfOptions) -> int:
    """Return how far tiles overlap: two of the widest kernel's deviations, at most half a tile."""
    assert options.tile is not None
    stds = [kernel[1] for kernel in (options.bilateral, options.spatial) if kernel is not None]
    return int(min(max(8, 2 * max(stds, default=8)), *(side // 2 for side in options.tile)))


def _refine(
    probabilities: NDArray[Any],
    pixels: NDArray[Any],
    origin: tuple[int, int],
    options: CrfOptions,
    kernels: Sequence[Kernel],
    compatibility: Probabilities | None,
) -> Probabilities:
    """Refine one image, or one tile of it."""
    _, height, width = probabilities.shape
    exact = options.spatial if options.spatial_filter == "gaussian" else None
    used: list[Kernel] = []
    if options.spatial is not None and exact is None and options.spatial[0] > 0:
        used.append(Kernel(spatial_features(height, width, options.spatial[1], origin), options.spatial[0]))
    if options.bilateral is not None and options.bilateral[0] > 0:
        weight, xy_std, value_std = options.bilateral
        used.append(Kernel(bilateral_features(pixels, xy_std, value_std, origin), weight))
    used.extend(kernels)
    if _backend(options) == "torch":
        return _with_torch(probabilities, used, exact, options, compatibility)
    return _with_numba(probabilities, used, exact, options, compatibility)


def _backend(options: CrfOptions) -> str:
    """Return which backend serves.

    Raises:
        UsageError: The one that is asked for cannot.
    """
    compiled = importlib.util.find_spec("numba") is not None
    if options.backend == "numba" and not compiled:
        raise UsageError("refine: expected Numba for backend='numba', found none. pip install 'perpixel[fast]'.")
    return "torch" if options.backend == "torch" or not compiled else "numba"


def _with_numba(
    probabilities: NDArray[Any],
    kernels: Sequence[Kernel],
    exact: tuple[float, float] | None,
    options: CrfOptions,
    compatibility: Probabilities | None,
) -> Probabilities:
    """Refine with the compiled lattice."""
    from perpixel.crf.mean_field import Model, mean_field

    classes, height, width = probabilities.shape
    weights = [kernel.weight for kernel in kernels] + ([exact[0]] if exact is not None else [])
    strengths, mixing = _mixing(weights, compatibility, classes)
    features = [kernel.features.reshape(height * width, -1) for kernel in kernels]
    exactly = None if exact is None else (height, width, exact[1], strengths[-1])
    model = Model(features, strengths[: len(features)], exactly, mixing, options.normalization)
    planes = np.ascontiguousarray(probabilities, np.float32).reshape(classes, -1)
    threads = _threads(height * width)
    return mean_field(planes, LEAST, model, options.iterations, threads).reshape(probabilities.shape)


def _log(probabilities: NDArray[Any]) -> Probabilities:
    """Return the logarithm, of at least LEAST."""
    clipped: Probabilities = np.ascontiguousarray(np.clip(probabilities, LEAST, 1, dtype=np.float32))
    np.log(clipped, out=clipped)
    return clipped


def _mixing(
    weights: Sequence[Any], compatibility: Probabilities | None, classes: int
) -> tuple[list[float], Probabilities | None]:
    """Return a weight for each kernel, and the matrices that mix the messages where weights alone do not say it.

    Under Potts a message adds to its own class alone: what all the others cost is the same for every class.
    """
    numbers = all(np.ndim(weight) == 0 for weight in weights)
    if numbers and compatibility is None:
        return [float(weight) for weight in weights], None
    gain = np.eye(classes, dtype=np.float32) if compatibility is None else -compatibility
    if numbers:
        return [float(weight) for weight in weights], gain[None]
    return [1.0] * len(weights), np.stack([gain @ _matrix(weight, classes) for weight in weights]).astype(np.float32)


def _matrix(weight: Any, classes: int) -> Probabilities:
    """Return a kernel's weight as a matrix (K, K)."""
    if np.ndim(weight) == 2:
        return np.asarray(weight, np.float32)
    return np.diag(np.broadcast_to(np.asarray(weight, np.float32), (classes,)))


def _with_torch(
    probabilities: NDArray[Any],
    kernels: Sequence[Kernel],
    exact: tuple[float, float] | None,
    options: CrfOptions,
    compatibility: Probabilities | None,
) -> Probabilities:
    """Refine with PyTorch's lattice."""
    import torch

    from perpixel.crf.torch_mean_field import mean_field_torch

    classes, height, width = probabilities.shape
    unary = torch.from_numpy(-_log(probabilities).reshape(classes, -1))
    features = [torch.from_numpy(kernel.features.reshape(height * width, -1)) for kernel in kernels]
    weights = [torch.as_tensor(np.asarray(kernel.weight, np.float32)) for kernel in kernels]
    matrix = None if compatibility is None else torch.from_numpy(compatibility)
    exactly = None if exact is None else (height, width, exact[1], exact[0])
    with torch.no_grad():
        beliefs = mean_field_torch(unary, features, weights, matrix, options.iterations, options.normalization, exactly)
    answer: Probabilities = beliefs.numpy().reshape(probabilities.shape)
    return answer


def _threads(pixels: int) -> int:
    """Return how many threads to use: as many as PyTorch does, where it is loaded."""
    torch = sys.modules.get("torch")
    if torch is not None:
        most = int(torch.get_num_threads())
    else:
        said = os.environ.get("OMP_NUM_THREADS", "")
        most = int(said) if said.isdigit() and int(said) > 0 else os.cpu_count() or 1
    return max(1, min(most, pixels // PIXELS_A_THREAD))
