r"""U-Net with padded convolutions: the output has the image's own size.

    image -> 64 -----------------------------> 64 -> logits     =  two 3 x 3 convolutions at each level
              \-> 128 -----------------> 128 -/                 \  max pooling, sizes rounded up
                   \-> 256 -------> 256 -/                       /  2 x 2 deconvolution, cropped to the skip
                        \-> 512 -> 512 -/                        -  skip, concatenated: (skip, upsampled)
                             \-> 1024 -/

Source: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, arXiv:1505.04597, Fig. 1.
Differs: convolutions are padded, so that any image keeps its size (the paper loses 92 px on each side), and
    batch normalised, without a bias of their own. This is the network most people call U-Net.
Letters: N batch, C channels, K classes, H W pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.vgg import scaled
from perpixel.models.check import check_image
from perpixel.models.initialize import initialize_he
from perpixel.ops.batch_norm import BatchNorm2d

WIDTHS = (64, 128, 256, 512, 1024)


class UNetSame(nn.Module):
    """Segment an image into `num_classes` classes, at the image's own resolution.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every level; 1 is the paper's 64 to 1024.
        dropout: Probability of dropping an element of the deepest features. The paper says only that
            there is dropout at the end of the contracting path; batch normalisation does without.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: float = 1.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.in_channels = in_channels
        widths = [scaled(channels, width) for channels in WIDTHS]
        self.encoder = nn.ModuleList(
            two_convolutions(shallow, deep) for shallow, deep in zip([in_channels, *widths], widths, strict=False)
        )
        self.dropout = nn.Dropout(dropout)
        upward = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(deep, shallow, kernel_size=2, stride=2) for deep, shallow in upward
        )
        self.decoder = nn.ModuleList(two_convolutions(2 * shallow, shallow) for _, shallow in upward)
        self.classifier = nn.Conv2d(widths[0], num_classes, kernel_size=1)
        initialize_he(self)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        check_image(image, self.in_channels)
        skips = [self.encoder[0](image)]
        for stage in self.encoder[1:]:
            skips.append(stage(functional.max_pool2d(skips[-1], kernel_size=2, ceil_mode=True)))
        features = self.dropout(skips.pop())
        for upsample, stage in zip(self.upsample, self.decoder, strict=True):
            skip = skips.pop()
            features = stage(torch.cat((skip, crop_to(skip, upsample(features))), dim=1))
        logits: Tensor = self.classifier(features)
        return logits


def crop_to(skip: Float[Tensor, "N C h w"], features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
    """Cut rows off the bottom and columns off the right, so that `features` has the size of `skip`.

    Negative padding rather than a slice: a slice ties an exported graph to the parity of this size.
    """
    excess = [features.shape[axis] - skip.shape[axis] for axis in (-1, -2)]
    return functional.pad(features, (0, -excess[0], 0, -excess[1]))


def two_convolutions(in_channels: int, channels: int) -> nn.Sequential:
    """Return one level: 3 x 3 convolution, batch normalisation, ReLU, twice."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False),
        BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
        BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
