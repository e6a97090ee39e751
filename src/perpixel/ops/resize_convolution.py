"""Resize-convolution, the cure for the checkerboards of deconvolution, and a measure of them.

    deconvolution 3 x 3, stride 2       1 2 1 2 1      windows overlap unevenly:
    of a constant                       2 4 2 4 2      the grid shows before anything is learned
                                        1 2 1 2 1
    enlarge, then convolve              1 1 1 1 1      every output is made alike

A deconvolution whose side its stride divides overlaps evenly; what it learns may still be uneven.

Source: Odena, Dumoulin, Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.
Letters: N batch, C K channels in and out, H W and h w sizes in and out, s stride.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def resize_convolution(
    features: Float[Tensor, "N C H W"],
    weight: Float[Tensor, "K C i j"],
    bias: Float[Tensor, "K"] | None = None,
    factor: int = 2,
    mode: Literal["nearest", "bilinear"] = "nearest",
) -> Float[Tensor, "N K h w"]:
    """Enlarge by interpolation, then convolve at stride 1.

    Args:
        features: Any size.
        weight: Of the convolution; odd sides.
        bias: Of the convolution.
        factor: How many times larger the result is.
        mode: Of the interpolation. Distill found nearest to work best.

    Returns: h = factor · H, w = factor · W. The border is repeated, not zero, so that a constant stays one.
    """
    larger = functional.interpolate(features, scale_factor=factor, mode=mode)
    rows, columns = (side // 2 for side in weight.shape[-2:])
    framed = functional.pad(larger, (columns, columns, rows, rows), mode="replicate")
    return functional.conv2d(framed, weight, bias)


def checkerboard_energy(features: Float[Tensor, "N C H W"], stride: int) -> float:
    """Return how much of a map's variance is a grid of period `stride`: 0 none, 1 all of it.

    The share that the place within a cell explains: the variance of the s² means, taken over all values at one
    place of their cells, in the whole variance, summed over images and channels. In frequencies, it is the
    energy at the multiples of 1/s.

    Args:
        features: At least one cell of `stride` pixels; what is left at the bottom and at the right is not
            counted. Cut the border off first if it is padded with zeros.
        stride: Period of the grid, in elements of the map.

    Raises:
        ValueError: The map is smaller than a cell, or the stride below 1.
    """
    height, width = (length // stride if stride > 0 else 0 for length in features.shape[-2:])
    if not height or not width:
        raise ValueError(
            f"checkerboard_energy: expected a map of at least {stride} x {stride}, got {tuple(features.shape[-2:])}. "
            "Give a larger map, or the stride of its deconvolution."
        )
    whole = features[..., : height * stride, : width * stride].double()
    centred = whole - whole.mean((-2, -1), keepdim=True)
    phases = centred.reshape(*centred.shape[:2], height, stride, width, stride).mean((2, 4))
    total = centred.square().mean((-2, -1)).sum()
    grid = phases.square().mean((-2, -1)).sum()
    noise = torch.finfo(features.dtype).eps ** 2 * whole.square().mean((-2, -1)).sum()
    return float(grid / total) if total > 16 * noise else 0.0
