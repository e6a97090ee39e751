"""Which classes a sample asks for, and what part of the image it looks at.

    labels of the image {cat, dog}      subsets {cat}, {dog}, {cat, dog}: one is drawn
    +------------------+
    |  ccc      ddd    |    {dog}       the window: dog's box, moved and stretched, and made larger at random up to
    |  ccc   [  ddd  ] |                the whole image; square; it may leave the image
    +------------------+
    target of {dog}: d is foreground, everything else background

Source: Hong, Noh, Han, "DecoupledNet", NIPS 2015, Sec. 4.2: combinatorial cropping.
Differs: a subset and a window are drawn anew for each sample, where the authors listed them before. Windows are the
    foreground's own box, moved, stretched and enlarged, where theirs were EdgeBox proposals that overlap it.
Letters: H W pixels, K classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perpixel.data.masks import IGNORE
from perpixel.data.windows import Box, propose, tight_box

Target = NDArray[np.uint8]


def draw_subset(classes: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
    """Return one of the 2^n − 1 non-empty subsets, all equally likely; nothing of nothing."""
    if not classes:
        return ()
    while True:
        chosen = tuple(c for c, taken in zip(classes, rng.random(len(classes)) < 0.5, strict=True) if taken)
        if chosen:
            return chosen


def shown_classes(target: Target, allowed: Sequence[int]) -> tuple[int, ...]:
    """Return which of some classes a target shows."""
    there = set(np.unique(target).tolist())
    return tuple(c for c in allowed if c in there)


def foreground(target: Target, chosen: Sequence[int]) -> Target:
    """Return 1 where a pixel is of a chosen class, 0 where it is of another, IGNORE where it is of none."""
    binary = np.zeros(IGNORE + 1, np.uint8)
    binary[list(chosen)], binary[IGNORE] = 1, IGNORE
    shown: Target = binary[target]
    return shown


def draw_window(mask: NDArray[np.bool_], context: float, min_iou: float, rng: np.random.Generator) -> Box:
    """Draw a square around some pixels, between their own box and the whole image.

    Args:
        mask: (H, W); the pixels, at least one.
        context: The least side of the window over the longer side of the box.
        min_iou: Of the box, moved and stretched, with itself.
        rng: The only source of randomness.
    """
    height, width = mask.shape
    around = propose(tight_box(mask), min_iou, rng).square(context)
    share = rng.random()
    whole = whole_image(height, width)
    pairs = ((around.top, whole.top), (around.left, whole.left), (around.bottom, whole.bottom))
    top, left, bottom = ((1 - share) * near + share * far for near, far in pairs)
    return Box(top, left, bottom, left + bottom - top)


def whole_image(height: int, width: int) -> Box:
    """Return the square that holds an image in its upper left corner."""
    side = float(max(height, width))
    return Box(0.0, 0.0, side, side)
