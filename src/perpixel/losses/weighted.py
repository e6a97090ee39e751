"""Cross entropy with a weight for every pixel.

Letters: N images, K classes, H W pixels.
"""

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its name everywhere

from perpixel.losses.cross_entropy import LossNormalization


def weighted_cross_entropy(
    logits: Float[Tensor, "N K H W"],
    target: Int64[Tensor, "N H W"],
    pixel_weight: Float[Tensor, "N H W"],
    weight: Float[Tensor, " K"] | None = None,
    normalization: LossNormalization = "valid",
    ignore_index: int = 255,
) -> Float[Tensor, ""]:
    """Return Σ w(x)·w_y·(−log p_y), divided as in `cross_entropy`, in float32.

    Args:
        logits: Scores before softmax.
        target: Ids 0..K−1, or `ignore_index` where nothing is known.
        pixel_weight: w(x), at least 0; what it says of ignored pixels does not matter.
        weight: One factor a class; None is 1 for all.
        normalization: `weight` divides by the sum of both weights over the labelled pixels.
        ignore_index: The id that is not counted.

    Raises:
        ValueError: Shapes do not fit.

    Source: Ronneberger et al., MICCAI 2015, Eq. 1, which gives no divisor.
    """
    if pixel_weight.shape != target.shape or (logits.shape[0], *logits.shape[2:]) != target.shape:
        raise ValueError(
            f"weighted_cross_entropy: expected one weight a pixel for target {tuple(target.shape)} and logits "
            f"{tuple(logits.shape)}, got {tuple(pixel_weight.shape)}. Make the weights from this target."
        )
    labelled = target != ignore_index
    factor = pixel_weight.float() * labelled
    weight = None if weight is None else weight.float()
    each = F.cross_entropy(logits.float(), target, weight, reduction="none", ignore_index=ignore_index)
    total = (each * factor).sum()
    if normalization == "sum":
        return total
    if normalization == "batch":
        return total / len(target)
    if normalization == "weight":
        counted = factor if weight is None else factor * weight[target.where(labelled, 0)]
        return total / counted.sum().clamp(min=1e-12)
    return total / labelled.sum().clamp(min=1)
