"""Cross entropy of every labelled pixel, divided as each paper divides it.

    sum      Σ w_y·(−log p_y)                  FCN, PAMI 2016: summed, batch of one
    batch    … / N                             Caffe's `normalize: false`; FCN's released nets
    valid    … / number of labelled pixels     Caffe's `normalize: true`; SegNet
    weight   … / Σ w_y                         DeepLab v1's Caffe; PyTorch's mean

With no class weights, `valid` and `weight` agree; with a batch of one, `sum` and `batch` agree.

Letters: N images, K classes, H W pixels.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its name everywhere

VECTOR_CLASSES = 16  # below it a softmax over adjacent values is slower than one over strided planes
LossNormalization = Literal["valid", "sum", "weight", "batch"]


def cross_entropy(
    logits: Float[Tensor, "N K H W"],
    target: Int64[Tensor, "N H W"],
    weight: Float[Tensor, " K"] | None = None,
    normalization: LossNormalization = "valid",
    ignore_index: int = 255,
) -> Float[Tensor, ""]:
    """Return the batch's loss, computed in float32 whatever the logits are.

    Args:
        logits: Scores before softmax.
        target: Ids 0..K−1, or `ignore_index` where nothing is known.
        weight: One factor a class; None is 1 for all.
        normalization: What the sum is divided by; see above.
        ignore_index: The id that is not counted.

    Returns: A scalar. Where no pixel is labelled it is 0 and so are its gradients.
    Raises:
        ValueError: Shapes do not fit, or the normalization is unknown.

    Source: Long et al., CVPR 2015, and its released nets; Caffe, softmax_loss_layer.cpp.
    """
    _check(logits, target)
    rows, ids = _one_row_a_pixel(logits, target)
    weight = None if weight is None else weight.to(rows)
    total = F.cross_entropy(rows, ids, weight, reduction="sum", ignore_index=ignore_index)
    if normalization == "sum":
        return total
    if normalization == "batch":
        return total / logits.shape[0]
    if normalization == "valid" or (normalization == "weight" and weight is None):
        return total / (target != ignore_index).sum().clamp(min=1)
    if normalization == "weight" and weight is not None:
        counted = weight[ids[ids != ignore_index]].sum()
        return total / torch.where(counted > 0, counted, 1)
    raise ValueError(
        f"cross_entropy: expected normalization to be valid, sum, weight or batch, got {normalization!r}. "
        "The module's docstring says which paper uses which."
    )


def _one_row_a_pixel(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Flatten to (pixels, K) where memory already lies so and K fills a vector: CPUs are twice as fast."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if logits.shape[1] >= VECTOR_CLASSES and logits.is_contiguous(memory_format=torch.channels_last):
        return logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1]), target.reshape(-1)
    return logits, target


def _check(logits: Tensor, target: Tensor) -> None:
    if logits.ndim != 4 or target.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            f"cross_entropy: expected logits (N, K, H, W) and a target (N, H, W) of the same N, H and W, got "
            f"{tuple(logits.shape)} and {tuple(target.shape)}. Give class ids, not one-hot maps."
        )
