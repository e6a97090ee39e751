"""Winograd's convolution: a 3 x 3 convolution with a quarter of the multiplications.

    4 x 4 outputs of a channel need a 6 x 6 patch: 36 products instead of 16 · 9 = 144

    patches (36, T, C) -> B⊗B -> (36, T, C) @ (36, C, D) -> A⊗A -> (16, T, D) -> rows and columns

Everything is a matrix product, in bands of tiles that stay in the cache; where Numba is installed, the two outer ones
are compiled sums (`winograd_compiled`). The result differs from the direct sum by rounding alone. The matrices
follow from the points at which polynomials are compared, infinity being one of them.

Source: Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, arXiv:1509.09308,
    Sec. 4.3, F(4 x 4, 3 x 3); Toom and Cook for the matrices of other sizes.
Differs: the points 0, ±3/4, ±3/2 in place of 0, ±1, ±2. The largest coefficients are smaller, and so is the error: half
    of what the paper's gave in one trial with 64 channels, 7e-7 against 14e-7 (root of mean squares, relative).
Letters: N batch, C D channels in and out, H W pixels, T tiles, m side of a tile, r side of the kernel, n = m + r − 1.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from perpixel.inference.toom_cook import POINTS, matrices
from perpixel.ops.team import standing_team

BAND_BYTES = 2**21  # of the patches and the products of a band: they stay in a second-level cache
LEAST = 64  # tiles of a band: enough rows for a fast matrix product
STEP = 256  # output channels whose weights are transformed at a time


class WinogradConv2d(nn.Module):
    """A convolution of stride 1 by a 3 x 3 or 7 x 7 kernel, for inference.

    Args:
        convolution: Whose weights are transformed, once, in float64.
        relu: Also clamp the result at 0.
    """

    kernel: Tensor
    into: Tensor
    back: Tensor

    def __init__(self, convolution: nn.Conv2d, relu: bool = False) -> None:
        super().__init__()
        self.side, points = convolution.kernel_size[0], POINTS[convolution.kernel_size[0]]
        self.tile = len(points) + 2 - self.side
        self.padding, self.relu = (int(convolution.padding[0]), int(convolution.padding[1])), relu
        self.out_channels = convolution.out_channels
        weight = convolution.weight.detach()
        into, kernel, back = (
            torch.tensor(matrix, dtype=torch.float64, device=weight.device) for matrix in matrices(self.side, points)
        )
        self.register_buffer("kernel", transform(weight, kernel))
        self.register_buffer("into", torch.kron(into, into).to(weight.dtype))
        self.register_buffer("back", torch.kron(back, back).to(weight.dtype))
        bias = weight.new_zeros(self.out_channels) if convolution.bias is None else convolution.bias.detach()
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.fits = self.side == 3 and fits_compiled(weight)

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D h w"]:
        """Convolve; the result has its channels last."""
        height, width = (
            length + 2 * padding - self.side + 1
            for length, padding in zip(features.shape[-2:], self.padding, strict=True)
        )
        rows, columns = -(-height // self.tile), -(-width // self.tile)
        result = features.new_empty(len(features), self.tile * rows, self.tile * columns, self.out_channels)
        convolve = self._share_rows if self.fits and is_compiled() else self._convolve_rows
        images = features.permute(0, 2, 3, 1)
        if images.stride()[2:] != (images.shape[3], 1):
            images = images.contiguous()
        for image, convolved in zip(images, result, strict=True):
            convolve(image, convolved, 0, rows)
        return result[:, :height, :width].permute(0, 3, 1, 2)

    def _share_rows(self, image: Float[Tensor, "H W C"], result: Float[Tensor, "_ _ D"], first: int, last: int) -> None:
        """Convolve rows of tiles, some in each thread: to wake threads within every band costs what a band takes.

        A thread's own products have one thread. PyTorch counts threads for each thread by itself.
        """
        threads, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()
        if threads == 1:
            self._convolve_compiled(image, result, first, last)
            return

        def some(above: int, below: int) -> None:
            torch.set_num_threads(1)
            with torch.inference_mode(inference):
                self._convolve_compiled(image, result, first + above, first + below)

        team = standing_team(threads)
        try:
            team.run(some, team.share(last - first))
        finally:
            torch.set_num_threads(threads)

    def _convolve_compiled(
        self, image: Float[Tensor, "H W C"], result: Float[Tensor, "_ _ D"], first: int, last: int
    ) -> None:
        """Convolve rows of tiles, the sums before and after the products compiled."""
        from perpixel.inference.winograd_compiled import Layer, convolve_rows

        step = self._rows_of_tiles(last - first, result.shape[1] // self.tile)
        convolve_rows(image, Layer(self.kernel, self.bias, self.relu, self.padding), result, first, last, step)

    def _convolve_rows(
        self, image: Float[Tensor, "H W C"], result: Float[Tensor, "_ _ D"], first: int, last: int
    ) -> None:
        """Convolve rows of tiles, a band of them at a time."""
        tile, extra, columns = self.tile, self.side - 1, result.shape[1] // self.tile
        step = self._rows_of_tiles(last - first, columns)
        band = image.new_zeros(tile * step + extra, tile * columns + extra, image.shape[2])
        for row in range(first, last, step):
            above, below = tile * row, tile * min(row + step, last)
            part = band[: below + extra - above]
            self._read(image, above - self.padding[0], part)
            self._convolve(part, result[above:below])

    def _rows_of_tiles(self, rows: int, columns: int) -> int:
        """Return how many rows of tiles make a band; all bands are about as high."""
        products, inputs, outputs = self.kernel.shape
        tiles = max(LEAST, BAND_BYTES // (self.kernel.element_size() * products * (inputs + max(inputs, outputs))))
        bands = -(-rows // max(1, -(-tiles // columns)))
        return -(-rows // bands)

    def _read(self, image: Float[Tensor, "H W C"], start: int, band: Float[Tensor, "_ _ C"]) -> None:
        """Copy rows of an image from `start` on into the middle of a band, and zeros where there are none."""
        seen = image[max(start, 0) : max(start + len(band), 0)]
        above = max(-start, 0)
        band[:above] = 0
        band[above + len(seen) :] = 0
        band[above : above + len(seen), self.padding[1] : self.padding[1] + image.shape[1]] = seen

    def _convolve(self, band: Float[Tensor, "_ _ C"], result: Float[Tensor, "_ _ D"]) -> None:
        """Convolve some rows of tiles."""
        tile, patch = self.tile, self.tile + self.side - 1
        rows, columns = result.shape[0] // tile, result.shape[1] // tile
        patches = band.unfold(0, patch, tile).unfold(1, patch, tile).permute(3, 4, 0, 1, 2).reshape(patch**2, -1)
        transformed = (self.into @ patches).view(patch**2, rows * columns, band.shape[-1])
        products = torch.bmm(transformed, self.kernel).view(patch**2, -1)
        tiles = (self.back @ products).view(tile, tile, rows, columns, -1).permute(2, 0, 3, 1, 4)
        torch.add(tiles, self.bias, out=result.view(rows, tile, columns, tile, -1))
        if self.relu:
            result.clamp_(min=0)


def fits_compiled(weight: Float[Tensor, "D C r r"]) -> bool:
    """Return whether the compiled sums take such layers: float32 on a CPU, sixteen channels at a time."""
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and not any(n % 16 for n in weight.shape[:2])


@cache
def is_compiled() -> bool:
    """Return whether Numba is there to compile them."""
    try:
        import perpixel.inference.winograd_compiled  # noqa: F401
    except ImportError:
        return False
    return True


def transform(weight: Float[Tensor, "D C r r"], matrix: Float[Tensor, "n r"]) -> Float[Tensor, "n*n C D"]:
    """Return what the transformed patches are multiplied by; some output channels at a time, to save memory."""
    both = torch.kron(matrix, matrix)
    transformed = weight.new_empty(len(both), *weight.shape[1::-1])
    for part, into in zip(torch.split(weight, STEP), torch.split(transformed, STEP, dim=2), strict=True):
        into.copy_((both @ part.double().permute(2, 3, 1, 0).flatten(0, 1).flatten(1)).view(into.shape))
    return transformed
