"""Channel statistics and class frequencies of the training split, computed where `dataset.yaml` has none.

Every pair of train and val is read on the way, so that bad ones are known before training, all at once. Where a split
has no masks its tagged images are; without training masks there are no frequencies.

Letters: C channels, K classes.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.dataset import Dataset, Picture
from perpixel.data.masks import IGNORE
from perpixel.data.spec import DatasetSpec
from perpixel.errors import DataError
from perpixel.training.batches import read_picture

SHOWN = 20  # problems that the message spells out


@dataclass(frozen=True)
class Tables:
    """Sums over some images: C sums and sums of squares, their pixels, and K counts."""

    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    pixels: int
    counts: NDArray[np.int64]
    images: NDArray[np.int64]
    image_pixels: NDArray[np.int64]

    def __add__(self, other: "Tables") -> "Tables":
        return Tables(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def with_statistics(dataset: Dataset, advance: Callable[[int, int], None] | None = None) -> DatasetSpec:
    """Return the data set's description with its statistics filled in.

    Args:
        dataset: Its train and val splits are read once, if anything is missing.
        advance: Called with (pairs done, pairs in all).

    Raises:
        DataError: Pairs cannot be used; all of them are listed.
    """
    spec = dataset.spec
    counted = spec.pixel_counts and spec.image_pixel_counts and spec.image_counts
    masks = bool(dataset.pairs("train"))
    if spec.mean and spec.std and (counted or not masks):
        return spec
    pairs = [*dataset.examples("train"), *dataset.examples("val")]
    sums: Tables | None = None
    problems: list[str] = []
    for done, (pair, found) in enumerate(_read_all(dataset, pairs), start=1):
        if isinstance(found, DataError):
            problems.append(str(found))
        elif pair.split == "train":
            sums = found if sums is None else sums + found
        if advance is not None:
            advance(done, len(pairs))
    if problems or sums is None:
        raise _unusable(problems, len(pairs))
    return spec.model_copy(update={**_mean_and_std(sums), **(_frequencies(sums) if masks else {})})


def _read_all(dataset: Dataset, pairs: list[Picture]) -> Iterator[tuple[Picture, Tables | DataError]]:
    def attempt(pair: Picture) -> Tables | DataError:
        try:
            return _tables(dataset, pair)
        except DataError as error:
            return error

    with ThreadPoolExecutor() as pool:
        yield from zip(pairs, pool.map(attempt, pairs), strict=True)


def _tables(dataset: Dataset, pair: Picture) -> Tables:
    pixels, target = read_picture(dataset, pair)
    values = pixels.reshape(-1, pixels.shape[2]).astype(np.float64)
    counts = np.bincount(target[target != IGNORE].ravel(), minlength=dataset.num_classes)
    shown = np.where(counts > 0, counts.sum(), 0)
    return Tables(values.sum(0), np.square(values).sum(0), len(values), counts, (counts > 0).astype(np.int64), shown)


def _mean_and_std(sums: Tables) -> dict[str, Any]:
    mean = sums.total / max(sums.pixels, 1)
    std = np.sqrt(np.maximum(sums.squares / max(sums.pixels, 1) - mean**2, 0))
    return {"mean": tuple(np.round(mean, 3).tolist()), "std": tuple(np.round(std, 3).tolist())}


def _frequencies(sums: Tables) -> dict[str, Any]:
    return {
        "pixel_counts": tuple(sums.counts.tolist()),
        "image_counts": tuple(sums.images.tolist()),
        "image_pixel_counts": tuple(sums.image_pixels.tolist()),
    }


def _unusable(problems: list[str], pairs: int) -> DataError:
    lines = problems[:SHOWN]
    if len(problems) > SHOWN:
        lines.append(f"… and {len(problems) - SHOWN} more")
    return DataError(
        f"train: {len(problems)} of {pairs} pairs cannot be used. Mend them, or let `perpixel inspect DATA --write "
        "--overwrite` leave them out:\n  " + "\n  ".join(lines),
        problems,
    )
