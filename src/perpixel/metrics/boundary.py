"""How good a prediction is where classes meet: a band around the truth's borders, and the borders themselves.

    truth    a a a a b b b b      distance to the nearest pixel of another value, in a square's metric
             4 3 2 1 1 2 3 4      band of width 2: the four pixels in the middle

    trimap       scores of the pixels in the band alone, for several widths: a curve, as DeepLab draws it
    boundary F   how much of the predicted border lies near the true one (precision), and the reverse (recall)

All bands of one image come from one pass, and every class's border is a bit of one integer a pixel, so a split
costs K² numbers a width, and K·4 for the borders, however many images it has.

Source: Kohli, Ladický, Torr, IJCV 2009, Sec. 5 (trimap); DeepLab v1, Sec. 5, and its released
`MyVOCevalsegBoundary.m`; Csurka, Larlus, Perronnin, BMVC 2013 (boundary F); SegNet, Sec. 4, and its released
`computeBFmeasure.m`.
Differs: DeepLab's script measures around ignored pixels, which outline all objects in PASCAL VOC; we measure around
every change of value, ignored included. SegNet's script pairs border pixels one to one; we ask only for a
partner within the tolerance, so our F is somewhat higher than one that is published.
Letters: H W pixels, K classes.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores

Ids = NDArray[Any]
WIDTHS = (1, 2, 4, 8)
TOLERANCE = 0.0075  # of the image's diagonal: SegNet's, 4.5 pixels of 360 × 480
STRIP = 2**23  # pixels that are looked at together, about 20 bytes each
BITS = 64  # classes whose borders fit into one integer

DEFINITIONS = {
    "trimap": "scores of the labelled pixels with another value in the square of 2·width + 1 pixels around them",
    "boundary_f": "2·precision·recall / (precision + recall) of a class's border pixels, mean over the classes with a "
    "border in truth or prediction, then mean over images",
    "tolerance": "how far apart border pixels may be that agree, as a share of the image's diagonal",
}


class Boundary:
    """Count, around the borders of a split's truth, what was predicted.

    Args:
        num_classes: K.
        widths: Of the bands, in pixels, to each side of a border.
        tolerance: Of the boundary F, as a share of an image's diagonal.

    Attributes:
        bands: One table of counts a width.
        f_sum: Sum of the images' boundary F.
        f_images: Images that have a border.
        borders: (K, 4): true border pixels, those found, predicted ones, those that are right.

    Raises:
        ValueError: A width below 1, or widths that do not grow.
    """

    def __init__(self, num_classes: int, widths: Sequence[int] = WIDTHS, tolerance: float = TOLERANCE) -> None:
        if not widths or list(widths) != sorted(set(widths)) or widths[0] < 1:
            raise ValueError(f"Boundary: expected growing widths of at least 1, got {tuple(widths)}. Try {WIDTHS}.")
        self.widths, self.tolerance = tuple(widths), tolerance
        self.bands = [Confusion(num_classes) for _ in widths]
        self.f_sum, self.f_images = 0.0, 0
        self.borders: NDArray[np.int64] = np.zeros((num_classes, 4), np.int64)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.bands[0].num_classes

    def add(self, target: Ids, prediction: Ids) -> Self:
        """Count one image.

        Args:
            target: True ids (H, W); whatever is outside 0..K−1 is ignored.
            prediction: Predicted ids (H, W), within 0..K−1 wherever the truth is not ignored.

        Returns: Itself.
        Raises:
            ValueError: Not two arrays (H, W) of one size.
        """
        if target.ndim != 2 or target.shape != prediction.shape:
            raise ValueError(
                f"Boundary.add: expected two arrays (H, W) of one size, got {target.shape} and {prediction.shape}. "
                "Take the argmax at the target's own size, one image at a time."
            )
        reach = self.tolerance * math.hypot(*target.shape)
        counts = np.zeros_like(self.borders)
        for rows, inner in strips(target.shape, max(self.widths[-1], int(reach)) + 1):
            truth, guess = (_clip(ids[rows], self.num_classes) for ids in (target, prediction))
            labelled = truth[inner] < self.num_classes
            for table, band in zip(self.bands, bands(truth, self.widths), strict=True):
                inside = band[inner] & labelled
                table.add(truth[inner][inside], guess[inner][inside])
            counts += border_counts(truth, guess, self.num_classes, reach, inner)
        self.borders += counts
        score = mean_f(counts)
        if score is not None:
            self.f_sum, self.f_images = self.f_sum + score, self.f_images + 1
        return self

    def __add__(self, other: "Boundary") -> "Boundary":
        if (self.widths, self.tolerance) != (other.widths, other.tolerance):
            raise ValueError(
                f"Boundary: expected equal widths and tolerances to add, got {self.widths}, {self.tolerance} and "
                f"{other.widths}, {other.tolerance}. Measure both in one way."
            )
        total = Boundary(self.num_classes, self.widths, self.tolerance)
        total.bands = [one + two for one, two in zip(self.bands, other.bands, strict=True)]
        total.f_sum, total.f_images = self.f_sum + other.f_sum, self.f_images + other.f_images
        total.borders = self.borders + other.borders
        return total

    @property
    def boundary_f(self) -> float | None:
        """Mean over images of the mean over classes of F; None where no image has a border."""
        return self.f_sum / self.f_images if self.f_images else None

    def scores(self) -> dict[int, Scores]:
        """Return, for each width, the scores of the pixels in its band."""
        return {width: Scores.from_confusion(table) for width, table in zip(self.widths, self.bands, strict=True)}

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return everything as plain values; `classes` names the K classes."""
        return {
            "trimap": [
                {
                    "width": width,
                    "pixels": sum(scores.pixels),
                    "pixel_accuracy": scores.pixel_accuracy,
                    "mean_iou": scores.mean_iou,
                }
                for width, scores in self.scores().items()
            ],
            "boundary_f": self.boundary_f,
            "tolerance": self.tolerance,
            "per_class": [
                {"name": name, "f": f_measure(row), "border_pixels": int(row[0])}
                for name, row in zip(classes, self.borders, strict=True)
            ],
            "definitions": DEFINITIONS,
        }


