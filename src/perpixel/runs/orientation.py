"""Whether images have an up and a down: streets have, cells under a microscope have not.

Photos show sky above and ground below, and are mirrored left and right only. What looks the same above and below
may be laid in any way, and is usually seen from one distance.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perpixel.data.dataset import Dataset
from perpixel.data.pairs import Picture
from perpixel.training.batches import read_picture

LEAST_IMAGES = 8  # fewer say too little
EVEN = 0.05  # greatest difference between the halves, as a part of their sum or of the images' contrast
COMMON = 0.01  # classes rarer than this say too little


def is_upright(dataset: Dataset, pairs: Sequence[Picture]) -> bool:
    """Return whether upper and lower halves differ, in where the classes lie or in brightness.

    Without differences in either, over at least eight images, images have no right way up. When in doubt they have.
    Images that have no mask are told by brightness alone.
    """
    if len(pairs) < LEAST_IMAGES:
        return True
    counts, levels = np.zeros((2, dataset.num_classes)), np.zeros((len(pairs), 3))
    for index, pair in enumerate(pairs):
        pixels, target = read_picture(dataset, pair)
        if len(target) < 2:
            return True
        for half, rows in enumerate(_halves(len(target))):
            counts[half] += np.bincount(target[rows].ravel(), minlength=256)[: dataset.num_classes]
            levels[index, half] = pixels[rows].mean()
        levels[index, 2] = pixels.std()
    return not (_classes_lie_evenly(counts) and _brightness_is_even(levels))


def _halves(height: int) -> tuple[slice, slice]:
    return slice(0, height // 2), slice(height - height // 2, height)


def _classes_lie_evenly(counts: NDArray[np.float64]) -> bool:
    sums = counts.sum(axis=0)
    common = sums >= COMMON * max(sums.sum(), 1)
    return bool((np.abs(counts[0] - counts[1])[common] <= EVEN * sums[common]).all())


def _brightness_is_even(levels: NDArray[np.float64]) -> bool:
    upper, lower, contrast = levels.mean(axis=0)
    return bool(abs(upper - lower) <= EVEN * max(contrast, 1e-9))
