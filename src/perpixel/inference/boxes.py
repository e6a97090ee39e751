"""Where to look for objects: boxes of one image, without knowing what is in them.

    selective search    regions of like colour, joined until one is left: about 1,000 boxes, many small
    windows             a pyramid of squares, each level half overlapping: no look at the image at all

    boxes -> 1.2 times as large, square -> shorter side of 112 at least -> the first 50

Source: Noh, Hong & Han, "DeconvNet", ICCV 2015, Sec. 6.1 (recalled), for 50 boxes; HyeonwooNoh/DeconvNet,
    inference/generate_EDeconvNet_CRF_results.m, for the 112 pixels, and the lists of its training for the squares.
    Uijlings, van de Sande, Gevers & Smeulders, "Selective Search for Object Recognition", IJCV 2013.
Differs: the authors took the 50 best of some 2,000 boxes of EdgeBox, whose trained model is not to be had with
    OpenCV. Selective search has no score, and OpenCV puts its boxes into a random order; ours come largest first,
    and of two that overlap with an IoU above 0.7 the smaller is left out, so that 50 boxes say more than one thing.
Letters: H W pixels, C channels.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from perpixel.data.windows import Box
from perpixel.errors import UsageError

Finder = Literal["selective-search", "windows"]

CONTEXT = 1.2
LEAST_SIDE = 112  # pixels
COUNT = 50
LEVELS = (1.0, 0.5, 0.33)  # of windows, in longer sides of the image
SAME = 0.7  # IoU
LONGEST = 500  # pixels that selective search looks at: PASCAL VOC's images, which it was made for


def find_boxes(
    pixels: NDArray[Any],
    finder: Finder = "windows",
    count: int = COUNT,
    context: float = CONTEXT,
    least_side: float = LEAST_SIDE,
) -> list[Box]:
    """Return boxes that are worth a look of their own.

    Args:
        pixels: uint8 or uint16 (H, W, C).
        finder: "selective-search" needs OpenCV with its contributed modules; "windows" needs nothing.
        count: How many at most.
        context: How much longer than its longer side a box's square is.
        least_side: In pixels; smaller squares are left out, and an image without larger ones has none.

    Returns: Squares in pixels of the image, which they may leave.
    Raises:
        UsageError: OpenCV is missing, or a number cannot be used.
    """
    if finder not in get_args(Finder):
        raise UsageError(f"find_boxes: expected {' or '.join(get_args(Finder))}, got {finder!r}. Try windows.")
    if count < 1 or context <= 0 or least_side < 0:
        raise UsageError(
            f"find_boxes: expected positive numbers, got count {count}, context {context}, least_side {least_side}. "
            f"DeconvNet's are {COUNT}, {CONTEXT} and {LEAST_SIDE}."
        )
    size = (int(pixels.shape[0]), int(pixels.shape[1]))
    if finder == "windows":
        return choose(windows(size), count, least_side)
    return choose((box.square(context) for box in selective_search(pixels)), count, least_side)


def choose(boxes: Iterable[Box], count: int = COUNT, least_side: float = LEAST_SIDE) -> list[Box]:
    """Return the first `count` boxes whose shorter side has `least_side` pixels."""
    large = (box for box in boxes if min(box.bottom - box.top, box.right - box.left) >= least_side)
    return [box for box, _ in zip(large, range(count), strict=False)]


def windows(image_size: tuple[int, int], levels: Iterable[float] = LEVELS) -> Iterator[Box]:
    """Yield squares that cover the image at each level, half overlapping, the largest first.

    Args:
        image_size: (H, W).
        levels: Sides of the squares, relative to the image's longer side. A square of 1 is the image, black added.
    """
    for level in levels:
        side = level * max(image_size)
        rows, columns = (list(_starts(length, side)) for length in image_size)
        yield from (Box(row, column, row + side, column + side) for row in rows for column in columns)


def selective_search(pixels: NDArray[Any]) -> list[Box]:
    """Return the boxes of selective search, largest first, near duplicates left out.

    Takes a second or two. An image longer than 500 pixels is searched at that length.

    Args:
        pixels: uint8 or uint16 (H, W, C).

    Raises:
        UsageError: OpenCV is not installed, or without its contributed modules.
    """
    cv2 = _opencv()
    height, width = pixels.shape[:2]
    factor = min(1.0, LONGEST / max(height, width))
    small = _as_bgr(pixels)
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(small)
    search.switchToSelectiveSearchFast()
    found = sorted(set(map(tuple, search.process().tolist())))
    down, across = height / small.shape[0], width / small.shape[1]
    boxes = [Box(y * down, x * across, (y + h) * down, (x + w) * across) for x, y, w, h in found]
    return _distinct(sorted(boxes, key=lambda box: -box.area))


def best_finder() -> Finder:
    """Return selective search where it is installed, windows otherwise."""
    try:
        _opencv()
    except UsageError:
        return "windows"
    return "selective-search"


def _opencv() -> Any:
    try:
        import cv2

        cv2.ximgproc.segmentation.createSelectiveSearchSegmentation  # noqa: B018 - is it there?
    except (ImportError, AttributeError, RuntimeError, OSError):
        raise UsageError(
            "selective search: expected OpenCV with its contributed modules, found none. "
            "`pip install 'perpixel[proposals]'`, or take windows instead."
        ) from None
    return cv2


def _as_bgr(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return three channels of 8 bits: grey is repeated, further channels are left out."""
    values = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    colors = values[:, :, :3] if values.shape[2] >= 3 else np.repeat(values[:, :, :1], 3, axis=2)
    return np.ascontiguousarray(colors[:, :, ::-1])


def _distinct(boxes: list[Box]) -> list[Box]:
    """Leave out what overlaps a box before it nearly wholly."""
    corners = np.array([(box.top, box.left, box.bottom, box.right) for box in boxes], np.float64).reshape(-1, 4)
    areas = np.array([box.area for box in boxes])
    kept: list[int] = []
    for index in range(len(boxes)):
        before = corners[kept]
        low, high = np.maximum(before[:, :2], corners[index, :2]), np.minimum(before[:, 2:], corners[index, 2:])
        both = (high - low).clip(0).prod(axis=1)
        if not (both > SAME * (areas[kept] + areas[index] - both)).any():
            kept.append(index)
    return [boxes[index] for index in kept]


def _starts(length: int, side: float) -> NDArray[np.float64]:
    """Spread windows evenly, a half overlapping at least; one larger than the image is centred on it."""
    if side >= length:
        return np.array([(length - side) / 2])
    count = 1 + int(np.ceil((length - side) / (side / 2)))
    return np.linspace(0, length - side, count)
