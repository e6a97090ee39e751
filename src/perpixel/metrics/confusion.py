"""The one table that every score is computed from.

`counts[i, j]` is the number of pixels of class i predicted as class j: n_ij in FCN's Sec. 5. Tables of
parts of a data set add up to the table of the whole, so memory is K² however many images there are.

Letters: K classes; any shape of pixels.
"""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ids = Tensor | NDArray[Any]


class Confusion:
    """Count how often each true class was predicted as each class.

    Args:
        num_classes: K.

    Attributes:
        counts: int64 (K, K); rows are the truth, columns the prediction.
        ignored: Pixels whose truth is none of the K classes.
    """

    def __init__(self, num_classes: int) -> None:
        if num_classes < 1:
            raise ValueError(f"Confusion: expected at least one class, got {num_classes}. Give K.")
        self.counts: NDArray[np.int64] = np.zeros((num_classes, num_classes), np.int64)
        self.ignored = 0

    @property
    def num_classes(self) -> int:
        """K."""
        return int(self.counts.shape[0])

    def add(self, target: Ids, prediction: Ids) -> Self:
        """Count one image or a batch of them.

        Args:
            target: True ids; whatever is outside 0..K−1 is ignored.
            prediction: Predicted ids of the same shape, within 0..K−1 wherever the truth is not ignored.

        Returns: Itself.
        Raises:
            ValueError: Shapes differ, or a predicted id is none of the K classes.
        """
        if tuple(target.shape) != tuple(prediction.shape):
            raise ValueError(
                f"Confusion.add: expected two arrays of one shape, got {tuple(target.shape)} and "
                f"{tuple(prediction.shape)}. Take the argmax, at the target's own size."
            )
        table = _count(_tensor(target), _tensor(prediction), self.num_classes)
        strangers = int(table[:-1, -1].sum())
        if strangers:
            raise ValueError(
                f"Confusion.add: expected predictions within 0..{self.num_classes - 1}, got {strangers} "
                "pixels outside. Is the network made for this data set's classes?"
            )
        self.counts += table[:-1, :-1]
        self.ignored += int(table[-1].sum())
        return self

    def __add__(self, other: "Confusion") -> "Confusion":
        if self.num_classes != other.num_classes:
            raise ValueError(
                f"Confusion: expected tables of one size to add, got {self.num_classes} and "
                f"{other.num_classes} classes. Both must count the same classes."
            )
        total = Confusion(self.num_classes)
        total.counts = self.counts + other.counts
        total.ignored = self.ignored + other.ignored
        return total

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Confusion):
            return NotImplemented
        return self.ignored == other.ignored and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Confusion({self.num_classes} classes, {self.counts.sum()} pixels, {self.ignored} ignored)"


def _tensor(ids: Ids) -> Tensor:
    if isinstance(ids, Tensor):
        return ids
    if ids.dtype in (np.uint16, np.uint32, np.uint64):  # of which PyTorch can compute little
        ids = ids.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(ids))


def _count(target: Tensor, prediction: Tensor, num_classes: int) -> NDArray[np.int64]:
    """Return a (K+1, K+1) table whose last row and column are the ids outside 0..K−1."""
    side = num_classes + 1
    rows, columns = (_clip(ids, num_classes) for ids in (target, prediction))
    cells = (rows * side).add_(columns.to(rows.device)).flatten()
    return torch.bincount(cells, minlength=side * side).reshape(side, side).cpu().numpy()


def _clip(ids: Tensor, num_classes: int) -> Tensor:
    """Send every id outside 0..K−1 to K, in int32."""
    narrow = ids.dtype in (torch.bool, torch.uint8, torch.int8, torch.int16)
    wide = (ids.to(torch.int32) if narrow else ids).clamp(-1, num_classes).to(torch.int32)
    return wide.masked_fill_(wide < 0, num_classes)
