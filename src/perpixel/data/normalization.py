"""From stored pixels to what a network is fed, as it was trained.

Letters: N images, C channels, H W pixels.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from perpixel.errors import UsageError


class Normalization(BaseModel):
    """(value − mean) / std for each channel, in the units in which the pixels are stored.

    Args:
        mean: One value a channel, in RGB order: 0 to 255 for 8 bits, 0 to 65535 for 16.
        std: The same, positive; 1 where a network was trained without division.
        order: "bgr" hands the channels over reversed, as networks trained with Caffe expect.
            `mean` and `std` stay in RGB order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...]
    std: tuple[float, ...]
    order: Literal["rgb", "bgr"] = "rgb"

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        if not self.mean or len(self.mean) != len(self.std):
            raise ValueError(
                f"expected as many means as standard deviations, got {len(self.mean)} and {len(self.std)}. "
                "Give one of each a channel."
            )
        if not all(map(math.isfinite, self.mean)) or not all(s > 0 and math.isfinite(s) for s in self.std):
            raise ValueError(
                f"expected finite means and positive standard deviations, got {self.mean} and {self.std}. "
                "Where a channel never varies, use a standard deviation of 1."
            )
        return self

    @classmethod
    def from_statistics(cls, mean: Sequence[float], std: Sequence[float]) -> Self:
        """Take a data set's statistics; a channel that never varies is only shifted."""
        return cls(mean=tuple(mean), std=tuple(s if s > 0 else 1.0 for s in std))

    @property
    def channels(self) -> int:
        """Number of channels, C."""
        return len(self.mean)

    def apply(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return pixels as a network's input.

        Args:
            pixels: (H, W, C) or (N, H, W, C), any number type.

        Returns: float32 (N, C, H, W). It lies in memory with the channels last, so that
            `torch.from_numpy` gives a tensor in `torch.channels_last` without copying.
        Raises:
            UsageError: The shape does not fit.
        """
        if pixels.ndim not in (3, 4) or pixels.shape[-1] != self.channels:
            raise UsageError(
                f"Normalization.apply: expected pixels of shape (H, W, {self.channels}) or "
                f"(N, H, W, {self.channels}), got {pixels.shape}. Move the channels last, or use a network "
                f"made for {pixels.shape[-1]} channels."
            )
        step = -1 if self.order == "bgr" else 1
        values = pixels[..., ::step].astype(np.float32, order="C")
        values -= np.asarray(self.mean[::step], np.float32)
        values *= np.float32(1) / np.asarray(self.std[::step], np.float32)
        batch = values if values.ndim == 4 else values[None]
        return batch.transpose(0, 3, 1, 2)
