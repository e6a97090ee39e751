"""The CRF as the last step of prediction: areas of probabilities and their pixels in, refined areas out.

    all classes at once      q (K) -> CRF of K classes -> q (K)
    each label by itself     q (K) -> p of each label against the background -> CRF of 2 -> 0 where it says background

The second is how TransferNet's program does it, for networks whose background is what the likeliest label leaves.

Source: Chen et al., "DeepLab", ICLR 2015, arXiv:1412.7062, Sec. 4: at the image's full size, on its own colours; for
    the second maga33/TransferNet, inference/TransferNet_inference.m.
Letters: K classes, C channels, H W pixels.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from perpixel.crf.options import CrfOptions
from perpixel.ops.labels import aggregate

FAINT = 1e-3  # a label that is nowhere as likely has no CRF


def refined(probabilities: Float[Tensor, "K H W"], pixels: NDArray[Any], crf: CrfOptions) -> Float[Tensor, "K H W"]:
    """Return refined probabilities, on the device that they came from.

    Args:
        probabilities: They sum to 1 over K.
        pixels: (H, W, C), uint8, or uint16 of which every 257 levels count as one.
        crf: What to do.
    """
    from perpixel.crf.refine import refine_with

    found = refine_with(probabilities.cpu().numpy(), eight_bit_levels(pixels), crf)
    return torch.from_numpy(found).to(probabilities.device)


def refined_by_label(
    probabilities: Float[Tensor, "K H W"], pixels: NDArray[Any], crf: CrfOptions, background: int
) -> Float[Tensor, "K H W"]:
    """Return probabilities, once each label against the background has followed the image's edges by itself.

    Args:
        probabilities: As `ops.labels.aggregate` put them together; they sum to 1 over K.
        pixels: As in `refined`.
        crf: What to do, for each label.
        background: Its id.
    """
    labels = [index for index in range(len(probabilities)) if index != background]
    shares = probabilities[labels]
    highest = shares.amax(0).clamp(min=1e-9)
    scores = shares / (highest + probabilities[background])  # undoes `aggregate`
    kept = [_kept(inside, pixels, crf) for inside in scores]
    return aggregate(torch.stack(kept)[None], background)[0].exp()


def _kept(inside: Float[Tensor, "H W"], pixels: NDArray[Any], crf: CrfOptions) -> Float[Tensor, "H W"]:
    """Return a label's probability where it is likelier than the background once both follow the edges; else 0.

    It is moved from [0, 1] to [½, 1]: what the CRF took from the background must not fall back to it.
    """
    if float(inside.max()) < FAINT:
        return torch.zeros_like(inside)
    both = refined(torch.stack([1 - inside, inside]), pixels, crf)
    return torch.where(both[1] > both[0], (1 + inside) / 2, 0)


def eight_bit_levels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return levels from 0 to 255, in which the CRF's colour deviations are said; 16 bits keep their fractions."""
    return pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32) / np.float32(257)
