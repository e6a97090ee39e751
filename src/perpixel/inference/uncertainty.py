"""How sure a network with dropout is: the mean and the spread of many passes, each with its own dropout.

    image -> T passes with dropout -> softmax -> mean over T             the prediction
                                              -> variance over T         of each class
                                              -> entropy of the mean     predictive: all that is unsure
                                                 - mean of the entropies
                                                 = mutual information    what passes disagree on: seen too seldom

An entropy without mutual information is doubt that more training images would not mend, as at a blurred edge.

Only dropout is random: batch normalisation keeps its statistics, as in the release, where they are folded in.

Source: Kendall, Badrinarayanan, Cipolla, "Bayesian SegNet", BMVC 2017, arXiv:1511.02680, Sec. 3; mean and variance as
    in SegNet-Tutorial, Scripts/test_bayesian_segnet.py; mutual information: Houlsby et al., arXiv:1112.5745, and with
    dropout Gal, Islam, Ghahramani, ICML 2017, arXiv:1703.02910.
Letters: N batch, C channels, K classes, H W pixels, T samples.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from perpixel.errors import UsageError

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class Uncertainty(NamedTuple):
    """What many passes say together.

    Attributes:
        mean: Probability of each class; sums to 1 over K. Its argmax is the prediction.
        variance: Of each class's probability over the passes, divided by T; between 0 and 1/4.
        expected_entropy: Mean over the passes of each one's entropy, in nats.
    """

    mean: Float[Tensor, "N K H W"]
    variance: Float[Tensor, "N K H W"]
    expected_entropy: Float[Tensor, "N H W"]

    @property
    def overall(self) -> Float[Tensor, "N H W"]:
        """One number a pixel: the mean of the variance over the classes, as the release draws it."""
        return self.variance.mean(1)

    @property
    def entropy(self) -> Float[Tensor, "N H W"]:
        """Of the mean, in nats: 0 where it is sure, ln K where all classes are as likely."""
        return entropy(self.mean)

    @property
    def mutual_information(self) -> Float[Tensor, "N H W"]:
        """Between the prediction and the weights, in nats: 0 where all passes agree, however unsure they are."""
        return (self.entropy - self.expected_entropy).clamp(min=0)


class UncertaintyMaps(NamedTuple):
    """How unsure a prediction is, pixel by pixel, as arrays.

    Attributes:
        entropy: Of the mean probabilities, in nats, float32 (H, W); between 0 and ln K.
        variance: Of each class over the passes, float32 (K, H, W); None without passes.
        mutual_information: In nats, float32 (H, W); None without passes.
    """

    entropy: NDArray[np.float32]
    variance: NDArray[np.float32] | None = None
    mutual_information: NDArray[np.float32] | None = None

    @classmethod
    def unstack(cls, maps: NDArray[np.float32]) -> "UncertaintyMaps":
        """Name the maps of `Segmenter.stream`: the entropy alone, or variances, entropy and mutual information."""
        return cls(maps[0]) if len(maps) == 1 else cls(maps[-2], maps[:-2], maps[-1])

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return those that there are, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def entropy(probabilities: Float[Tensor, "N K H W"]) -> Float[Tensor, "N H W"]:
    """Return −Σ p ln p over K, in nats."""
    each: Tensor = torch.special.entr(probabilities)
    return each.sum(1)


def check_dropout(network: nn.Module) -> None:
    """Refuse a network that drops nothing.

    Raises:
        UsageError: Every pass would be the same.
    """
    if not any(layer.p > 0 for layer in network.modules() if isinstance(layer, DROPOUTS)):
        raise UsageError(
            f"sampling: expected a network with dropout, got {type(network).__name__} without. "
            "Take bayesian-segnet, or give yours a dropout layer."
        )


@contextmanager
def sampling(network: nn.Module) -> Iterator[nn.Module]:
    """Let a network drop values at test time, and nothing else of training mode; put everything back after.

    Raises:
        UsageError: The network has no dropout: every pass would be the same.
    """
    check_dropout(network)
    dropouts = [layer for layer in network.modules() if isinstance(layer, DROPOUTS)]
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    for dropout in dropouts:
        dropout.train()
    try:
        yield network
    finally:
        for layer, mode in modes:
            layer.training = mode


@torch.inference_mode()
def monte_carlo(
    network: nn.Module, image: Float[Tensor, "N C H W"], samples: int = 50, seed: int | None = None
) -> Uncertainty:
    """Predict with the mean over many passes with dropout, and say how far they disagree.

    The passes follow one another, so that memory does not grow with T; the release runs them as one batch,
    which is the same. About six passes do better than one with the average weights.

    Args:
        network: Logits at the image's size; with dropout somewhere.
        image: As the network was trained.
        samples: T; 50 in the paper.
        seed: Makes the draw repeatable, without touching the caller's random numbers; None draws on.

    Raises:
        UsageError: No samples, or no dropout.
    """
    if samples < 1:
        raise UsageError(f"monte_carlo: expected at least 1 sample, got {samples}. The paper takes 50.")
    with sampling(network), seeded(seed, image.device):
        return summary(network(image).float().softmax(1) for _ in range(samples))


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Draw what is random from a seed, and put the caller's random numbers back after; None changes nothing."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices, enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def tile_seed(seed: int, place: tuple[int, int]) -> int:
    """Return a seed for the tile with this first row and column: 32 bits, all that PyTorch's generator heeds."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1)[0])


def summary(passes: Iterable[Float[Tensor, "N K H W"]]) -> Uncertainty:
    """Return mean, variance and mean entropy of passes, of which one at a time is kept."""
    remaining = iter(passes)
    mean = next(remaining)
    squares, entropies, count = torch.zeros_like(mean), entropy(mean), 1
    for probabilities in remaining:
        count += 1
        entropies += entropy(probabilities)
        deviation = probabilities - mean
        mean += deviation / count
        squares += deviation * (probabilities - mean)  # Welford's update: no cancellation
    return Uncertainty(mean, squares / count, entropies / count)
