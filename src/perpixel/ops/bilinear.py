"""Deconvolution with a fixed bilinear kernel: how FCN enlarges its scores.

A kernel of side 2f and stride f is linear interpolation by the factor f: in the interior it equals
`interpolate(mode="bilinear", align_corners=False)`; over the outermost f/2 values it fades to zero.

Such a deconvolution treats every channel alike and is separable, so it is computed as two small matrix
products, rows @ features @ columns, and only for the window that is asked for. That is exact, five to twenty
times faster on a CPU than the transposed convolution, and deterministic on a GPU.

Letters: N batch, C channels, H W and h w sizes in and out.
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def bilinear_kernel(size: int) -> Float[Tensor, "size size"]:
    """Return the bilinear kernel of side `size`; it sums to f², f = (size + 1) // 2.

    Source: Shelhamer et al., fcn.berkeleyvision.org, surgery.py.
    """
    factor = (size + 1) // 2
    profile = 1 - (torch.arange(size) - centre(size)).abs() / factor
    return profile[:, None] * profile[None, :]


def bilinear_weight(channels: int, size: int) -> Float[Tensor, "channels channels size size"]:
    """Return a dense deconvolution weight that interpolates every channel and mixes none."""
    weight = torch.zeros(channels, channels, size, size)
    weight[range(channels), range(channels)] = bilinear_kernel(size)
    return weight


def bilinear_deconvolution(
    features: Float[Tensor, "N C H W"],
    stride: int,
    kernel_size: int | None = None,
    offset: int = 0,
    size: tuple[int, int] | None = None,
) -> Float[Tensor, "N C h w"]:
    """Enlarge every channel with a bilinear kernel, and crop.

    Args:
        features: Any size.
        stride: The factor f.
        kernel_size: Side of the kernel; 2f if not given.
        offset: Rows and columns cut off at the top and at the left.
        size: (h, w) of the result; all that is left if not given.

    Returns: What `conv_transpose2d(features, weight, stride=f)[..., offset:offset + h, offset:offset + w]`
        returns for `bilinear_weight`.
    Raises:
        ValueError: The window reaches beyond the enlarged map.
    """
    kernel_size = 2 * stride if kernel_size is None else kernel_size
    full = [stride * (length - 1) + kernel_size for length in features.shape[-2:]]
    height, width = (full[0] - offset, full[1] - offset) if size is None else size
    if offset < 0 or offset + height > full[0] or offset + width > full[1]:
        raise ValueError(
            f"bilinear_deconvolution: expected a window inside the enlarged {full[0]} x {full[1]} map, "
            f"got {height} x {width} at {offset}. Crop less, or pad the features."
        )
    window = partial(interpolation, stride=stride, kernel_size=kernel_size, offset=offset, device=features.device)
    rows = window(features.shape[-2], height).to(features.dtype)
    columns = window(features.shape[-1], width).to(features.dtype)
    return rows @ (features @ columns.T)


def interpolation(
    length: int, size: int, stride: int, kernel_size: int, offset: int, device: torch.device
) -> Float[Tensor, "size length"]:
    """Return the matrix that deconvolves `length` values and keeps `size` of them, from `offset` on."""
    factor = (kernel_size + 1) // 2
    outputs, inputs = torch.arange(size, device=device), torch.arange(length, device=device)
    tap = outputs[:, None] + offset - stride * inputs[None, :]
    return (1 - (tap - centre(kernel_size)).abs() / factor).clamp(min=0)


def enlarge(
    features: Float[Tensor, "N C h w"], stride: float, start: float, size: tuple[int, int]
) -> Float[Tensor, "N C H W"]:
    """Interpolate a map that is known to lie at certain pixels; beyond its outermost elements their values hold.

    Args:
        features: Element i of an axis lies at `start` + `stride`·i.
        stride: In pixels of the result, or in elements of a finer map.
        start: Likewise; (stride − 1) / 2 if element 0 stands for the first `stride` pixels, 0 if it is the first
            pixel's.
        size: (H, W) of the result.
    """
    rows, columns = (
        placement(length, pixels, stride, start, features.device).to(features.dtype)
        for length, pixels in zip(features.shape[-2:], size, strict=True)
    )
    # one row and column more, of weight 0: an export is tied to a product over a single element
    return rows @ (functional.pad(features, (0, 1, 0, 1)) @ columns.T)


def placement(
    length: int, size: int, stride: float, start: float, device: torch.device
) -> Float[Tensor, "size length_and_1"]:
    """Return the matrix that interpolates `length` values at `size` pixels; its last column is zero."""
    inputs = torch.arange(length + 1, device=device)
    place = ((torch.arange(size, device=device) - start) / stride).clamp(min=0)
    place = torch.minimum(place, inputs[-2:-1].to(place.dtype))
    return (1 - (place[:, None] - inputs).abs()).clamp(min=0)


def centre(size: int) -> float:
    """Return where a bilinear kernel peaks: on a tap if its side is odd, between two if it is even."""
    factor = (size + 1) // 2
    return factor - 1 if size % 2 else factor - 0.5
