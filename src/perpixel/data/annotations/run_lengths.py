"""Masks as run lengths: counts of 0s and 1s in turn, beginning with 0s.

    coco        counts as a list, or packed into text; pixels go down the columns
    cvat        counts as text; pixels go along the rows, inside a box

Source: COCO API (cocodataset/cocoapi), common/maskApi.c, for the packed text; CVAT for images 1.1 format.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_MAX_TEXT = 64 << 20
_MAX_CHARACTERS = 7  # of one count: 7 × 5 bits hold any 32-bit number


def unpack_counts(text: str) -> NDArray[np.int64]:
    """Return the counts of COCO's packed text.

    A character carries five bits, lowest first, and a sixth that says whether more follow; from the third
    count on, the difference to the count two before is stored.

    Raises:
        ValueError: It is not such a text.
    """
    if len(text) > _MAX_TEXT:
        raise ValueError(f"expected at most {_MAX_TEXT:,} characters of run lengths, got {len(text):,}")
    codes = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) - 48
    if codes.size and not (codes.min() >= 0 and codes.max() < 64):
        raise ValueError("expected packed run lengths, got other characters")
    if codes.size == 0:
        return codes
    ends = np.flatnonzero(codes & 32 == 0)
    if ends.size == 0 or ends[-1] != codes.size - 1:
        raise ValueError("expected whole run lengths, got a cut text")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _MAX_CHARACTERS:
        raise ValueError("expected run lengths below 2**31, got a larger one")
    place = np.arange(codes.size) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 31) << (5 * place), starts)
    negative = codes[ends] & 16 != 0
    values -= negative.astype(np.int64) << (5 * lengths)
    return _undo_differences(values)


def _undo_differences(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add up every second value: the first two stand for themselves, the third only begins to refer back."""
    counts = values.copy()
    counts[1::2] = np.cumsum(values[1::2])
    counts[2::2] = np.cumsum(values[2::2])
    return counts


def pack_counts(counts: NDArray[np.int64]) -> str:
    """Return counts as COCO's packed text; the inverse of `unpack_counts`."""
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    letters: list[str] = []
    for value in values.tolist():
        while not -16 <= value < 16:
            letters.append(chr(48 + (value & 31 | 32)))
            value >>= 5
        letters.append(chr(48 + (value & 31)))
    return "".join(letters)


def fill(counts: Sequence[int] | NDArray[np.int64], size: tuple[int, int], *, columns: bool) -> Mask:
    """Return the mask (H, W) of run lengths.

    Args:
        counts: Of 0s and 1s in turn.
        size: (H, W).
        columns: Whether pixels go down the columns; otherwise along the rows.

    Raises:
        ValueError: They are negative, or do not add up to H·W.
    """
    runs = np.asarray(counts, np.int64)
    height, width = size
    if runs.ndim != 1 or runs.min(initial=0) < 0 or runs.max(initial=0) > height * width:
        raise ValueError("expected run lengths from 0 to the number of pixels, got others")
    if int(runs.sum()) != height * width:
        raise ValueError(f"expected run lengths of {height * width:,} pixels in all, got {int(runs.sum()):,}")
    flat = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    return flat.reshape(width, height).T if columns else flat.reshape(height, width)
