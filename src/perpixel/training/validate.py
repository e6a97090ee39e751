"""Score a network on whole images while it trains."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from perpixel.data.dataset import Dataset
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.ops.resize import logits_at_scale
from perpixel.training.distributed import World, sum_over_world


@dataclass(frozen=True)
class Example:
    """One validated image, kept for a picture."""

    name: str
    pixels: NDArray[Any]
    target: NDArray[np.uint8]
    prediction: NDArray[np.uint8]


@torch.no_grad()
def validate(
    network: nn.Module,
    dataset: Dataset,
    split: str,
    prepare: Callable[[NDArray[Any]], Tensor],
    scale: float,
    world: World,
    examples: int = 0,
) -> tuple[Scores, list[Example]]:
    """Predict every image of a split at its own size, one at a time, and count.

    Args:
        network: In evaluation mode; image -> logits.
        dataset: Where pairs are read from.
        split: Usually `val`.
        prepare: From pixels (H, W, C) to a normalised image (1, C, H, W) on the device.
        scale: At which the network sees an image.
        world: Other processes take other images; counts are added.
        examples: How many images to keep for pictures, spread evenly over the split.
    """
    confusion = Confusion(dataset.num_classes)
    kept: list[Example] = []
    pairs = dataset.pairs(split)
    pictured = set(np.linspace(0, len(pairs) - 1, min(examples, len(pairs)), dtype=int).tolist())
    for index in _mine(len(pairs), world):
        pixels, target = dataset.read(pairs[index])
        prediction = logits_at_scale(network, prepare(pixels), scale)[0].argmax(0).to(torch.uint8).cpu()
        confusion.add(torch.from_numpy(target), prediction)
        if index in pictured:
            kept.append(Example(pairs[index].name, pixels, target, prediction.numpy()))
    return Scores.from_confusion(_over_world(confusion, world)), kept


def _over_world(confusion: Confusion, world: World) -> Confusion:
    """Add the tables of all processes."""
    flat = np.append(confusion.counts.ravel(), confusion.ignored)
    total = sum_over_world(flat, world)
    confusion.counts, confusion.ignored = total[:-1].reshape(confusion.counts.shape), int(total[-1])
    return confusion


def _mine(count: int, world: World) -> Iterator[int]:
    return iter(range(world.rank, count, world.size))
