"""How sure a network with dropout is: the mean and the spread of many passes, each with its own dropout.

    image -> T passes with dropout -> softmax -> mean over T        the prediction
                                              -> variance over T    the uncertainty, of each class

Only dropout is random: batch normalisation keeps its statistics, as in the release, where they are folded in.

Source: Kendall, Badrinarayanan, Cipolla, "Bayesian SegNet", BMVC 2017, arXiv:1511.02680, Sec. 3; the measures as
    in SegNet-Tutorial, Scripts/test_bayesian_segnet.py.
Letters: N batch, C channels, K classes, H W pixels, T samples.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class Uncertainty(NamedTuple):
    """What many passes say together.

    Attributes:
        mean: Probability of each class; sums to 1 over K. Its argmax is the prediction.
        variance: Of each class's probability over the passes, divided by T; between 0 and 1/4.
    """

    mean: Float[Tensor, "N K H W"]
    variance: Float[Tensor, "N K H W"]

    @property
    def overall(self) -> Float[Tensor, "N H W"]:
        """One number a pixel: the mean of the variance over the classes, as the release draws it."""
        return self.variance.mean(1)


@contextmanager
def sampling(network: nn.Module) -> Iterator[nn.Module]:
    """Let a network drop values at test time, and nothing else of training mode; put everything back after.

    Raises:
        ValueError: The network has no dropout: every pass would be the same.
    """
    dropouts = [layer for layer in network.modules() if isinstance(layer, DROPOUTS)]
    if not any(layer.p > 0 for layer in dropouts):
        raise ValueError(
            f"sampling: expected a network with dropout, got {type(network).__name__} without. "
            "Take bayesian-segnet, or give yours a dropout layer."
        )
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
        ValueError: No samples, or no dropout.
    """
    if samples < 1:
        raise ValueError(f"monte_carlo: expected at least 1 sample, got {samples}. The paper takes 50.")
    devices = [image.device] if image.device.type == "cuda" else []
    with sampling(network), torch.random.fork_rng(devices, enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        mean = network(image).float().softmax(1)
        squares = torch.zeros_like(mean)
        for count in range(2, samples + 1):
            probabilities = network(image).float().softmax(1)
            deviation = probabilities - mean
            mean += deviation / count
            squares += deviation * (probabilities - mean)  # Welford's update: no cancellation
    return Uncertainty(mean, squares / samples)
