"""The spatial kernel's exact sum in PyTorch: a Gaussian down the columns, then along the rows.

    values (N·H·W, K) -> (H, N·W·K) sums of rows -> (W, N·H·K) sums of columns -> (N·H·W, K)

Cut off at five standard deviations, as in `gaussian.py`. Unlike the lattice it has no gain, and it is symmetric, so
it is its own transpose.

Letters: N images, K values a pixel, H W pixels.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from perpixel.crf.options import Normalization
from perpixel.crf.torch_lattice import weighted_sums

REACH = 5.0  # standard deviations
TINY = 1e-20


@dataclass(frozen=True, eq=False)
class GaussianFilter:
    """A Gaussian over positions, and each pixel's factors before and after it; built by `GaussianFilter.of`."""

    down: "Line"
    along: "Line"
    before: Float[Tensor, " HW"] | None
    after: Float[Tensor, " HW"] | None

    @classmethod
    def of(
        cls,
        size: tuple[int, int],
        xy_std: float,
        normalization: Normalization = "symmetric",
        like: Tensor | None = None,
    ) -> Self:
        """Build a filter.

        Args:
            size: (H, W) of every image.
            xy_std: Standard deviation in pixels.
            normalization: By n, the filtered map of ones; see `NormalizedFilter.of`.
            like: Device and type of the weights are this tensor's; float32 on the CPU without.
        """
        like = torch.empty(0) if like is None else like
        down, along = (Line.of(length, xy_std, like) for length in size)
        norm = (down.weights.sum(1)[:, None] * along.weights.sum(1)).flatten() + TINY
        if normalization == "none":
            return cls(down, along, None, None)
        if normalization == "after":
            return cls(down, along, None, 1 / norm)
        return cls(down, along, norm.rsqrt(), norm.rsqrt())

    def filter(self, values: Float[Tensor, "NHW K"], transpose: bool = False) -> Float[Tensor, "NHW K"]:
        """Blur values, or apply the transpose of that; the result is a new tensor without a gradient."""
        before, after = (self.after, self.before) if transpose else (self.before, self.after)
        height, width, classes = len(self.down.weights), len(self.along.weights), values.shape[1]
        maps = scaled(values.view(-1, height * width, classes), before).view(-1, height, width, classes)
        maps = self.along.filter(self.down.filter(maps, 1), 2)
        return scaled(maps.reshape(-1, height * width, classes), after).reshape(values.shape)


@dataclass(frozen=True, eq=False)
class Line:
    """A Gaussian along one axis: which elements each one sums, and their weights, 0 beyond the ends."""

    which: Tensor
    weights: Tensor

    @classmethod
    def of(cls, length: int, xy_std: float, like: Tensor) -> Self:
        """Cut the Gaussian off at five deviations, or where the line ends."""
        reach = min(math.ceil(REACH * xy_std), length - 1)
        distance = torch.arange(-reach, reach + 1, device=like.device)
        which = torch.arange(length, device=like.device)[:, None] + distance
        weights = torch.exp(-0.5 * (distance / xy_std) ** 2).expand(length, -1) * ((which >= 0) & (which < length))
        return cls(which.clamp(0, length - 1), weights.to(like.dtype))

    def filter(self, maps: Float[Tensor, "N H W K"], axis: int) -> Float[Tensor, "N H W K"]:
        """Sum along an axis of maps."""
        lines = maps.movedim(axis, 0)
        summed = weighted_sums(lines.reshape(len(lines), -1), self.which, self.weights)
        return summed.view(lines.shape).movedim(0, axis)


def scaled(maps: Float[Tensor, "N HW K"], factors: Float[Tensor, " HW"] | None) -> Float[Tensor, "N HW K"]:
    """Multiply every pixel by its factor."""
    return maps if factors is None else maps * factors[:, None].to(maps.dtype)
