"""Predict label by label, as TransferNet's program does: each label's map follows the image's edges by itself.

    pixels -> network.classify -> labels that are there
           -> network.segment, one pass a label -> halved background -> CRF of two classes -> 0 where it says background
           -> the label with the highest probability; background where all are 0

For any network that has `classify` and `segment`: TransferNet and DecoupledNet. What is known of an image's labels
beforehand may be told instead.

Source: maga33/TransferNet, inference/TransferNet_inference.m and run_inference.m.
Letters: K classes, C channels, L labels (the classes but the background), H W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perpixel.crf.options import PRESETS, CrfOptions
from perpixel.data.normalization import Normalization
from perpixel.errors import UsageError
from perpixel.inference.refining import refined
from perpixel.ops.labels import THRESHOLD, foreground, identify

RELEASED_CRF = PRESETS["transfernet"]


class LabelNetwork(Protocol):
    """A network that segments label by label."""

    def classify(self, image: Tensor) -> Tensor:
        """Return a logit for each label, (N, L)."""

    def segment(self, image: Tensor, labels: Tensor) -> Tensor:
        """Return logits of background and label, (N, 2, H, W)."""


@dataclass(frozen=True)
class LabelMaps:
    """What was found in one image.

    Attributes:
        belief: Each label's probability of being there, (L,).
        labels: Those that had a pass.
        maps: Each pass's probability of its label, before the CRF: (passes, H, W).
        scores: The same after it; 0 where the CRF says background.
        prediction: Class ids, int64 (H, W).
    """

    belief: NDArray[np.float32]
    labels: tuple[int, ...]
    maps: NDArray[np.float32]
    scores: NDArray[np.float32]
    prediction: NDArray[np.int64]


@torch.inference_mode()
def predict_labels(
    network: LabelNetwork,
    pixels: NDArray[Any],
    normalization: Normalization,
    background: int | None = 0,
    crf: CrfOptions | None = RELEASED_CRF,
    threshold: float = THRESHOLD,
    labels: Sequence[int] | None = None,
) -> LabelMaps:
    """Label every pixel of an image.

    Args:
        network: In evaluation mode, on the CPU or wherever its input is accepted from.
        pixels: (H, W, C), uint8 or uint16, RGB.
        normalization: What the network expects of pixels.
        background: Its id; None where every class is a label, and the likeliest is taken where none is above ½.
        crf: For each label against the background; None leaves the maps as they are.
        threshold: The probability from which a label is there; where none reaches it, the likeliest is.
        labels: Those that are there, if that is known; 0 is the first that is not the background.

    Raises:
        UsageError: A label is none of the network's, or none is given.
    """
    image = torch.from_numpy(normalization.apply(pixels))
    image = image if image.ndim == 4 else image[None]
    logits = network.classify(image)
    count = logits.shape[1]
    passes = identify(logits, threshold)[0].nonzero().flatten().tolist() if labels is None else list(labels)
    if not passes or not all(0 <= label < count for label in passes):
        raise UsageError(f"predict_labels: expected labels from 0 to {count - 1}, got {passes}. Name what is there.")
    maps = [_pass(network, image, label, count) for label in passes]
    scores = [_refined(inside, pixels, crf) for inside in maps]
    return LabelMaps(
        logits.sigmoid()[0].numpy(), tuple(passes), np.stack(maps), np.stack(scores),
        _compare(np.stack(maps), np.stack(scores), passes, background),
    )  # fmt: skip


def _pass(network: LabelNetwork, image: Tensor, label: int, count: int) -> NDArray[np.float32]:
    """Return one label's probability, (H, W)."""
    alone = torch.zeros(1, count)
    alone[0, label] = 1
    inside: NDArray[np.float32] = foreground(network.segment(image, alone))[0, 0].numpy()
    return inside


def _refined(inside: NDArray[np.float32], pixels: NDArray[Any], crf: CrfOptions | None) -> NDArray[np.float32]:
    """Return a label's probability where it is likelier than the background, once both follow the edges; else 0."""
    both = torch.from_numpy(np.stack([1 - inside, inside]))
    found = (both if crf is None else refined(both, pixels, crf)).numpy()
    score: NDArray[np.float32] = np.where(found[1] > found[0], inside, np.float32(0))
    return score


def _compare(
    maps: NDArray[np.float32], scores: NDArray[np.float32], labels: Sequence[int], background: int | None
) -> NDArray[np.int64]:
    """Return the class with the highest score; where all are 0, the background, or without one the likeliest."""
    ids = np.array([label + (background is not None and label >= background) for label in labels], np.int64)
    nowhere = scores.max(0) == 0
    rest = ids[maps.argmax(0)] if background is None else np.full(nowhere.shape, background, np.int64)
    return np.where(nowhere, rest, ids[scores.argmax(0)])
