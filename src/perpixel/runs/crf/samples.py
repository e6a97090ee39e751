"""What a network said of some images, on disk, so that many CRFs can be tried on it.

    NUMBER.probabilities.npy   float16 (K, H, W)
    NUMBER.pixels.npy          uint8 (H, W, C), as the CRF sees them
    NUMBER.target.npy          uint8 (H, W): class ids, 255 where nothing counts
    NUMBER.near.npy            bool (H, W): near a border of the truth

One image is in memory at a time. Probabilities below 6e-8 become 0 by float16; the CRF clips far above that.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.options import CrfOptions
from perpixel.crf.refine import refine_with
from perpixel.data.dataset import Dataset, Pair
from perpixel.errors import DataError
from perpixel.inference.options import Options
from perpixel.inference.refining import eight_bit_levels
from perpixel.inference.segmenter import Segmenter
from perpixel.metrics.boundary import bands
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.runs.predicting.inputs import Failure

NEAR = 4  # pixels to each side of a border
SPARE = 10**9  # bytes of the disk that stay free


@dataclass(frozen=True)
class Sample:
    """One image's files."""

    folder: Path
    number: int

    def write(self, name: str, values: NDArray[Any]) -> None:
        """Store one array."""
        np.save(self._path(name), values, allow_pickle=False)

    def read(self, name: str) -> NDArray[Any]:
        """Return one array."""
        values: NDArray[Any] = np.load(self._path(name), allow_pickle=False)
        return values

    def _path(self, name: str) -> Path:
        return self.folder / f"{self.number}.{name}.npy"


def spread_evenly(pairs: Sequence[Pair], count: int | None) -> list[Pair]:
    """Return at most `count` pairs from all over the split: neighbours in name are often neighbours in time."""
    if count is None or count >= len(pairs):
        return list(pairs)
    return [pairs[round(index)] for index in np.linspace(0, len(pairs) - 1, count).tolist()]


def predict_samples(
    segmenter: Segmenter,
    dataset: Dataset,
    pairs: Sequence[Pair],
    folder: Path,
    options: Options,
    advance: Callable[[int, int], None] | None = None,
) -> tuple[list[Sample], list[Failure]]:
    """Predict every pair once, and keep what trying CRFs needs.

    Raises:
        DataError: The disk is too full.
    """
    samples, failed = [], []
    segmenter.expect(len(pairs))
    for number, pair in enumerate(pairs):
        try:
            samples.append(_predict(segmenter, dataset, pair, Sample(folder, number), options))
        except (DataError, MemoryError) as error:
            if isinstance(error, _DiskFullError):
                raise
            failed.append(Failure(pair.id, " ".join(str(error).split()) or type(error).__name__))
        if advance is not None:
            advance(number + 1, len(pairs))
    return samples, failed


class _DiskFullError(DataError):
    """The cache does not fit; no other image will."""


def _predict(segmenter: Segmenter, dataset: Dataset, pair: Pair, sample: Sample, options: Options) -> Sample:
    pixels, target = dataset.read(pair)
    read = segmenter.read(pixels)
    needed = read.shape[0] * read.shape[1] * (2 * segmenter.num_classes + 5)
    if shutil.disk_usage(sample.folder).free < needed + SPARE:
        raise _DiskFullError(
            f"tune-crf: expected {needed / 1e6:.0f} MB and a spare gigabyte on the disk of {sample.folder}, got less. "
            "Set TMPDIR to a larger one, or use fewer --images."
        )
    labelled = np.where(target < segmenter.num_classes, target, 255).astype(np.uint8)
    sample.write("probabilities", segmenter.probabilities(read, options).astype(np.float16))
    sample.write("pixels", eight_bit_levels(read))
    sample.write("target", labelled)
    sample.write("near", next(bands(labelled, (NEAR,))))
    return sample


def measure(samples: Sequence[Sample], num_classes: int, crf: CrfOptions | None) -> dict[str, float | None]:
    """Return how good the samples are after a CRF, or without one."""
    everywhere, near = Confusion(num_classes), Confusion(num_classes)
    for sample in samples:
        probabilities = sample.read("probabilities")
        if crf is not None:
            probabilities = refine_with(probabilities.astype(np.float32), sample.read("pixels"), crf)
        prediction, target = probabilities.argmax(0), sample.read("target")
        inside = sample.read("near")
        everywhere.add(target, prediction)
        near.add(target[inside], prediction[inside])
    scores = Scores.from_confusion(everywhere)
    return {
        "mean_iou": scores.mean_iou,
        "mean_iou_near_borders": Scores.from_confusion(near).mean_iou,
        "pixel_accuracy": scores.pixel_accuracy,
    }
