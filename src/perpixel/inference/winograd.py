"""Winograd's convolution: a 3 x 3 convolution with a quarter of the multiplications.

    4 x 4 outputs of a channel need a 6 x 6 patch: 36 products instead of 16 · 9 = 144

    patches (36, T, C) -> B⊗B -> (36, T, C) @ (36, C, D) -> A⊗A -> (16, T, D) -> rows and columns

Everything is a matrix product, in bands of tiles that stay in the cache. The result differs from the direct sum by
rounding alone: some 1e-5 of the largest value.

Source: Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, arXiv:1509.09308,
    Sec. 4.3, F(4 x 4, 3 x 3).
Letters: N batch, C D channels in and out, H W pixels, T tiles.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

TILES = 256  # a band has at least so many, if the map has: enough rows for a fast matrix product

INPUT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
KERNEL = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
OUTPUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


class WinogradConv2d(nn.Module):
    """A 3 x 3 convolution of stride 1, for inference.

    Args:
        convolution: Whose weights are transformed, once, in float64.
        relu: Also clamp the result at 0.
    """

    kernel: Tensor
    into: Tensor
    back: Tensor

    def __init__(self, convolution: nn.Conv2d, relu: bool = False) -> None:
        super().__init__()
        self.padding, self.relu = (int(convolution.padding[0]), int(convolution.padding[1])), relu
        self.out_channels = convolution.out_channels
        weight = convolution.weight.detach()
        both = torch.einsum("ia,jb,dcab->ijcd", *[weight.new_tensor(KERNEL).double()] * 2, weight.double())
        self.register_buffer("kernel", both.flatten(0, 1).to(weight.dtype).contiguous())
        for name, matrix in (("into", INPUT), ("back", OUTPUT)):
            self.register_buffer(name, torch.kron(*[weight.new_tensor(matrix)] * 2))
        bias = convolution.bias
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D h w"]:
        """Convolve; the result has its channels last."""
        batch, _, height, width = features.shape
        height, width = height + 2 * self.padding[0] - 2, width + 2 * self.padding[1] - 2
        rows, columns = -(-height // 4), -(-width // 4)
        padded = self._pad(features, 4 * rows + 2, 4 * columns + 2)
        result = features.new_empty(batch, 4 * rows, 4 * columns, self.out_channels)
        step = -(-TILES // columns)
        for image in range(batch):
            for row in range(0, rows, step):
                stop = min(row + step, rows)
                self._band(padded[image, 4 * row : 4 * stop + 2], result[image, 4 * row : 4 * stop])
        return result[:, :height, :width].permute(0, 3, 1, 2)

    def _pad(self, features: Tensor, height: int, width: int) -> Float[Tensor, "N _ _ C"]:
        top, left = self.padding
        bottom, right = height - features.shape[-2] - top, width - features.shape[-1] - left
        return functional.pad(features.permute(0, 2, 3, 1), (0, 0, left, right, top, bottom))

    def _band(self, padded: Float[Tensor, "_ _ C"], result: Float[Tensor, "_ _ D"]) -> None:
        """Convolve some rows of tiles."""
        rows, columns, channels = result.shape[0] // 4, result.shape[1] // 4, padded.shape[-1]
        patches = padded.unfold(0, 6, 4).unfold(1, 6, 4).permute(3, 4, 0, 1, 2).reshape(36, -1)
        products = torch.bmm((self.into @ patches).view(36, rows * columns, channels), self.kernel)
        tiles = (self.back @ products.view(36, -1)).view(4, 4, rows, columns, -1).permute(2, 0, 3, 1, 4)
        result = result.view(rows, 4, columns, 4, -1)
        if self.bias is None:
            result.copy_(tiles)
        else:
            torch.add(tiles, self.bias, out=result)
        if self.relu:
            result.clamp_(min=0)
