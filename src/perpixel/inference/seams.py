"""Where tiles overlap they were computed twice: how often the two disagree.

    |--------- tile ---------|
                  |--------- tile ---------|
                  edge  mid  edge

Near its edge a tile lacks its surroundings, and disagrees with its neighbour; toward the middle of the overlap both
see more, and ought to agree. If they still disagree where both count, the overlap is too small for the network.

Letters: H W pixels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from perpixel.ops.class_ids import class_ids

BINS = 8  # from the edge of an overlap to its middle
COUNTED = BINS // 2  # from here on both tiles count: the outer quarters of an overlap have no weight
MUCH = 0.02  # share of different labels that is worth a warning, if the middle does better
TOO_MUCH = 0.05  # share that is worth one even if it does not


class Seams:
    """Counts of pixels, and of those with two different labels, by their distance from a tile's edge.

    Args:
        num_classes: K, where tiles hold more than probabilities: the first K are those.

    Attributes:
        pixels: (8,) compared, from the edge of an overlap to its middle.
        differ: (8,) of them labelled otherwise by the other tile.
    """

    def __init__(self, num_classes: int | None = None) -> None:
        self.num_classes = num_classes
        self.pixels: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.differ: NDArray[np.int64] = np.zeros(BINS, np.int64)

    def labels(self, values: Float[Tensor, "_ H W"]) -> UInt8[Tensor, "H W"]:
        """Return the class ids of a part of a tile."""
        return class_ids(values[: self.num_classes])

    def compare(self, one: UInt8[Tensor, "H W"], other: UInt8[Tensor, "H W"], across: int) -> None:
        """Count one overlap.

        Args:
            one: Class ids by one tile.
            other: By the other.
            across: The axis along which the tiles lie beside one another: 0 for rows, 1 for columns.
        """
        width = one.shape[across]
        if not width:
            return
        distance = np.minimum(np.arange(width), np.arange(width)[::-1]) + 0.5
        bins = np.minimum((2 * BINS * distance / width).astype(int), BINS - 1)
        differ = torch.ne(one, other).sum(1 - across).cpu().numpy()
        self.pixels += np.bincount(bins, minlength=BINS) * one.shape[1 - across]
        self.differ += np.bincount(bins, differ, BINS).astype(np.int64)

    def __iadd__(self, other: "Seams") -> "Seams":
        self.pixels += other.pixels
        self.differ += other.differ
        return self

    def __bool__(self) -> bool:
        """Say whether there was any overlap."""
        return bool(self.pixels.any())

    @property
    def edge(self) -> float | None:
        """Share of different labels in the outermost eighth, from the edge; None where nothing was compared."""
        return self._share(slice(0, 1))

    @property
    def blended(self) -> float | None:
        """Share of different labels where both tiles count: what a larger overlap can mend."""
        return self._share(slice(COUNTED, BINS))

    @property
    def middle(self) -> float | None:
        """Share of different labels in the middle, farthest inside both tiles."""
        return self._share(slice(BINS - 1, BINS))

    def _share(self, part: slice) -> float | None:
        pixels = int(self.pixels[part].sum())
        return int(self.differ[part].sum()) / pixels if pixels else None

    @property
    def warning(self) -> str | None:
        """What to tell the user, if tiles disagree where they should not."""
        blended, middle = self.blended, self.middle
        if blended is None or blended < MUCH or (blended < TOO_MUCH and blended < 2 * (middle or 0.0)):
            return None
        return (
            f"neighbouring tiles disagree on {blended:.1%} of the pixels where they are blended "
            f"({self.edge or 0:.1%} at their edges, {middle or 0:.1%} in the middle of the overlap): they show too "
            "little of their surroundings. Take a larger --overlap, and a larger --tile"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the three shares, and the counts from the edge to the middle, as plain numbers."""
        counts = {"pixels": self.pixels.tolist(), "differ": self.differ.tolist()}
        return {"edge": self.edge, "blended": self.blended, "middle": self.middle, **counts}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Seams":
        """Return the counts that `to_json` gave."""
        seams = cls()
        seams.pixels += np.asarray(values["pixels"], np.int64)
        seams.differ += np.asarray(values["differ"], np.int64)
        return seams
