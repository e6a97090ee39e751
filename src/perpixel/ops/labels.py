"""From labels to passes, and from passes to classes: what TransferNet's program does around its network.

    logits of labels -> found labels -> a pass for each -> halved background -> the likeliest label, or background

Source: maga33/TransferNet, inference/TransferNet_inference.m and run_inference.m.
Letters: N batch, K classes, L labels (the classes but the background), H W pixels.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

THRESHOLD = 0.6
BACKGROUND_SHARE = 0.5  # what the background's probability is multiplied by
LEAST = 1e-6  # smaller probabilities are taken for this


def identify(logits: Float[Tensor, "N L"], threshold: float = THRESHOLD) -> Bool[Tensor, "N L"]:
    """Return the labels whose probability reaches `threshold`; where none does, the likeliest."""
    found = logits.sigmoid() >= threshold
    likeliest = functional.one_hot(logits.argmax(1), logits.shape[1]).bool()
    return torch.where(found.any(1, keepdim=True), found, likeliest)


def rounds(found: Bool[Tensor, "N L"], every: bool = False) -> Iterator[Float[Tensor, "N L"]]:
    """Yield one label for each image, until every image had all of its own; zeros where it had them already.

    In a graph that is exported, which cannot depend on what is found, or with `every`, each label has a round; on the
    meta device, where nothing can be found, one has.
    """
    count, labels = found.shape[1], found.float()
    if every or torch.compiler.is_exporting():
        yield from (labels * torch.eye(count, device=found.device)[index] for index in range(count))
        return
    most = 1 if found.is_meta else int(found.sum(1).max())
    order = labels.argsort(dim=1, descending=True, stable=True)
    for number in range(most):
        yield labels * functional.one_hot(order[:, number], count)


def foreground(logits: Float[Tensor, "N 2 H W"]) -> Float[Tensor, "N 1 H W"]:
    """Return a label's probability at each pixel, after the background's has been halved and both add up to 1."""
    return (logits[:, 1:] - logits[:, :1] - math.log(BACKGROUND_SHARE)).float().sigmoid()


def aggregate(scores: Float[Tensor, "N L H W"], background: int | None) -> Float[Tensor, "N K H W"]:
    """Return log-probabilities of all classes.

    Args:
        scores: Each label's probability against the background; 0 for labels that are not there.
        background: Its id among the classes, or None where it is none of them.

    The background gets what the likeliest label leaves, so that it is the argmax where no label is above ½, as in
    the release, and a single label keeps its probability.
    """
    if background is not None:
        rest = 1 - scores.amax(1, keepdim=True)
        scores = torch.cat([scores[:, :background], rest, scores[:, background:]], 1)
    classes = scores.clamp(min=LEAST)
    return (classes / classes.sum(1, keepdim=True)).log()
