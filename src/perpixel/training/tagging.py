"""Learn from tags which classes an image shows.

    image, as large as it fits into the crop --> network.classify --> a logit a label --> sigmoid cross entropy
                                                     tags, 0 or 1 a label --------------------^

Any network with `classify(image) -> (N, L)` is trained so: first phase of DecoupledNet, and TransferNet's classifier.

Source: Hong, Noh, Han, "DecoupledNet", NIPS 2015, Sec. 3.1: the sum of every label's cross entropy.
Letters: N batch, L labels (all classes but background, in the order of their ids), H W pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from perpixel.data.dataset import Dataset, Picture
from perpixel.data.label_windows import whole_image
from perpixel.data.transforms import augment
from perpixel.data.windows import window_view
from perpixel.metrics.tags import TagScores
from perpixel.training.batches import Sample, TrainingSamples
from perpixel.training.distributed import World, sum_over_world
from perpixel.training.objective import Labels, Logits, Objective, Outputs
from perpixel.training.order import sample_generator
from perpixel.training.validate import Example

ROOM = 1.1  # side of the resized image over that of the crop: 350 to 320 pixels in the release


class TaggedSamples(TrainingSamples):
    """Whole images with their tags, with or without masks.

    Each is padded to a square, resized a little larger than the crop, and cropped anywhere.
    """

    def listed(self, dataset: Dataset) -> Sequence[Picture]:
        """Return all images that say something."""
        return dataset.pictures("train")

    def __getitem__(self, counter: int) -> Sample:
        """Return sample number `counter`: pixels, a target that is not looked at, the name and the tags."""
        picture = self.pairs[self.order[counter]]
        pixels, target = self._cache.get(self.dataset, picture)
        generator = sample_generator(self.seed, counter)
        size = self.recipe.crop_size or (max(target.shape),) * 2
        side = self.recipe.windows.side if self.recipe.windows is not None else round(ROOM * max(size))
        view = window_view(
            (target.shape[0], target.shape[1]), whole_image(*target.shape), side, size,
            self.augmentation.flip, generator,
        )  # fmt: skip
        pixels, target = augment(pixels, target, size, self.augmentation, generator, self.fill, view)
        if self.transform is not None:
            pixels, target = self.transform(pixels, target, generator)
        return pixels, target, picture.name, tag_vector(self.dataset, picture)


def tag_vector(dataset: Dataset, picture: Picture) -> NDArray[np.float32]:
    """Return 1 for every label that an image has, else 0: (L,)."""
    return dataset.tags(picture)[list(dataset.taggable)].astype(np.float32)


class Classification(Outputs):
    """A network's logits of labels."""

    def forward(self, image: Float[Tensor, "N C H W"], labels: Labels = None) -> Logits:
        """Return one output, (N, L)."""
        logits: Tensor = self.network.classify(image)  # type: ignore[operator]
        return (logits,)


class Tagging(Objective):
    """Sigmoid cross entropy, summed over labels, averaged over images."""

    def outputs_of(self, network: nn.Module) -> Outputs:
        """Return the classification."""
        return Classification(network)

    def ways(self) -> int:
        """Return 2: a label is there, or not."""
        return 2

    def loss(self, outputs: Logits, target: Int64[Tensor, "N H W"], labels: Labels = None) -> Float[Tensor, ""]:
        """Return the loss of the labels; the target is not looked at."""
        assert labels is not None
        logits = outputs[0].float()
        return functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(labels)


class Classifying(nn.Module):
    """A network that answers with logits of labels."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L"]:
        """Return logits."""
        logits: Tensor = self.network.classify(image)  # type: ignore[operator]
        return logits


@torch.no_grad()
def validate_tags(
    network: nn.Module,
    dataset: Dataset,
    split: str,
    prepare: Callable[[NDArray[Any]], Tensor],
    scale: float,
    world: World,
    examples: int = 0,
) -> tuple[TagScores, list[Example]]:
    """Classify every image of a split, one at a time.

    Args:
        network: In evaluation mode; image -> logits (N, L).
        dataset: Where images and tags are read from.
        split: Usually `val`.
        prepare: From pixels (H, W, C) to a normalised image (1, C, H, W) on the device.
        scale: Not looked at: the network frames images itself.
        world: Other processes take other images.
        examples: Not looked at: there is no picture to show.
    """
    pictures, labels = dataset.pictures(split), len(dataset.taggable)
    probabilities = np.zeros((len(pictures), labels), np.float32)
    present = np.zeros((len(pictures), labels), np.bool_)
    for index, picture in enumerate(pictures):
        present[index] = tag_vector(dataset, picture) > 0
        if index % world.size == world.rank:
            probabilities[index] = network(prepare(dataset.read_pixels(picture))).float().sigmoid()[0].cpu().numpy()
    bits = sum_over_world(probabilities.view(np.int32).astype(np.int64), world)  # every image is one process's
    return TagScores.of(bits.astype(np.int32).view(np.float32), present), []
