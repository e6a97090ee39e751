"""Channel statistics and class frequencies of the training split, computed where `dataset.yaml` has none."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.dataset import Dataset, Pair
from perpixel.data.masks import IGNORE
from perpixel.data.spec import DatasetSpec

Tables = tuple[NDArray[np.float64], NDArray[np.float64], int, NDArray[np.int64]]


def with_statistics(dataset: Dataset, advance: Callable[[int, int], None] | None = None) -> DatasetSpec:
    """Return the data set's description with its statistics filled in.

    Args:
        dataset: Its training split is read once, if anything is missing.
        advance: Called with (pairs done, pairs in all).
    """
    spec = dataset.spec
    if spec.mean and spec.std and spec.pixel_counts and spec.image_pixel_counts and spec.image_counts:
        return spec
    pairs = dataset.pairs("train")
    sums = squares = np.zeros(dataset.channels)
    pixels = 0
    counts = images = image_pixels = np.zeros(dataset.num_classes, np.int64)
    with ThreadPoolExecutor() as pool:
        for done, table in enumerate(pool.map(lambda pair: _tables(dataset, pair), pairs), start=1):
            total, square, size, count = table
            sums, squares, pixels = sums + total, squares + square, pixels + size
            counts = counts + count
            images = images + (count > 0)
            image_pixels = image_pixels + np.where(count > 0, count.sum(), 0)
            if advance is not None:
                advance(done, len(pairs))
    mean = sums / max(pixels, 1)
    std = np.sqrt(np.maximum(squares / max(pixels, 1) - mean**2, 0))
    update: dict[str, Any] = {
        "mean": tuple(np.round(mean, 3).tolist()),
        "std": tuple(np.round(std, 3).tolist()),
        "pixel_counts": tuple(counts.tolist()),
        "image_counts": tuple(images.tolist()),
        "image_pixel_counts": tuple(image_pixels.tolist()),
    }
    return spec.model_copy(update=update)


def _tables(dataset: Dataset, pair: Pair) -> Tables:
    pixels, target = dataset.read(pair)
    values = pixels.reshape(-1, pixels.shape[2]).astype(np.float64)
    count = np.bincount(target[target != IGNORE].ravel(), minlength=dataset.num_classes)
    return values.sum(0), np.square(values).sum(0), len(values), count
