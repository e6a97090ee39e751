"""Everything random is a function of the seed and a counter."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perpixel.training.order import SampleOrder, iteration_seed, sample_generator


@given(size=st.integers(1, 40), seed=st.integers(0, 2**31), epoch=st.integers(0, 5))
def test_each_epoch_holds_each_image_once(size: int, seed: int, epoch: int) -> None:
    """SegNet, TPAMI Sec. 3.3: reshuffled each epoch, each image once."""
    order = SampleOrder(size, seed)
    assert sorted(order[epoch * size + i] for i in range(size)) == list(range(size))


def test_epochs_differ_and_runs_agree() -> None:
    one, other = SampleOrder(30, 1), SampleOrder(30, 1)
    first, second = [one[i] for i in range(30)], [one[i] for i in range(30, 60)]
    assert first != second
    assert first == [other[i] for i in range(30)]
    assert first != [SampleOrder(30, 2)[i] for i in range(30)]


def test_a_samples_numbers_do_not_depend_on_what_was_drawn_before() -> None:
    late = sample_generator(5, 1000).random(3)
    for counter in range(3):
        sample_generator(5, counter).random(100)
    np.testing.assert_array_equal(late, sample_generator(5, 1000).random(3))


def test_iterations_and_processes_have_seeds_of_their_own() -> None:
    seeds = {iteration_seed(0, iteration, rank) for iteration in range(100) for rank in range(4)}
    assert len(seeds) == 400
