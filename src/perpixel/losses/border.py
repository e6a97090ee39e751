"""U-Net's weight of every pixel: classes balanced, and the gaps between neighbouring objects made to matter.

    w(x) = w_c(x) + w0 · exp(−(d1(x) + d2(x))² / 2σ²)        d1, d2: distances to the nearest two objects

    cell | gap | cell       d1 = d2 = 1: + 9.2       d1 + d2 = 10: + 1.4       20: + 0.003       w0 = 10, σ = 5

Objects must be told apart for this: in a mask of two classes, cells that touch are one, and the gap between them,
where it matters most, is no gap. `separate` draws it where instances are known; connected components are the next
best thing where they are not.

Source: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, arXiv:1505.04597, Eq. 2 and Sec. 3.
Differs: the second term is 0 within objects, where the paper does not say whose border is meant. Distances are
    between centres of pixels, to the objects' own. The paper draws its gaps by morphology, and does not say by which.
Letters: N images, K classes, H W pixels.
"""

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from perpixel.ops.components import connected_components
from perpixel.ops.distance import two_nearest

W0 = 10.0
SIGMA = 5.0  # pixels
REACH = 8  # in σ: the term is below w0 · 1e-13 there

Ids = NDArray[np.int64]


def border_weights(
    target: Int64[Tensor, "N H W"],
    class_weights: Float[Tensor, " K"] | None = None,
    w0: float = W0,
    sigma: float = SIGMA,
    background: int = 0,
    ignore_index: int = 255,
) -> Float[Tensor, "N H W"]:
    """Return w(x) of every pixel of a batch, for `weighted_cross_entropy`.

    Args:
        target: Ids 0..K−1, or `ignore_index`. Connected parts of one class, but the background's, are objects.
        class_weights: w_c of each class, for instance from `class_weights("median-frequency", …)`; None is 1. It is
            part of w(x): do not give it to the loss again. The paper does not say how it balances.
        w0: What a pixel squeezed between two objects gains at most.
        sigma: How fast that fades, in pixels.
        background: The class between the objects.
        ignore_index: The id that is neither object nor background; its pixels weigh 0.

    Returns: Float32 on the target's device; made on the CPU, in about 0.15 s for 512 x 512 pixels.
    """
    known = target != ignore_index
    balance = torch.ones_like(target, dtype=torch.float32)
    if class_weights is not None:
        balance = class_weights.to(target.device, torch.float32)[target.where(known, 0)]
    borders = [
        border_term(connected_components(np.where(image == ignore_index, background, image), background), w0, sigma)
        for image in target.cpu().numpy()
    ]
    return (balance + torch.from_numpy(np.stack(borders)).to(target.device)) * known


def border_term(instances: Ids, w0: float = W0, sigma: float = SIGMA) -> NDArray[np.float32]:
    """Return w0 · exp(−(d1 + d2)² / 2σ²) between objects, and 0 within them.

    Args:
        instances: (H, W); 0 where there is no object, another number for each object.
        w0: The largest value there could be.
        sigma: In pixels.

    Returns: (H, W). 0 everywhere unless there are two objects.
    Raises:
        ValueError: σ is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"border_term: expected a positive sigma, got {sigma}. The paper's is 5 pixels.")
    nearest, second = two_nearest(instances, reach=REACH * sigma)
    term = w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2))
    return np.where(instances == 0, term, 0).astype(np.float32)


def separate(instances: Ids) -> Ids:
    """Clear a line, one pixel wide, wherever two objects touch, sideways or at a corner.

    Args:
        instances: (H, W); 0 where there is no object.

    Returns: The objects with gaps between them: of each touching pair, the pixel above or on the left is cleared. The
        target needs the same gaps: make it from the result.

    Source: U-Net, Sec. 3: separation borders between touching cells.
    """
    padded = np.pad(instances, 1)
    here = padded[1:-1, 1:-1]
    height, width = here.shape
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):  # corners last, where sides have left any
        there = padded[1 + down : 1 + down + height, 1 + across : 1 + across + width]
        here[(there != 0) & (there != here)] = 0
    return here.copy()
