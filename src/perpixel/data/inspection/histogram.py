"""How often each stored value occurs: in one mask, and summed over many.

A value is an id, or a colour packed as red·65536 + green·256 + blue. Three counts say what it may be:

    pixels      how many pixels hold it
    images      how many masks hold it
    interior    how many of its pixels are surrounded by the same value (3×3)

Classes have an interior. The mixed colours of antialiased edges and the noise of JPEG have next to none,
however many pixels they take together: that is what tells them from classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_VALUES_HELD = 256
MANY_COLORS = 256  # in one mask; more than any set of classes
ALIKE = 24  # levels that JPEG moves a value inside an area
MAX_VALUES_PER_MASK = 1 << 14
MAX_VALUES = 1 << 18
GREY = 0x010101  # times a grey value is that grey as a packed colour

Values = NDArray[np.int64]


@dataclass(frozen=True)
class Histogram:
    """Counts of stored values.

    Args:
        values: Sorted, each once.
        pixels: Of each value, over all masks counted.
        images: Masks that hold it.
        interior: Of its pixels, those in the middle of a 3×3 of the same value.
        dropped: Pixels whose value was too rare to be kept (only where there are very many).
    """

    values: Values
    pixels: Values
    images: Values
    interior: Values
    dropped: int = 0

    @classmethod
    def empty(cls) -> "Histogram":
        """Return the histogram of no mask."""
        none = np.zeros(0, np.int64)
        return cls(none, none, none, none)

    @property
    def total(self) -> int:
        """Pixels counted, dropped ones too."""
        return int(self.pixels.sum()) + self.dropped

    def of(self, value: int) -> tuple[int, int, int]:
        """Return (pixels, images, interior) of one value; zeros where it does not occur."""
        at = int(np.searchsorted(self.values, value))
        if at == len(self.values) or self.values[at] != value:
            return 0, 0, 0
        return int(self.pixels[at]), int(self.images[at]), int(self.interior[at])

    def largest(self, most: int) -> "Histogram":
        """Keep the values with the most pixels, and count the rest as dropped."""
        if len(self.values) <= most:
            return self
        kept = np.sort(np.argsort(-self.pixels, kind="stable")[:most])
        rest = int(self.pixels.sum() - self.pixels[kept].sum())
        values, pixels, images, interior = self.values, self.pixels, self.images, self.interior
        return Histogram(values[kept], pixels[kept], images[kept], interior[kept], self.dropped + rest)


@dataclass(frozen=True)
class Held:
    """What one mask of twenty thousand leaves behind: its commonest values, in two kilobytes at most.

    Args:
        values: Sorted, each once.
        pixels: Of each value.
        rest: Pixels of values that were too many to keep.
    """

    values: NDArray[np.int32]
    pixels: NDArray[np.int32]
    rest: int = 0

    @classmethod
    def of(cls, counts: Histogram, *, colors: bool = False) -> "Held":
        """Keep the commonest values of a mask; where colours are too many, one for all that are alike."""
        if colors and len(counts.values) > MAX_VALUES_HELD:
            counts = _merge_alike(counts)
        kept = counts.largest(MAX_VALUES_HELD)
        return cls(kept.values.astype(np.int32), kept.pixels.astype(np.int32), kept.dropped)

    @property
    def counts_up(self) -> bool:
        """Whether the values are 0, 1, 2 … without a gap, and all are here."""
        return not self.rest and bool((self.values == np.arange(len(self.values))).all())

    def as_colors(self) -> "Held":
        """Return the same with ids as greys, for a data set whose other masks are colours."""
        return Held(self.values * np.int32(GREY), self.pixels, self.rest)


def count_values(stored: NDArray[np.integer], *, lossy: bool = False) -> Histogram:
    """Count the values of one mask: ids of shape (H, W), or colours of shape (H, W, 3).

    Args:
        stored: The mask's values.
        lossy: Whether compression has blurred them. Then, and where there are very many colours, values of a
            3×3 count as the same if they are alike.
    """
    flat = pack_colors(stored) if stored.ndim == 3 else stored
    values, pixels = _count_runs(flat)
    blurred = lossy or (stored.ndim == 3 and len(values) > MANY_COLORS)
    inside = _is_smooth(stored) if blurred else _is_interior(flat)
    interior = np.zeros_like(pixels)
    middle, amount = _count_runs(flat[1:-1, 1:-1][inside].reshape(1, -1))
    interior[np.searchsorted(values, middle)] = amount
    counted = Histogram(values, pixels, np.ones_like(pixels), interior)
    return counted.largest(MAX_VALUES_PER_MASK)


def add_all(histograms: list[Histogram]) -> Histogram:
    """Sum histograms; where there are too many values, the rarest are dropped."""
    if not histograms:
        return Histogram.empty()
    values, where = np.unique(np.concatenate([h.values for h in histograms]), return_inverse=True)
    columns = np.zeros((3, len(values)), np.int64)
    for column, name in zip(columns, ("pixels", "images", "interior"), strict=True):
        np.add.at(column, where, np.concatenate([getattr(h, name) for h in histograms]))
    dropped = sum(h.dropped for h in histograms)
    return Histogram(values, columns[0], columns[1], columns[2], dropped).largest(MAX_VALUES)


def pack_colors(colors: NDArray[np.integer]) -> NDArray[np.int32]:
    """Pack (..., 3) colours into one number each."""
    red, green, blue = (colors[..., channel].astype(np.int32) for channel in range(3))
    packed: NDArray[np.int32] = (red << 16) | (green << 8) | blue
    return packed


def unpack_color(value: int) -> tuple[int, int, int]:
    """Return (red, green, blue) of a packed colour."""
    return value >> 16, (value >> 8) & 255, value & 255


def _merge_alike(counts: Histogram) -> Histogram:
    """Give the pixels of all colours that share their leading four bits a channel to the commonest of them."""
    order = np.argsort(-counts.pixels, kind="stable")
    _, first, which = np.unique(counts.values[order] & 0xF0F0F0, return_index=True, return_inverse=True)
    pixels = np.bincount(which, weights=counts.pixels[order]).astype(np.int64)
    chosen = order[first]
    back = np.argsort(counts.values[chosen])
    chosen = chosen[back]
    return Histogram(
        counts.values[chosen], pixels[back], counts.images[chosen], counts.interior[chosen], counts.dropped
    )


def _count_runs(flat: NDArray[np.integer]) -> tuple[Values, Values]:
    """Return (values, pixels). Masks are made of runs, and there are far fewer runs than pixels to sort."""
    line = flat.ravel()
    if not len(line):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], line[1:] != line[:-1]]))
    lengths = np.diff(np.append(starts, len(line)))
    values, which = np.unique(line[starts], return_inverse=True)
    pixels = np.bincount(which, weights=lengths, minlength=len(values))
    return values.astype(np.int64), pixels.astype(np.int64)


def _is_interior(flat: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return, for all but the border, whether a pixel's 3×3 holds one value only."""
    row = (flat[:, 1:-1] == flat[:, :-2]) & (flat[:, 1:-1] == flat[:, 2:])
    middle = flat[1:-1, 1:-1]
    column = (middle == flat[:-2, 1:-1]) & (middle == flat[2:, 1:-1])
    constant: NDArray[np.bool_] = row[:-2] & row[1:-1] & row[2:] & column
    return constant


def _is_smooth(stored: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return, for all but the border, whether no channel differs much within a pixel's 3×3."""
    rows = [stored[start : stored.shape[0] - 2 + start] for start in range(3)]
    high, low = np.maximum.reduce(rows), np.minimum.reduce(rows)
    columns = slice(0, -2), slice(1, -1), slice(2, None)
    high = np.maximum.reduce([high[:, part] for part in columns])
    low = np.minimum.reduce([low[:, part] for part in columns])
    smooth = (high - low) <= ALIKE
    alike: NDArray[np.bool_] = smooth.all(axis=2) if smooth.ndim == 3 else smooth
    return alike
