"""What is written for each class, and where there is no data.

    class ids, 255 where there is no data -> themselves, in the palette's colours
                                          -> what the data set's masks store, and a value that they do not

Letters: H W pixels, K classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.masks import IGNORE, MaskCoding
from perpixel.errors import DataError


@dataclass(frozen=True)
class Stored:
    """The values of one kind of file.

    Args:
        values: For each class, (K,), or (K, 3) for colours.
        nodata: Where there is no data; None where there is data everywhere, or no value says so.
        are_ids: The values are the class ids.
    """

    values: NDArray[Any]
    nodata: int | None
    are_ids: bool

    @classmethod
    def of(cls, num_classes: int, coding: MaskCoding | None, original: bool, may_be_empty: bool) -> "Stored":
        """Choose the values.

        Args:
            num_classes: K.
            coding: How the data set's masks store class ids, where that is known.
            original: Write what they store.
            may_be_empty: There may be no data somewhere.

        Raises:
            DataError: Nothing is known about the masks, or they have no value for a class.
        """
        ids = np.arange(num_classes, dtype=np.uint8)
        if not original:
            return cls(ids, IGNORE if may_be_empty else None, are_ids=True)
        if coding is None:
            raise DataError("original_values: expected a network that knows its data set's masks. Load a run.")
        values: NDArray[Any] = coding.encode(ids[None])[0]
        return cls(values, _unused(values) if may_be_empty else None, are_ids=False)

    def encode(self, ids: NDArray[Any]) -> NDArray[Any]:
        """Return what is written for class ids (H, W): (H, W), or (H, W, 3)."""
        if self.are_ids:
            return ids.astype(np.uint8, copy=False)
        fill = 0 if self.nodata is None else self.nodata
        table = np.full((256, *self.values.shape[1:]), fill, self.values.dtype)
        table[: len(self.values)] = self.values
        return np.asarray(table[ids])

    def decode(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the class ids (H, W) of what is written, (H, W, 1) or (H, W, 3); 255 for what is no class's."""
        ids = np.full(values.shape[:2], IGNORE, np.uint8)
        for index, value in enumerate(self.values.reshape(len(self.values), -1)):
            ids[(values == value).all(axis=2)] = index
        return ids


def _unused(values: NDArray[Any]) -> int | None:
    """Return the largest value that stands for no class; of colours there is none."""
    if values.ndim == 2:
        return None
    used = set(values.tolist())
    return max(value for value in range(int(np.iinfo(values.dtype).max) + 1) if value not in used)
