"""Deep Contextual Network: three depths, each enlarged to the image and judged by itself, then added.

    image -> 64 -pool-> 128 -pool-> 256 -pool-> 512, 512
    stride    1           2           4           8
                          x2          x4          x8            deconvolutions of side 2k, stride k
                          C1     +    C2     +    C3   = logits
    sees, px              14          40         140

C1 to C3 are classifiers of their own in training: each has a loss beside the loss of the sum. Alone, C1 is far worse
than the others (Rand error 0.26 against 0.05 and 0.04): it sees too little. The variant that shrinks further, "-6", is
worse than this one, "-4".

Source: Chen, Qi, Cheng, Heng, "Deep Contextual Networks for Neuronal Structure Segmentation", AAAI 2016. Nothing was
    released. Stated: 16 convolutions of 3 x 3 or 1 x 1, 3 poolings, 3 deconvolutions with k = 2, 4, 8 and side 2k,
    ReLU after every layer with weights, three auxiliary classifiers, their maps summed. DCAN (CVPR 2016), by the
    same group, is another network; some code of that name quotes this paper.
Differs: the table of layers is a reconstruction, and uncertain. VGG-16's 13 convolutions up to 5_3, without its last
    two poolings, and one 1 x 1 a branch make 16; the taps after 2_2, 3_3 and 5_3 and the width of the branches, 64,
    are our choice. Scores have no ReLU. Any size: maps are rounded up and cropped.
Letters: N batch, C channels, K classes, H W pixels, k how much a branch enlarges.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.vgg import VGG16_WIDTHS, convolutions, scaled, scaled_widths
from perpixel.models.check import check_image
from perpixel.models.initialize import initialize_he
from perpixel.models.unet_same import crop_to

BRANCH = 64  # channels of an enlarged map; uncertain


class Tap(NamedTuple):
    """Where a branch leaves: after which stage of VGG, and how much smaller its map is than the image."""

    stage: int
    k: int


TAPS = (Tap(2, 2), Tap(3, 4), Tap(5, 8))


class DeepContextual(nn.Module):
    """Segment an image into `num_classes` classes, at the image's own resolution.

    Args:
        num_classes: K, counting background if the data set labels it; 2 in the paper, membranes and the rest.
        in_channels: Image channels; 3 for RGB, 1 in the paper.
        width: Multiplies the width of every hidden layer; 1 is VGG-16's.

    Attributes:
        loss_weights: Of the sum, C1, C2 and C3 at the start. Those of the classifiers decrease as training goes on;
            how is uncertain: the sister paper, DCAN, divides them by 10 every 10,000 iterations, down to 0.001.
    """

    loss_weights = (1.0, 1.0, 1.0, 1.0)

    def __init__(self, num_classes: int, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        self.in_channels = in_channels
        widths = scaled_widths(VGG16_WIDTHS, width)
        inputs = (in_channels, *(stage[-1] for stage in widths))
        self.encoder = nn.ModuleDict(
            {
                f"stage{number}": convolutions(number, inward, stage)
                for number, (inward, stage) in enumerate(zip(inputs, widths, strict=False), start=1)
            }
        )
        self.branches = nn.ModuleDict(
            {
                f"C{number}": branch(widths[tap.stage - 1][-1], scaled(BRANCH, width), num_classes, tap.k)
                for number, tap in enumerate(TAPS, start=1)
            }
        )
        initialize_he(self)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        return self.training_logits(image)[0]

    def training_logits(self, image: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N K H W"], ...]:
        """Return the sum, C1, C2 and C3, all at the image's size."""
        check_image(image, self.in_channels)
        maps, features = [], image
        for number, stage in enumerate(self.encoder.values(), start=1):
            if 1 < number < 5:
                features = functional.max_pool2d(features, kernel_size=2, ceil_mode=True)
            features = stage(features)
            maps.append(features)
        branches = zip(TAPS, self.branches.values(), strict=True)
        scores = [crop_to(image, classify(maps[tap.stage - 1])) for tap, classify in branches]
        return torch.stack(scores).sum(dim=0), *scores


def branch(in_channels: int, channels: int, num_classes: int, k: int) -> nn.Sequential:
    """Return a deconvolution that enlarges `k` times, its ReLU, and a classifier of every pixel."""
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, channels, kernel_size=2 * k, stride=k, padding=k // 2),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, num_classes, kernel_size=1),
    )
