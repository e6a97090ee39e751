"""Two networks together, as DeconvNet with FCN-8s: one sees objects, the other the whole image.

    image -> likely objects -> DeconvNet -> scores --+-> mean of probabilities, or    -> probabilities
          -> FCN-8s ------------------------ scores --+   softmax of the scores' product

Any two networks that know the same classes can be joined; without proposals both see the whole image.

The paper takes the mean of both networks' probabilities; the authors' code the product of both networks' scores, none
below zero, and the softmax of that. The 72.5 of the paper's table was reached by the code, with a CRF.

Source: Noh, Hong & Han, "DeconvNet", ICCV 2015, arXiv:1505.04366, Sec. 5.2 (recalled); HyeonwooNoh/DeconvNet,
    inference/generate_EDeconvNet_CRF_results.m.
Differs: the release moves DeconvNet's scores by one pixel against FCN-8s's, an oversight; ours lie where they
    belong. Their FCN-8s sees the image in a black square of 500 pixels, ours sees it as it is.
Letters: C channels, K classes, H W pixels.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from perpixel.errors import UsageError
from perpixel.inference.proposals import DEFAULT, Proposals, Trained, score_image
from perpixel.ops.resize import logits_at_scale

Method = Literal["mean", "product"]


@dataclass(frozen=True)
class Ensemble:
    """Which second network is asked too, and how both are joined.

    Args:
        run: The second network's run directory, for whoever reads it.
        method: See `join_networks`.
        weights: What identifies its weights; empty where nobody asked.

    Raises:
        UsageError: Another method.
    """

    run: str
    method: Method = "product"
    weights: str = ""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UsageError(
                f"--ensemble-by: expected mean or product, got {self.method!r}. The release takes product."
            )


class Whole(Trained, Protocol):
    """What is needed of the `Segmenter` that sees whole images."""

    scale: float


class Reader(Trained, Protocol):
    """What is known of the pixels that a network sees."""

    bits: int

    @property
    def channels(self) -> int:
        """C."""


def check_alike(one: Reader, other: Reader) -> None:
    """Refuse two networks that cannot see and say the same.

    Raises:
        UsageError: They know other classes, or see other pixels.
    """
    if (other.classes, other.channels, other.bits) != (one.classes, one.channels, one.bits):
        raise UsageError(
            f"join: expected another network of {len(one.classes)} classes, {one.channels} channels and {one.bits} "
            f"bits, got {len(other.classes)}, {other.channels} and {other.bits}, or classes of other names or order. "
            "Train both on one data set."
        )


def check_networks(ensemble: Ensemble, one: Trained, other: Trained | None) -> None:
    """Refuse what cannot be joined in this way.

    Raises:
        UsageError: There is no second network, or no scores to multiply.
    """
    if other is None:
        raise UsageError(
            f"ensemble: expected a second network, got none. Load it: segmenter.join(load({ensemble.run!r}))."
        )
    if ensemble.method == "product" and any(hasattr(each.network, "classify") for each in (one, other)):
        raise UsageError(
            "ensemble: expected networks whose scores can be multiplied, got one that predicts label by label: its "
            "scores are logarithms of probabilities, none above 0. Add --ensemble-by mean."
        )


@torch.inference_mode()
def predict_together(
    deconvnet: Whole,
    fcn: Whole,
    pixels: NDArray[Any],
    proposals: Proposals | None = DEFAULT,
    method: Method = "product",
) -> Float[Tensor, "K H W"]:
    """Return the probabilities of a network that sees objects and one that sees the image.

    Args:
        deconvnet: Trained on windows around objects.
        fcn: Trained on images, on the same classes and kind of pixels.
        pixels: (H, W, C), as `read` of either returns them.
        proposals: How objects are found, and their scores joined; None lets both see the whole image.
        method: See `join_networks`.

    Raises:
        UsageError: They know other classes.
    """
    if tuple(deconvnet.classes) != tuple(fcn.classes):
        raise UsageError(
            f"predict_together: expected two networks of the same classes, got {len(deconvnet.classes)} and "
            f"{len(fcn.classes)}, or others in name or order. Train both on one data set."
        )
    scores = _score_whole(deconvnet, pixels) if proposals is None else score_image(deconvnet, pixels, proposals)
    return join_networks(scores, _score_whole(fcn, pixels).to(scores.device), method)


def _score_whole(network: Whole, pixels: NDArray[Any]) -> Float[Tensor, "K H W"]:
    image = torch.from_numpy(network.normalization.apply(pixels)).to(network.device)
    return logits_at_scale(network.network, image, network.scale)[0].float()


def join_networks(
    scores: Float[Tensor, "K H W"], others: Float[Tensor, "K H W"], method: Method = "product"
) -> Float[Tensor, "K H W"]:
    """Return the probabilities of two networks together, as DeconvNet's with FCN-8s's.

    Args:
        scores: Before softmax; DeconvNet's, joined over its boxes.
        others: Before softmax; FCN-8s's.
        method: "mean" of their probabilities as in the paper, Sec. 5.2; or the softmax of the "product" of their
            scores, those below zero taken for zero, as released.

    Raises:
        UsageError: Another method, or scores of different shapes.
    """
    if method not in get_args(Method):
        raise UsageError(f"join_networks: expected mean or product, got {method!r}. The release takes product.")
    if scores.shape != others.shape:
        raise UsageError(
            f"join_networks: expected scores of one shape, got {tuple(scores.shape)} and {tuple(others.shape)}. "
            "Let both networks see the same image and the same classes."
        )
    if method == "mean":
        return (scores.softmax(0) + others.softmax(0)) / 2
    return (scores.clamp(min=0) * others.clamp(min=0)).softmax(0)