def strips(shape: tuple[int, ...], halo: int) -> Iterator[tuple[slice, slice]]:
    """Cut an image into strips of rows, so that memory stays bounded.

    Yields: The rows to look at, with `halo` more on either side where there are any; and which of those to count.
    """
    height, width = shape
    tall = max(1, STRIP // max(width, 1), halo)
    for start in range(0, height, tall):
        stop, first = min(start + tall, height), max(0, start - halo)
        yield slice(first, min(stop + halo, height)), slice(start - first, stop - first)


def bands(ids: Ids, widths: Sequence[int]) -> Iterator[NDArray[np.bool_]]:
    """Yield, for each of growing widths, a mask (H, W) of the pixels near a change of value.

    A pixel is in the band of width w if another value occurs in the square of 2·w + 1 pixels around it: the mask
    that DeepLab's script gets by dilating with such a square. The image's frame is no border.
    """
    band, reached = _changes(ids), 1
    for width in widths:
        band = _dilate_square(band, width - reached)
        reached = width
        yield band


def _changes(ids: Ids) -> NDArray[np.bool_]:
    """Mark pixels of which one of the eight neighbours holds another value."""
    changes = np.zeros(ids.shape, np.bool_)
    rows, columns = ids.shape
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = np.s_[: rows - down, max(0, -right) : columns - max(0, right)]
        there = np.s_[down:, max(0, right) : columns + min(0, right)]
        differs = ids[here] != ids[there]
        changes[here] |= differs
        changes[there] |= differs
    return changes


def _dilate_square(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    for _ in range(reach):
        for axis in (0, 1):
            mask = _spread_one(mask, axis)
    return mask


def _spread_one(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """Return each element joined by OR with its two neighbours along an axis."""
    spread, moved = values.copy(), np.moveaxis(values, axis, 0)
    target = np.moveaxis(spread, axis, 0)
    target[1:] |= moved[:-1]
    target[:-1] |= moved[1:]
    return spread


def border_counts(
    truth: Ids, prediction: Ids, num_classes: int, reach: float, inner: slice = slice(None)
) -> NDArray[np.int64]:
    """Count border pixels of each class in the rows `inner`, and those with a partner within `reach` pixels.

    A border pixel of class k has k, and one of its four neighbours another class. Ignored pixels (id K) make no
    border. Near them a true border may be hidden, so a predicted border pixel that has no partner is left out
    where an ignored pixel is within reach.

    Returns: (K, 4): true border pixels, those found, predicted ones, those that are right.
    """
    known = truth < num_classes
    counts = np.zeros((num_classes, 4), np.int64)
    unclear = _dilate_disc(~known, reach) if not known.all() else None
    for first in range(0, num_classes, BITS):
        span = range(first, min(first + BITS, num_classes))
        true, guessed = (_border_bits(ids, known, span) for ids in (truth, prediction))
        near_true, near_guessed = _dilate_disc(true, reach), _dilate_disc(guessed, reach)
        right = guessed & near_true
        counted = guessed if unclear is None else np.where(unclear, right, guessed)
        for column, bits in enumerate((true, true & near_guessed, counted, right)):
            counts[first : span.stop, column] = _count_bits(bits[inner], len(span))
    return counts


def _border_bits(ids: Ids, known: NDArray[np.bool_], span: range) -> NDArray[Any]:
    """Return integers (H, W) with bit k set at border pixels of class `span[k]`."""
    border = np.zeros(ids.shape, np.bool_)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        differs = (ids[here] != ids[there]) & known[here] & known[there]
        border[here] |= differs
        border[there] |= differs
    kind = next(kind for kind in (np.uint8, np.uint16, np.uint32, np.uint64) if np.iinfo(kind).bits >= len(span))
    border &= (ids >= span.start) & (ids < span.stop)
    shifts = (np.where(border, ids, span.start) - span.start).astype(kind)
    bits: NDArray[Any] = np.where(border, np.left_shift(kind(1), shifts), kind(0))
    return bits


def _dilate_disc(values: NDArray[Any], reach: float) -> NDArray[Any]:
    """Return each element joined by OR with all within a Euclidean distance of `reach` pixels."""
    across, result = values, np.zeros_like(values)
    wide = 0
    for down in range(int(reach), -1, -1):  # the disc's rows, the shortest first
        for _ in range(int(math.sqrt(reach**2 - down**2)) - wide):
            across, wide = _spread_one(across, 1), wide + 1
        if down >= len(values):
            continue
        result[down:] |= across[: len(values) - down]
        result[: len(values) - down] |= across[down:]
    return result


def _count_bits(bits: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return how often each of `count` bits is set."""
    present = bits[bits != 0]
    return np.array([np.count_nonzero(present & present.dtype.type(1 << bit)) for bit in range(count)], np.int64)


def f_measure(counts: Sequence[int] | NDArray[np.int64]) -> float | None:
    """Return F of (true, found, predicted, right) border pixels; None where there is no border at all."""
    true, found, predicted, right = (int(count) for count in counts)
    if not true and not predicted:
        return None
    if not found or not right:
        return 0.0
    precision, recall = right / predicted, found / true
    return 2 * precision * recall / (precision + recall)


def mean_f(counts: NDArray[np.int64]) -> float | None:
    """Return the mean of F over the classes that have a border in truth or prediction."""
    known = [value for value in map(f_measure, counts) if value is not None]
    return sum(known) / len(known) if known else None


def _clip(ids: Ids, num_classes: int) -> Ids:
    """Send every id outside 0..K−1 to K."""
    return np.where((ids >= 0) & (ids < num_classes), ids, num_classes).astype(np.min_scalar_type(num_classes))
