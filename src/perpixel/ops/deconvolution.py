"""Deconvolution, and what it is: the transpose of convolution's matrix.

    convolution     y = A x      many pixels -> few       A: rows are outputs, columns are inputs
    deconvolution   x' = Aᵀ y    few -> many              <A x, y> = <x, Aᵀ y> for every x and y

It undoes the sizes of a convolution, not its values; "transposed convolution" says it better.

Source: Zeiler et al., "Deconvolutional Networks", CVPR 2010; as a layer, Shelhamer et al., "FCN", Sec. 3.3, and
    Noh et al., "DeconvNet", ICCV 2015, Sec. 3.2. Dumoulin & Visin, arXiv:1603.07285, Sec. 4, for the matrix.
Letters: N batch, C channels of the many, K of the few, H W sizes of the many, h w of the few.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def deconvolution(
    features: Float[Tensor, "N K h w"],
    weight: Float[Tensor, "K C i j"],
    stride: int = 1,
    padding: int = 0,
    size: tuple[int, int] | None = None,
) -> Float[Tensor, "N C H W"]:
    """Spread every value over its window, weighted; add where windows overlap.

    Args:
        features: The few.
        weight: As the convolution that this transposes holds it: `conv2d(image, weight)` gives K channels.
        stride: Pixels from one window to the next.
        padding: Rows and columns cut off on each side.
        size: (H, W) of the result. A convolution of stride s gives the same size for s sizes of its input, so
            this says which is meant; the smallest if not given.

    Raises:
        ValueError: The convolution does not lead from `size` to that of `features`.
    """
    smallest = [
        stride * (length - 1) + side - 2 * padding
        for length, side in zip(features.shape[-2:], weight.shape[-2:], strict=True)
    ]
    height, width = size or smallest
    extra = (height - smallest[0], width - smallest[1])
    if not all(0 <= more < stride for more in extra):
        raise ValueError(
            f"deconvolution: expected a size from {smallest[0]} x {smallest[1]} to {smallest[0] + stride - 1} x "
            f"{smallest[1] + stride - 1}, got {height} x {width}. Give the size before the convolution."
        )
    return functional.conv_transpose2d(features, weight, stride=stride, padding=padding, output_padding=extra)


def convolution_matrix(
    weight: Float[Tensor, "K C i j"], size: tuple[int, int], stride: int = 1, padding: int = 0, dilation: int = 1
) -> Float[Tensor, "K*h*w C*H*W"]:
    """Return the matrix A of a convolution: `conv2d(image, …).flatten() == A @ image.flatten()` for one image.

    Args:
        weight: Of the convolution.
        size: (H, W) of the image. The matrix has C·H·W columns: keep it small.
        stride: As in the convolution.
        padding: As in the convolution.
        dilation: As in the convolution.

    Returns: Dense. Column p is the convolution of an image that is 1 at p and 0 elsewhere.
    """
    inputs = weight.shape[1] * size[0] * size[1]
    units = torch.eye(inputs, dtype=weight.dtype, device=weight.device).reshape(inputs, weight.shape[1], *size)
    return functional.conv2d(units, weight, stride=stride, padding=padding, dilation=dilation).flatten(1).T
