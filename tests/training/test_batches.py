"""Samples are addressed by number, padded where they differ, and normalised as for prediction."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from perpixel.data.masks import IGNORE
from perpixel.data.normalization import Normalization
from perpixel.errors import DataError
from perpixel.training.batches import TrainingSamples, collate, normalize, stream
from perpixel.training.recipe import Windows
from tests.tiny import tiny_job, write_tiny


@pytest.fixture
def samples(tmp_path: Path) -> TrainingSamples:
    job = tiny_job(write_tiny(tmp_path / "tiny"), tmp_path / "run")
    return TrainingSamples(job.dataset, job.recipe, job.seed, tuple(job.normalization.mean))


def test_a_sample_is_a_function_of_its_number(samples: TrainingSamples) -> None:
    pixels, target, name = samples[17]
    samples[3]
    again = samples[17]
    np.testing.assert_array_equal(pixels, again[0])
    np.testing.assert_array_equal(target, again[1])
    assert name == again[2]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stream_that_begins_later_is_the_rest_of_the_stream(samples: TrainingSamples, workers: int) -> None:
    """In threads or in processes, from the start or from the middle: the same batches."""
    whole = list(islice(stream(samples, 2, 0, 2, 0), 5))
    rest = list(islice(stream(samples, 2, 6, 2, workers), 2))
    for batch, expected in zip(rest, whole[3:], strict=True):
        assert batch.names == expected.names
        assert torch.equal(batch.pixels, expected.pixels)
        assert torch.equal(batch.target, expected.target)


def test_images_of_different_sizes_are_padded_and_ignored_there() -> None:
    small = np.full((2, 3, 1), 7, np.uint8), np.ones((2, 3), np.uint8), "small"
    large = np.full((4, 5, 1), 9, np.uint8), np.zeros((4, 5), np.uint8), "large"
    batch = collate([small, large])
    assert batch.pixels.shape == (2, 4, 5, 1)
    assert int((batch.target[0] == IGNORE).sum()) == 4 * 5 - 2 * 3
    assert int((batch.target[1] == IGNORE).sum()) == 0


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_training_and_prediction_normalise_alike(order: str, dtype: type) -> None:
    """The loop normalises tensors, prediction arrays."""
    pixels = np.random.default_rng(0).integers(0, 255, (2, 5, 4, 3)).astype(dtype)
    normalization = Normalization(mean=(10, 20, 30), std=(2, 3, 4), order=order)  # type: ignore[arg-type]
    expected = torch.from_numpy(normalization.apply(pixels))
    torch.testing.assert_close(normalize(torch.from_numpy(pixels), normalization), expected)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_turned_bad_is_named_in_one_line(samples: TrainingSamples, workers: int) -> None:
    """Whether a thread or another process reads it."""
    for pair in samples.pairs:
        pair.image.write_bytes(b"")
    with pytest.raises(DataError, match=r"^images: expected a whole image, cannot read [^\n]*$"):
        next(iter(stream(samples, 2, 0, 2, workers)))


@pytest.mark.parametrize("kind", ["object", "proposal"])
def test_samples_can_be_windows_on_single_objects(tmp_path: Path, kind: str) -> None:
    """Stage 1 knows the window's object alone, stage 2 everything in it; outside the image it is black."""
    job = tiny_job(write_tiny(tmp_path / "tiny"), tmp_path / "run")
    windows = Windows(kind=kind, side=18)  # type: ignore[arg-type]
    samples = TrainingSamples(job.dataset, job.recipe.replace(windows=windows), 0, (90.0, 90.0, 90.0))
    seen = [samples[n] for n in range(20)]
    assert {target.shape for _, target, _ in seen} == {(16, 16)}
    most = max(len(set(np.unique(target)) - {IGNORE}) for _, target, _ in seen)
    assert most == (1 if kind == "object" else 3)
    outside = [pixels[target == IGNORE] for pixels, target, _ in seen]
    assert any((found == 0).all(1).any() for found in outside)
