"""Learn to cut out the classes that are named: one binary segmentation for each image and label vector.

    image ------------------------------------> network.segment --> background, foreground --> cross entropy
    labels of the image -> a subset is drawn ------^                                              ^
    mask ------------------------------------> is the pixel of a class in the subset? ------------+

Any network with `segment(image, labels) -> (N, 2, H, W)` is trained so. Only images with masks are seen.

Source: Hong, Noh, Han, "DecoupledNet", NIPS 2015, Sec. 3.3 and 4.2; HyeonwooNoh/caffe, select_seg_binary_layer.cpp.
Differs: of the drawn labels, those count that the crop still shows.
Letters: N batch, L labels (all classes but background, in the order of their ids), H W pixels.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from perpixel.data.label_windows import draw_subset, draw_window, foreground, shown_classes, whole_image
from perpixel.data.transforms import augment
from perpixel.data.view import View
from perpixel.data.windows import window_view
from perpixel.training.batches import Sample, TrainingSamples
from perpixel.training.objective import Labels, Logits, Objective, Outputs
from perpixel.training.order import sample_generator
from perpixel.training.recipe import Windows
from perpixel.training.tagging import ROOM


class LabelSamples(TrainingSamples):
    """Crops around the foreground of some of an image's labels, and which labels these are."""

    def __getitem__(self, counter: int) -> Sample:
        """Return sample number `counter`: pixels, the binary target, the name and the label vector."""
        pair = self.pairs[self.order[counter]]
        pixels, target = self._cache.get(self.dataset, pair)
        generator = sample_generator(self.seed, counter)
        chosen = draw_subset(shown_classes(target, self.allowed()), generator)
        size = self.recipe.crop_size or (max(target.shape),) * 2
        view = self.view(target, chosen, size, generator)
        pixels, target = augment(pixels, target, size, self.augmentation, generator, self.fill, view)
        if self.transform is not None:
            pixels, target = self.transform(pixels, target, generator)
        seen = shown_classes(target, chosen)
        return pixels, foreground(target, seen), pair.name, self.vector(seen)

    def allowed(self) -> tuple[int, ...]:
        """Return the classes that a sample may ask for: those that masks show, without the background."""
        masked = self.dataset.mask_ids
        return tuple(c for c in self.dataset.taggable if c in masked)

    def vector(self, chosen: tuple[int, ...]) -> NDArray[np.float32]:
        """Return 1 for every chosen class, else 0: (L,)."""
        return np.array([c in chosen for c in self.dataset.taggable], np.float32)

    def view(
        self, target: NDArray[np.uint8], chosen: tuple[int, ...], size: tuple[int, int], rng: np.random.Generator
    ) -> View:
        """Return a view of the chosen classes; of the whole image where there are none."""
        windows = self.recipe.windows or Windows(kind="proposal", side=round(ROOM * max(size)))
        height, width = target.shape
        mask = np.isin(target, chosen)
        around = draw_window(mask, windows.context, windows.min_iou, rng) if chosen else whole_image(height, width)
        return window_view((height, width), around, windows.side, size, self.augmentation.flip, rng)


class Asking(Outputs):
    """A network's logits of background and foreground for the labels that it is given."""

    def forward(self, image: Float[Tensor, "N C H W"], labels: Labels = None) -> Logits:
        """Return one output, (N, 2, H, W)."""
        logits: Tensor = self.network.segment(image, labels)  # type: ignore[operator]
        return (logits,)


class PerLabel(Objective):
    """Cross entropy of background and foreground."""

    def outputs_of(self, network: nn.Module) -> Outputs:
        """Return the segmentation of given labels."""
        return Asking(network)

    def ways(self) -> int:
        """Return 2: a pixel is foreground, or not."""
        return 2
