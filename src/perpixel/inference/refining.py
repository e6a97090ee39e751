"""The CRF as the last step of prediction: areas of probabilities and their pixels in, refined areas out.

Source: Chen et al., "DeepLab", ICLR 2015, arXiv:1412.7062, Sec. 4: at the image's full size, on its own colours.
Letters: K classes, C channels, H W pixels.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from perpixel.crf.options import CrfOptions


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


def eight_bit_levels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return levels from 0 to 255, in which the CRF's colour deviations are said; 16 bits keep their fractions."""
    return pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32) / np.float32(257)
