"""DeepLab v2: a dilated encoder read at four rates at once, and the image seen at three scales.

                          +-> 3x3 by  6 -> ... -> scores -+
    image -> encoder, 8 --+-> 3x3 by 12 -> ... -> scores -+-> (+) -> x8 -> logits     atrous spatial pyramid
                          +-> 3x3 by 18 -> ... -> scores -+                           pooling, ASPP-L;
                          +-> 3x3 by 24 -> ... -> scores -+                           ASPP-S: 2, 4, 8, 12

    image ------> network -> scores ----+
      |-- x 3/4 > network -> scores ----+-> max -> x8 -> logits                       multi-scale input, MSC
      +-- x 1/2 > network -> scores ----+

After VGG-16 each rate has two hidden layers of its own, fc6 and fc7; after a ResNet it scores at once. A place of
VGG-16's ASPP-L sees 611 pixels, of ResNet-101's 1411, of which res5c 1027.

MSC shares its weights between the scales. Scores are fused, not probabilities, by the largest at each place of
the coarse map, and only then enlarged. Training adds four losses of equal weight: of the fused scores and of
scales 1 and 3/4 at stride 8, and of scale 1/2 on its own map, against labels shrunk by 16.

Sizes: as in DeepLab v1, maps lie exactly on images of 8n + 1 pixels, and other images are filled up with zeros.
The released crops, 321 and 513, are 32n + 1, so that 3/4 (241, 385) and 1/2 (161, 257) of them are 8n + 1 too.

Traps: all interpolation lays corner on corner; align_corners=False would move maps by up to half a cell. Poly
    steps of the release multiply the rate into the momentum, PyTorch's do not. Its evaluation gives a class that
    is nowhere an IoU of 1; ours leaves it out. The released BatchNorm is frozen: see `freeze_batch_norm`.

Source: Chen, Papandreou, Kokkinos, Murphy, Yuille, PAMI 2018, arXiv:1606.00915, Sec. 3 and 4; the layers as
    released in deeplab-public-ver2, whose nets' files are kept by others: xmojiao/deeplab_v2 (VGG-16),
    DrSleep/tensorflow-deeplab-resnet and isht7/pytorch-deeplab-resnet (ResNet); the losses of MSC as the last has
    them, train.py.
Differs: batch normalisation learns unless asked not to, because a network without pretrained weights could not.
Letters: N batch, C channels, K classes, H W pixels, h w places at stride 8.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.encoder import Encoder
from perpixel.encoders.resnet import BLOCKS, ResNet, StrideIn
from perpixel.encoders.vgg import VGG11_WIDTHS, VGG13_WIDTHS, VGG16_WIDTHS, VGG19_WIDTHS, scaled, scaled_widths
from perpixel.models.check import check_image
from perpixel.models.deeplab_v1 import STRIDE, DilatedVGG
from perpixel.models.initialize import initialize_he
from perpixel.ops.zoom import fill, to_corners, zoom

LARGE_FOV = (12,)
ASPP_S = (2, 4, 8, 12)
ASPP_L = (6, 12, 18, 24)

SCALES = ((1, 1), (3, 4), (1, 2))  # of multi-scale input, as fractions
HIDDEN = 1024  # of VGG's fc6 and fc7
SCORE_STD = 0.01  # weight_filler of every score layer

VGG_WIDTHS = {"vgg11": VGG11_WIDTHS, "vgg13": VGG13_WIDTHS, "vgg16": VGG16_WIDTHS, "vgg19": VGG19_WIDTHS}
RESNETS = {f"resnet{depth}": depth for depth in BLOCKS}


class DeepLabV2(nn.Module):
    """Segment an image into `num_classes` classes, with every eighth pixel scored.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        encoder: The paper's "vgg16" or "resnet101-msra", which halves maps in a block's first 1x1; or vgg11, vgg13,
            vgg19, or resnet18 to resnet152, torchvision's unless "-msra" follows. "-bn" after a VGG normalises.
        rates: Dilation of each branch: `ASPP_L`, `ASPP_S`, `LARGE_FOV` or your own.
        multi_scale: See the image at scales 1, 3/4 and 1/2; 1.8 times the work.
        freeze_batch_norm: Keep the statistics, scales and shifts of batch normalisation as they were loaded, as
            the release does. Only of use with pretrained weights.

    Attributes:
        loss_weights: Of what `training_logits` returns.

    Raises:
        ValueError: No such encoder, or no rates.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        encoder: str = "vgg16",
        rates: Sequence[int] = ASPP_L,
        multi_scale: bool = False,
        freeze_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if not rates:
            raise ValueError("DeepLabV2: expected at least one rate, got none. Say e.g. (6, 12, 18, 24).")
        self.in_channels = in_channels
        self.scales = SCALES if multi_scale else SCALES[:1]
        self.loss_weights = (1.0,) * (4 if multi_scale else 1)
        self.encoder = dilated_encoder(encoder, in_channels, width)
        channels = self.encoder.channels[-1]
        self.aspp: HiddenASPP | LinearASPP
        if isinstance(self.encoder, DilatedVGG):
            self.aspp = HiddenASPP(channels, scaled(HIDDEN, width), num_classes, rates)
        else:
            self.aspp = LinearASPP(channels, num_classes, rates)
        initialize_he(self)
        for score in self.aspp.scores():
            nn.init.normal_(score.weight, std=SCORE_STD)
        self.frozen = [part for part in self.modules() if isinstance(part, nn.BatchNorm2d)] if freeze_batch_norm else []
        for part in self.frozen:
            part.requires_grad_(False)
        self.train()

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        check_image(image, self.in_channels)
        fused = largest(self.at_full_scale(self.pyramid(fill(image))))
        return zoom(fused, (image.shape[-2], image.shape[-1]), 1 / STRIDE)

    def training_logits(self, image: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N K _ _"], ...]:
        """Return the logits that are trained, at stride 8: of 321 pixels 41 places.

        With `multi_scale` four: fused, of scale 1, of 3/4 at the size of 1, and of 1/2 at its own: 41, 41, 41, 21.
        Corner places lie on corner pixels; at other sizes than 8n + 1 they are interpolated so that they do.
        """
        check_image(image, self.in_channels)
        size = (image.shape[-2], image.shape[-1])
        pyramid = self.pyramid(fill(image))
        together = self.at_full_scale(pyramid)
        if len(pyramid) == 1:
            return (to_corners(pyramid[0], size, STRIDE),)
        coarse = [to_corners(scores, size, STRIDE) for scores in (largest(together), *together[:2])]
        return (*coarse, to_corners(pyramid[2], size, 2 * STRIDE))

    def pyramid(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N K _ _"]]:
        """Return the scores at each scale; place i lies at pixel 8i of the image at that scale."""
        return [self.aspp(self.encoder(fill(shrink(image, *scale)))[-1]) for scale in self.scales]

    def at_full_scale(self, pyramid: list[Float[Tensor, "N K _ _"]]) -> list[Float[Tensor, "N K h w"]]:
        """Return every scale's scores at the places of scale 1."""
        full = pyramid[0]
        places = (full.shape[-2], full.shape[-1])
        coarser = zip(pyramid[1:], self.scales[1:], strict=True)
        return [full, *(zoom(scores, places, up / down) for scores, (up, down) in coarser)]

    def train(self, mode: bool = True) -> "DeepLabV2":
        """Set training or evaluation; frozen batch normalisation stays in evaluation."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self


class HiddenASPP(nn.Module):
    """ASPP after VGG: each rate has fc6, fc7 and fc8 of its own, and the scores are summed.

    Args:
        channels: Of pool5.
        hidden: Width of fc6 and fc7.
        num_classes: K.
        rates: Dilation of each fc6.
    """

    def __init__(self, channels: int, hidden: int, num_classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.count = len(rates)
        for branch, rate in enumerate(rates, start=1):
            self.add_module(f"fc6_{branch}", nn.Conv2d(channels, hidden, kernel_size=3, padding=rate, dilation=rate))
            self.add_module(f"fc7_{branch}", nn.Conv2d(hidden, hidden, kernel_size=1))
            self.add_module(f"fc8_{branch}", nn.Conv2d(hidden, num_classes, kernel_size=1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, features: Float[Tensor, "N _ h w"]) -> Float[Tensor, "N K h w"]:
        """Return every place's scores."""
        return reduce(torch.add, (self.read(features, branch) for branch in range(1, self.count + 1)))

    def read(self, features: Float[Tensor, "N _ h w"], branch: int) -> Float[Tensor, "N K h w"]:
        """Return one rate's scores."""
        fc6, fc7, fc8 = (self.get_submodule(f"fc{depth}_{branch}") for depth in (6, 7, 8))
        scores: Tensor = fc8(self.dropout(torch.relu(fc7(self.dropout(torch.relu(fc6(features)))))))
        return scores

    def scores(self) -> list[nn.Conv2d]:
        """Return the last layer of every rate."""
        return [part for name, part in self.named_children() if name.startswith("fc8") and isinstance(part, nn.Conv2d)]


class LinearASPP(nn.Module):
    """ASPP after a ResNet: each rate scores with one 3 x 3 convolution, and the scores are summed.

    Args:
        channels: Of res5c.
        num_classes: K.
        rates: Dilation of each convolution.
    """

    def __init__(self, channels: int, num_classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        for branch, rate in enumerate(rates):
            self.add_module(f"fc1_c{branch}", nn.Conv2d(channels, num_classes, 3, padding=rate, dilation=rate))

    def forward(self, features: Float[Tensor, "N _ h w"]) -> Float[Tensor, "N K h w"]:
        """Return every place's scores."""
        total: Tensor = reduce(torch.add, (score(features) for score in self.scores()))
        return total

    def scores(self) -> list[nn.Conv2d]:
        """Return the convolution of every rate."""
        return [part for part in self.children() if isinstance(part, nn.Conv2d)]


def dilated_encoder(name: str, in_channels: int, width: float) -> Encoder:
    """Return an encoder whose deepest map has stride 8, with DeepLab's poolings.

    Raises:
        ValueError: No such encoder.
    """
    vgg, resnet = name.removesuffix("-bn"), name.removesuffix("-msra")
    if vgg in VGG_WIDTHS:
        return DilatedVGG(in_channels, scaled_widths(VGG_WIDTHS[vgg], width), batch_norm=vgg != name)
    if resnet in RESNETS:
        stride_in: StrideIn = "3x3" if resnet == name else "1x1"
        return ResNet(RESNETS[resnet], in_channels, width, stride_in, pool_ceil=True, output_stride=STRIDE)
    known = ", ".join([*VGG_WIDTHS, *RESNETS])
    raise ValueError(f"DeepLabV2: expected encoder {known}, with -bn or -msra, got {name!r}. Choose one of them.")


def shrink(image: Float[Tensor, "N C H W"], up: int, down: int) -> Float[Tensor, "N C h w"]:
    """Return the image at `up` / `down` of its scale, corner on corner: of 8n + 1 pixels 6n + 1 or 4n + 1."""
    if up == down:
        return image
    height, width = ((length - 1) // down * up + 1 for length in image.shape[-2:])
    return zoom(image, (height, width), down / up)


def largest(scores: list[Float[Tensor, "N K h w"]]) -> Float[Tensor, "N K h w"]:
    """Return the largest of several scores of the same places and classes."""
    return reduce(torch.maximum, scores)
