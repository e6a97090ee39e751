"""How to predict: several scales, mirrored, in tiles."""

import math
from dataclasses import dataclass
from typing import Literal

from perpixel.errors import UsageError


@dataclass(frozen=True)
class Options:
    """What is done with an image besides one look at the whole.

    Args:
        scales: The image is looked at in each of these sizes, relative to the size the network was trained at.
        fusion: "mean" averages the looks' probabilities; "max" takes each class's largest logit, as
            DeepLab v2 does (Sec. 4.1.2), and the softmax of those.
        flip: Look at the mirror image too.
        tile: (H, W) in pixels of the image; None takes whole images, and tiles where they are too large.
        overlap: How far neighbouring tiles overlap at least, in pixels of the image; None fits the tile.

    Raises:
        UsageError: A value cannot be used.
    """

    scales: tuple[float, ...] = (1.0,)
    fusion: Literal["max", "mean"] = "mean"
    flip: bool = False
    tile: tuple[int, int] | None = None
    overlap: int | None = None

    def __post_init__(self) -> None:
        if not self.scales or not all(math.isfinite(scale) and 0 < scale <= 8 for scale in self.scales):
            raise UsageError(f"--scales: expected numbers above 0, up to 8, got {self.scales}. Try 0.75 1 1.25.")
        if self.fusion not in ("max", "mean"):
            raise UsageError(f"--fusion: expected max or mean, got {self.fusion!r}. The default is mean.")
        if self.tile is not None and min(self.tile) < 1:
            raise UsageError(f"--tile: expected H W of at least 1, got {self.tile}. Try 512 512.")
        if self.overlap is not None and self.overlap < 0:
            raise UsageError(f"--overlap: expected at least 0 pixels, got {self.overlap}. Try 64.")
        if self.tile is not None and self.overlap is not None and 2 * self.overlap > min(self.tile):
            raise UsageError(
                f"--overlap: expected at most half a tile of {self.tile[0]} × {self.tile[1]}, got "
                f"{self.overlap}. Take at most {min(self.tile) // 2}, or larger tiles."
            )


DEFAULT = Options()
