"""Learn one label at a time, for TransferNet: an image, one of its labels, and where that is if a mask says so.

    batch 0   target   image, label           which label it is counts; all pixels are IGNORE
    batch 1   source   image, label, mask     1 the label, 0 what is labelled otherwise, IGNORE the rest
    batch 2   target   …                      they alternate; an image with several labels comes once for each

    loss = cross-entropy of the labels + 2 × cross-entropy of the pixels, which is 0 for targets

Source: maga33/TransferNet, caffe/src/caffe/layers/srctgk_select_seg_binary_layer.cpp and
    training/2_train_segmentation/attention-decoder.prototxt; CVPR 2016, Sec. 4.4 (recalled).
Differs: examples are whole images, cropped a little while training; the release lists windows beforehand.
Letters: N batch, C channels, K classes, L labels (the classes but the background), H W pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch.distributed as dist
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from perpixel.data.dataset import Dataset, Pair, Picture
from perpixel.data.label_windows import whole_image
from perpixel.data.masks import IGNORE
from perpixel.data.transforms import augment
from perpixel.data.view import View
from perpixel.data.windows import window_view
from perpixel.errors import DataError
from perpixel.losses.cross_entropy import cross_entropy
from perpixel.training.batches import Sample, TrainingSamples
from perpixel.training.objective import Labels, Logits, Objective, Outputs
from perpixel.training.order import SampleOrder, sample_generator
from perpixel.training.tagging import ROOM

LOSS_WEIGHTS = (1.0, 2.0)  # attention-decoder.prototxt: of which label it is, and of where it is


class Example(NamedTuple):
    """An image and the id of one class that it shows."""

    picture: Picture
    class_id: int


class Examples(NamedTuple):
    """What there is to learn from.

    Attributes:
        targets: Classes whose masks are not to be seen, or images without a mask.
        sources: Classes and images with masks.
    """

    targets: tuple[Example, ...]
    sources: tuple[Example, ...]


def list_examples(dataset: Dataset) -> Examples:
    """Return an example for each label of each training image.

    Raises:
        DataError: No mask shows an object, or tags cannot be used.
    """
    targets: list[Example] = []
    sources: list[Example] = []
    for picture in dataset.pictures("train"):
        for class_id in np.flatnonzero(dataset.tags(picture)).tolist():
            masked = isinstance(picture, Pair) and class_id in dataset.mask_ids
            (sources if masked else targets).append(Example(picture, class_id))
    if not sources:
        raise DataError(
            "train: expected masks of some classes to learn outlines from, found none. Draw masks of a few images, or "
            "name the classes that have some under `mask_classes` in dataset.yaml."
        )
    return Examples(tuple(targets), tuple(sources))


class TransferSamples(TrainingSamples):
    """Views of examples, addressed by their number in the run: batches of targets and of sources take turns."""

    def listed(self, dataset: Dataset) -> Sequence[Picture]:
        """Return the image of every example: an epoch shows as many."""
        self.examples = list_examples(dataset)
        return [example.picture for kind in self.examples for example in kind]

    def example(self, counter: int) -> tuple[Example, bool]:
        """Return sample number `counter`, and whether its mask may be seen."""
        batch, place = divmod(counter, self.recipe.batch_size)
        targets, sources = self.examples
        source = not targets or batch % 2 == 1
        before = batch // 2 if targets else batch
        held = sources if source else targets
        order = SampleOrder(len(held), self.seed + source)
        return held[order[before * self.recipe.batch_size + place]], source

    def __getitem__(self, counter: int) -> Sample:
        """Return sample number `counter`: pixels, target, the picture's name, and its one label of L."""
        (picture, class_id), source = self.example(counter)
        pixels, ids = self._cache.get(self.dataset, picture)
        target = binary_target(ids, class_id) if source else np.full_like(ids, IGNORE)
        size = self.recipe.crop_size or (max(target.shape),) * 2
        generator = sample_generator(self.seed, counter)
        view = self.view((target.shape[0], target.shape[1]), size, generator)
        pixels, target = augment(pixels, target, size, self.augmentation, generator, self.fill, view)
        if self.transform is not None:
            pixels, target = self.transform(pixels, target, generator)
        label = np.array([known == class_id for known in self.dataset.taggable], np.float32)
        return pixels, target, picture.name, label

    def view(self, image_size: tuple[int, int], size: tuple[int, int], generator: np.random.Generator) -> View:
        """Draw a view of the whole image, made square and a little larger than the crop, so that labels stay true."""
        windows = self.recipe.windows
        side = round(ROOM * max(size)) if windows is None else windows.side
        return window_view(image_size, whole_image(*image_size), side, size, self.augmentation.flip, generator)


def binary_target(ids: NDArray[np.uint8], class_id: int) -> NDArray[np.uint8]:
    """Return 1 where a class is, 0 where another is, and IGNORE where nothing is known."""
    return np.where(ids == IGNORE, np.uint8(IGNORE), (ids == class_id).astype(np.uint8))


class TransferOutputs(Outputs):
    """A network, giving which label it sees and where the label is."""

    def forward(self, image: Float[Tensor, "N C H W"], labels: Labels = None) -> Logits:
        """Return logits (N, L) and (N, 2, H, W)."""
        logits: Logits = self.network.learn(image, labels)  # type: ignore[operator]
        return logits


class AttentionOutputs(Outputs):
    """A network, giving which label it sees."""

    def forward(self, image: Float[Tensor, "N C H W"], labels: Labels = None) -> Logits:
        """Return logits (N, L), alone."""
        return (self.network.recognize(image, labels),)  # type: ignore[operator]


class TransferObjective(Objective):
    """Tell labels apart by what their attention sees, and say where they are."""

    def outputs_of(self, network: nn.Module) -> Outputs:
        """Return both outputs."""
        return TransferOutputs(network)

    def ways(self) -> int | None:
        """Return 2: a pixel is the label's, or not."""
        return 2

    def forward(
        self, image: Float[Tensor, "N C H W"], target: Int64[Tensor, "N H W"], labels: Labels = None
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch; one of targets does not run the decoder, of which nothing is asked.

        Several processes run it all the same: they wait for one another's gradients of every weight.
        """
        if bool((target != IGNORE).any()) or dist.is_initialized():
            return super().forward(image, target, labels)
        with self.plan.autocast(image.device):
            logits = AttentionOutputs(self.outputs.network)(image, labels)
        return self.loss(logits, target, labels)

    def loss(self, outputs: Logits, target: Int64[Tensor, "N H W"], labels: Labels = None) -> Float[Tensor, ""]:
        """Return the weighted sum; where all pixels are ignored, theirs is 0."""
        assert labels is not None
        shares = self.recipe.loss_weights or LOSS_WEIGHTS
        loss = shares[0] * functional.cross_entropy(outputs[0].float(), labels.argmax(1))
        if len(outputs) == 1:
            return loss
        return loss + shares[1] * cross_entropy(outputs[1], target, None, self.recipe.loss_normalization, IGNORE)


class AttentionObjective(TransferObjective):
    """Tell labels apart by what their attention sees: the first of two stages."""

    def outputs_of(self, network: nn.Module) -> Outputs:
        """Return the labels' output alone."""
        return AttentionOutputs(network)

    def ways(self) -> int | None:
        """Return None: there are about as many labels as classes."""
        return None


class Perceiving(nn.Module):
    """Which labels an image shows, seen through the eyes of each: a TransferNet without its classifier."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L"]:
        """Return a logit for each label."""
        logits: Tensor = self.network.perceive(image)  # type: ignore[operator]
        return logits
