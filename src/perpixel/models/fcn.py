"""FCN: VGG-16 with its classifier made convolutional, scored at up to three depths and enlarged.

    image -> pool1 -> pool2 -> pool3 --> pool4 --> pool5 -> fc6 -> fc7
    stride     2        4        8        16         32      32     32
                               score    score                     score
                                 |        |                         |
    FCN-32s                                          logits <- x32 -+
    FCN-16s                      logits <- x16 <- (+) <--------- x2 +
    FCN-8s      logits <- x8 <- (+) <-- x2 <----- (+) <--------- x2 +

The first convolution pads the image by 100 pixels, so that even a 1 x 1 image leaves fc6, which is 7 x 7 and
unpadded, something to see. Each map then starts at a known pixel, and crops undo the padding exactly.

Element i of a map lies at pixel c + s·i. With padding P, fc7 has c = 112.5 − P, s = 32; pool4 and pool3 have
c = 8.5 − P and 4.5 − P. A deconvolution by f starts (f − ½) steps of the finer map earlier. Hence the crops:
P − 81 = 19, P − 73 = 27 and P − 69 = 31 pixels off the result, 5 elements off pool4 and 9 off pool3.

Source: Shelhamer, Long, Darrell, "Fully Convolutional Networks", CVPR 2015, arXiv:1411.4038, and TPAMI 2017,
    arXiv:1605.06211; the layers as released in fcn.berkeleyvision.org, voc-fcn*/net.py.
Differs: the fixed deconvolutions have no weights here; the released ones store a dense K x K kernel, zero
    between different classes. `padding=1` is ours. Poolings round up, as Caffe's: with PyTorch's rounding down
    the crops stay the same, but the result of FCN-32s can end 12 pixels before the image does, FCN-16s's 4.
Letters: N batch, C channels, K classes, H W pixels, P padding.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.vgg import VGG, VGG16_WIDTHS, scaled, scaled_widths
from perpixel.models.check import check_image
from perpixel.models.initialize import initialize_he, initialize_zero
from perpixel.ops.bilinear import bilinear_deconvolution, bilinear_weight

POOL4_SCALE = 0.01  # voc-fcn8s-atonce/net.py; evens out the features' magnitudes
POOL3_SCALE = 0.0001


@dataclass(frozen=True)
class Crops:
    """Where maps meet.

    Attributes:
        pool4: Element of pool4's map at which the enlarged fc7 scores start.
        pool3: Element of pool3's map at which the enlarged pool4 scores start.
        x32: Pixel of the result of FCN-32s at which the image starts; x16 and x8 likewise.
    """

    pool4: int
    pool3: int
    x32: int
    x16: int
    x8: int


CROPS = {
    100: Crops(pool4=5, pool3=9, x32=19, x16=27, x8=31),
    1: Crops(pool4=-1, pool3=-1, x32=16, x16=8, x8=4),
}


class Features(NamedTuple):
    """What the scores are read from, at strides 8, 16 and 32."""

    pool3: Float[Tensor, "N _ _ _"]
    pool4: Float[Tensor, "N _ _ _"]
    fc7: Float[Tensor, "N _ _ _"]


class ConvolutionalVGG(nn.Module):
    """VGG-16 as a sliding classifier: the two hidden fully connected layers are convolutions.

    Args:
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every layer.
        padding: 100, or 1.
    """

    def __init__(self, in_channels: int, width: float, padding: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.features = VGG(in_channels, scaled_widths(VGG16_WIDTHS, width), padding=padding)
        hidden = scaled(4096, width)
        fc6_padding = 3 if padding == 1 else 0
        self.fc6 = nn.Conv2d(self.features.channels[-1], hidden, kernel_size=7, padding=fc6_padding)
        self.fc7 = nn.Conv2d(hidden, hidden, kernel_size=1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Features:
        """Return the features at strides 8, 16 and 32."""
        check_image(image, self.in_channels)
        _, _, pool3, pool4, pool5 = self.features(image)
        hidden = self.dropout(torch.relu(self.fc6(pool5)))
        return Features(pool3, pool4, self.dropout(torch.relu(self.fc7(hidden))))


class FCN32s(nn.Module):
    """Segment an image into `num_classes` classes from the deepest features alone.

    The paper's FCN-32s-fixed is this network with only `score_fr` learned: a recipe's `trainable`, not a network.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        padding: 100 as released. With 1, fc6 is padded by 3 instead: away from the border the same network,
            its grid 3 pixels further, and no margin to compute: a ninth of the work on a crop of 96 pixels.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: float = 1.0, padding: int = 100) -> None:
        super().__init__()
        self.crops = crops(padding)
        self.encoder = ConvolutionalVGG(in_channels, width, padding)
        self.score_fr = nn.Conv2d(self.encoder.fc7.out_channels, num_classes, kernel_size=1)
        initialize_he(self)
        initialize_zero(self.score_fr)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        return self.enlarge(self.scores(image), image_size(image))

    def scores(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        """Return the scores at stride 32, before they are enlarged."""
        scores: Tensor = self.score_fr(self.encoder(image).fc7)
        return scores

    def enlarge(self, scores: Float[Tensor, "N K h w"], size: tuple[int, int]) -> Float[Tensor, "N K H W"]:
        """Deconvolve what `scores` returned to the image's size (H, W)."""
        return bilinear_deconvolution(scores, stride=32, offset=self.crops.x32, size=size)


class FCN16s(nn.Module):
    """FCN-32s, with the scores of pool4 added before the last enlargement.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        padding: As in `FCN32s`.
        learned_upsampling: Learn the deconvolution between scores, from bilinear on, dense K x K, as in the
            CVPR paper. The release, and we, keep it fixed; TPAMI found no difference.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        padding: int = 100,
        learned_upsampling: bool = False,
    ) -> None:
        super().__init__()
        self.crops = crops(padding)
        self.encoder = ConvolutionalVGG(in_channels, width, padding)
        self.score_fr = nn.Conv2d(self.encoder.fc7.out_channels, num_classes, kernel_size=1)
        self.score_pool4 = nn.Conv2d(self.encoder.features.channels[3], num_classes, kernel_size=1)
        initialize_he(self)
        initialize_zero(self.score_fr, self.score_pool4)
        self.upscore2 = doubling(num_classes, learned_upsampling)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        features = self.encoder(image)
        scores = self.upscore2(self.score_fr(features.fc7))
        scores = add_skip(scores, self.score_pool4(features.pool4), self.crops.pool4)
        return bilinear_deconvolution(scores, stride=16, offset=self.crops.x16, size=image_size(image))


class FCN8s(nn.Module):
    """FCN-16s, with the scores of pool3 added too.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        padding: As in `FCN32s`.
        learned_upsampling: As in `FCN16s`; both deconvolutions between scores.
        at_once: Scale the features of pool4 by 0.01 and of pool3 by 0.0001 before they are scored, so that
            all three depths learn together. Without it the network is meant to be trained in stages, from the
            weights of FCN-32s, then of FCN-16s.
    """

    pool4_scale: Tensor
    pool3_scale: Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        padding: int = 100,
        learned_upsampling: bool = False,
        at_once: bool = False,
    ) -> None:
        super().__init__()
        self.crops = crops(padding)
        self.encoder = ConvolutionalVGG(in_channels, width, padding)
        _, _, pool3, pool4, _ = self.encoder.features.channels
        self.score_fr = nn.Conv2d(self.encoder.fc7.out_channels, num_classes, kernel_size=1)
        self.score_pool4 = nn.Conv2d(pool4, num_classes, kernel_size=1)
        self.score_pool3 = nn.Conv2d(pool3, num_classes, kernel_size=1)
        initialize_he(self)
        initialize_zero(self.score_fr, self.score_pool4, self.score_pool3)
        self.upscore2 = doubling(num_classes, learned_upsampling)
        self.upscore_pool4 = doubling(num_classes, learned_upsampling)
        self.register_buffer("pool4_scale", torch.tensor(POOL4_SCALE if at_once else 1.0))
        self.register_buffer("pool3_scale", torch.tensor(POOL3_SCALE if at_once else 1.0))

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        features = self.encoder(image)
        scores = self.upscore2(self.score_fr(features.fc7))
        scores = add_skip(scores, self.score_pool4(features.pool4 * self.pool4_scale), self.crops.pool4)
        scores = self.upscore_pool4(scores)
        scores = add_skip(scores, self.score_pool3(features.pool3 * self.pool3_scale), self.crops.pool3)
        return bilinear_deconvolution(scores, stride=8, offset=self.crops.x8, size=image_size(image))


class BilinearDoubling(nn.Module):
    """The fixed 4 x 4 deconvolution of stride 2; it has no weights."""

    def forward(self, scores: Float[Tensor, "N K h w"]) -> Float[Tensor, "N K H W"]:
        """Return scores of 2h + 2 rows and 2w + 2 columns."""
        return bilinear_deconvolution(scores, stride=2)


def doubling(num_classes: int, learned: bool) -> nn.Module:
    """Return the deconvolution between two scores: bilinear, and either fixed or learned from there."""
    if not learned:
        return BilinearDoubling()
    deconvolution = nn.ConvTranspose2d(num_classes, num_classes, kernel_size=4, stride=2, bias=False)
    deconvolution.weight.data.copy_(bilinear_weight(num_classes, 4))
    return deconvolution


def add_skip(scores: Float[Tensor, "N K h w"], skip: Float[Tensor, "N K H W"], start: int) -> Float[Tensor, "N K _ _"]:
    """Add the scores of a finer map, where the two overlap.

    Args:
        scores: Enlarged to the resolution of `skip`.
        skip: The finer scores.
        start: Row and column of `skip` at which `scores` starts; negative where it starts earlier.
    """
    if start < 0:
        return crop(scores, -start, (skip.shape[-2], skip.shape[-1])) + skip
    return scores + crop(skip, start, (scores.shape[-2], scores.shape[-1]))


def crop(scores: Float[Tensor, "N K H W"], start: int, size: tuple[int, int]) -> Float[Tensor, "N K h w"]:
    """Return `size` rows and columns from `start` on."""
    return scores[..., start : start + size[0], start : start + size[1]]


def crops(padding: int) -> Crops:
    """Return where maps meet for a padding of the image.

    Raises:
        ValueError: The padding is neither 100 nor 1.
    """
    if padding not in CROPS:
        raise ValueError(f"FCN: expected padding 100 or 1, got {padding}. 100 is the released network's.")
    return CROPS[padding]


def image_size(image: Float[Tensor, "N C H W"]) -> tuple[int, int]:
    """Return (H, W)."""
    return image.shape[-2], image.shape[-1]
