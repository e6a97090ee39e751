"""Bootstrapped cross entropy: each image is judged by its K worst pixels alone.

    losses of one image   0.1  2.3  0.0  void  0.7  1.9      K = 2
    what counts                2.3                  1.9      their mean, then the mean over images

Easy pixels, most of a street, stop drowning the few that are wrong. K counts pixels of one image, so it must follow
the crop: FRRN keeps 512·16 of 256 x 512 and 512·64 of 512 x 1024, both a sixteenth.

Source: Pohlen, Hermans, Mathias, Leibe, "FRRN", CVPR 2017, arXiv:1611.08323, Sec. 4; TobyPDE/FRRN,
    dltools/losses.py and train_frrn_{a,b}.py (March 2017; the later train.py keeps 512·64 at both sizes).
Differs: where an image has fewer than K labelled pixels, theirs still divides by K (or by all its pixels), ours by the
    labelled ones. So with K = all it is plain cross entropy, void or not.
Letters: N images, K pixels kept or classes, H W pixels.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional


def bootstrapped_cross_entropy(
    logits: Float[Tensor, "N K H W"],
    target: Int64[Tensor, "N H W"],
    k: int,
    weight: Float[Tensor, " K"] | None = None,
    ignore_index: int = 255,
) -> Float[Tensor, ""]:
    """Return the mean loss of the `k` worst pixels of each image, averaged over the images, in float32.

    Args:
        logits: Scores before softmax.
        target: Ids 0..K−1, or `ignore_index` where nothing is known; such pixels are never among the worst.
        k: Pixels kept of each image, 1 or more; all of them where it has fewer.
        weight: One factor a class, applied before the worst are chosen; None is 1 for all.
        ignore_index: The id that is not counted.

    Returns: A scalar. An image without labels adds 0, and its gradients are 0.
    Raises:
        ValueError: Shapes do not fit, or `k` is below 1.
    """
    _check(logits, target, k)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weight = None if weight is None else weight.to(logits)
    losses = functional.cross_entropy(logits, target, weight, reduction="none", ignore_index=ignore_index).flatten(1)
    worst = losses.topk(min(k, losses.shape[1]), dim=1, sorted=False).values
    labelled = (target != ignore_index).flatten(1).sum(1)
    return (worst.sum(1) / labelled.clamp(min=1, max=k)).mean()


def _check(logits: Tensor, target: Tensor, k: int) -> None:
    if logits.ndim != 4 or target.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            f"bootstrapped_cross_entropy: expected logits (N, K, H, W) and a target (N, H, W) of the same N, H and W, "
            f"got {tuple(logits.shape)} and {tuple(target.shape)}. Give class ids, not one-hot maps."
        )
    if k < 1:
        raise ValueError(
            f"bootstrapped_cross_entropy: expected k of 1 pixel or more, got {k}. "
            "A sixteenth of the pixels of a crop is FRRN's choice."
        )
