"""perpixel.ops.distance: exact, against measuring every pair of pixels."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.ops.distance import distance_transform, two_nearest


def measured(instances: np.ndarray) -> np.ndarray:
    """Return the two least distances to objects, from all pairs of pixels."""
    places = np.stack(np.mgrid[: instances.shape[0], : instances.shape[1]], axis=-1)[:, :, None, :]
    objects = [np.argwhere(instances == number) for number in np.unique(instances[instances != 0])]
    distances = [np.sqrt(((places - pixels) ** 2).sum(-1)).min(-1) for pixels in objects]
    missing = [np.full(instances.shape, np.inf)] * 2
    return np.sort([*distances, *missing], axis=0)[:2].astype(np.float32)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000), st.integers(1, 16), st.integers(1, 16), st.integers(0, 6), st.floats(0, 0.5))
def test_distances_are_exact(seed: int, height: int, width: int, objects: int, density: float) -> None:
    """Objects of several parts, touching, nested; none, one or many; single rows and columns."""
    random = np.random.default_rng(seed)
    instances = random.integers(0, objects + 1, (height, width)) * (random.random((height, width)) < density)
    assert np.array_equal(np.stack(two_nearest(instances)), measured(instances))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, 2.5, 5.0, 7.1]))
def test_beyond_the_reach_distances_are_infinite_and_below_it_exact(seed: int, reach: float) -> None:
    random = np.random.default_rng(seed)
    instances = random.integers(1, 5, (15, 18)) * (random.random((15, 18)) < 0.05)
    exact = measured(instances)
    assert np.array_equal(np.stack(two_nearest(instances, reach)), np.where(exact <= reach, exact, np.inf))


def test_numbers_of_objects_may_be_anything() -> None:
    instances = np.array([[-7, 0, 0, 2**40]])
    nearest, second = two_nearest(instances)
    assert nearest.tolist() == [[0, 1, 1, 0]]
    assert second.tolist() == [[3, 2, 2, 3]]


def test_the_distance_transform_is_the_distance_to_the_nearest_true_pixel() -> None:
    mask = np.zeros((5, 9), dtype=bool)
    mask[1, 2] = True
    assert distance_transform(mask)[4, 6] == 5


@pytest.mark.parametrize("objects", [3, 400])
def test_a_training_crop_takes_a_fraction_of_a_second(objects: int) -> None:
    """Processor time of 512 x 512 pixels; 0.3 s is the aim, and the test allows for a busy machine."""
    random = np.random.default_rng(0)
    instances = np.zeros((512, 512), dtype=np.int64)
    for number, (row, column) in enumerate(random.integers(0, 500, (objects, 2)), start=1):
        instances[row : row + 12, column : column + 12] = number
    before = time.process_time()
    two_nearest(instances, reach=40)
    assert time.process_time() - before < 1


def test_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"instances \(H, W\), got \(1, 2, 3\)"):
        two_nearest(np.zeros((1, 2, 3), dtype=int))
