"""The order in which samples are drawn, as a pure function of a counter.

Nothing is carried from one iteration to the next: sample n of a run is known from the seed and n alone,
and so are its augmentation and the dropout of the iteration it belongs to. That is what lets a run that
was killed go on exactly as if it had never stopped.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class SampleOrder:
    """An endless stream of sample indices, reshuffled every epoch, each image once per epoch.

    Args:
        size: Number of training images.
        seed: The run's seed.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed

    def __getitem__(self, counter: int) -> int:
        """Return which image the sample number `counter` is."""
        epoch, position = divmod(counter, self.size)
        return int(_permutation(self.size, self.seed, epoch)[position])


@lru_cache(maxsize=4)
def _permutation(size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(size)


def sample_generator(seed: int, counter: int) -> np.random.Generator:
    """Return the random numbers of one sample: its crop, scale, flip and colour."""
    return np.random.Generator(np.random.Philox(key=[seed + 2**32, counter]))


def iteration_seed(seed: int, iteration: int, rank: int = 0) -> int:
    """Return the seed of PyTorch's generators (dropout) for one iteration on one process."""
    bits = np.random.SeedSequence([seed, iteration, rank]).generate_state(1, dtype=np.uint64)
    return int(bits[0] >> np.uint64(1))
