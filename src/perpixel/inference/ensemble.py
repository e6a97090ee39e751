"""DeconvNet together with FCN-8s: one sees objects, the other the whole image.

    image -> likely objects -> DeconvNet -> scores --+-> mean of probabilities, or    -> probabilities
          -> FCN-8s ------------------------ scores --+   softmax of the scores' product

The paper takes the mean of both networks' probabilities; the authors' code the product of both networks' scores, none
below zero, and the softmax of that. The 72.5 of the paper's table was reached by the code, with a CRF.

Source: Noh, Hong & Han, "DeconvNet", ICCV 2015, arXiv:1505.04366, Sec. 5.2 (recalled); HyeonwooNoh/DeconvNet,
    inference/generate_EDeconvNet_CRF_results.m.
Differs: the release moves DeconvNet's scores by one pixel against FCN-8s's, an oversight; ours lie where they
    belong. Their FCN-8s sees the image in a black square of 500 pixels, ours sees it as it is.
Letters: C channels, K classes, H W pixels.
"""

from typing import Any, Literal, Protocol, get_args

import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from perpixel.errors import UsageError
from perpixel.inference.proposals import DEFAULT, Proposals, Trained, score_image
from perpixel.ops.resize import logits_at_scale

Ensemble = Literal["mean", "product"]


class Whole(Trained, Protocol):
    """What is needed of the `Segmenter` that sees whole images."""

    scale: float


@torch.inference_mode()
def predict_together(
    deconvnet: Trained,
    fcn: Whole,
    pixels: NDArray[Any],
    proposals: Proposals = DEFAULT,
    method: Ensemble = "product",
) -> Float[Tensor, "K H W"]:
    """Return the probabilities of a network that sees objects and one that sees the image.

    Args:
        deconvnet: Trained on windows around objects.
        fcn: Trained on images, on the same classes and kind of pixels.
        pixels: (H, W, C), as `read` of either returns them.
        proposals: How objects are found, and their scores joined.
        method: See `join_networks`.

    Raises:
        UsageError: They know other classes.
    """
    if tuple(deconvnet.classes) != tuple(fcn.classes):
        raise UsageError(
            f"predict_together: expected two networks of the same classes, got {len(deconvnet.classes)} and "
            f"{len(fcn.classes)}, or others in name or order. Train both on one data set."
        )
    scores = score_image(deconvnet, pixels, proposals)
    image = torch.from_numpy(fcn.normalization.apply(pixels)).to(fcn.device)
    return join_networks(scores, logits_at_scale(fcn.network, image, fcn.scale)[0].float().to(scores.device), method)


def join_networks(
    scores: Float[Tensor, "K H W"], others: Float[Tensor, "K H W"], method: Ensemble = "product"
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
    if method not in get_args(Ensemble):
        raise UsageError(f"join_networks: expected mean or product, got {method!r}. The release takes product.")
    if scores.shape != others.shape:
        raise UsageError(
            f"join_networks: expected scores of one shape, got {tuple(scores.shape)} and {tuple(others.shape)}. "
            "Let both networks see the same image and the same classes."
        )
    if method == "mean":
        return (scores.softmax(0) + others.softmax(0)) / 2
    return (scores.clamp(min=0) * others.clamp(min=0)).softmax(0)
