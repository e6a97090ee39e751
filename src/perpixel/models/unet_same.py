r"""U-Net with padded convolutions: the output has the image's own size.

    image -> 64 -----------------------------> 64 -> logits     =  two 3 x 3 convolutions at each level
              \-> 128 -----------------> 128 -/                 \  max pooling, sizes rounded up
                   \-> 256 -------> 256 -/                       /  2 x 2 deconvolution, cropped to the skip
                        \-> 512 -> 512 -/                        -  skip, concatenated: (skip, upsampled)
                             \-> 1024 -/

Source: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, arXiv:1505.04597, Fig. 1.
Differs: convolutions are padded, so that any image keeps its size (the paper loses 92 px on each side), and
    batch normalised, without a bias of their own. This is the network most people call U-Net; the paper's is in
    `unet.py`. On another encoder (`encoder=…`) it is ours throughout.
Letters: N batch, C channels, K classes, H W pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.build import build_encoder
from perpixel.encoders.encoder import Encoder
from perpixel.encoders.vgg import scaled
from perpixel.models.check import check_image
from perpixel.models.fcn_encoders import places, scored_maps
from perpixel.models.initialize import initialize_he
from perpixel.ops.batch_norm import BatchNorm2d
from perpixel.ops.bilinear import enlarge
from perpixel.ops.recording import is_recorded

WIDTHS = (64, 128, 256, 512, 1024)
WIDEST = 256  # of a decoder on another encoder


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


class UNetOnEncoder(nn.Module):
    """U-Net's decoder on another encoder; `unet-same` with `encoder=…`. Ours, by the rules of `UNetSame`.

    The encoder's last map of each stride is carried across. Maps are enlarged bilinearly, to where the encoder's
    layers put the finer map's elements, and not by deconvolutions, which could not know.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every layer; not that of an encoder given as a module.
        dropout: Probability of dropping an element of the deepest features.
        encoder: A classifier's name (`perpixel.encoders.classifier.CLASSIFIERS`), "timm:…" or "hf:…"; or a module
            with `channels`, `strides`, and `forward(image) -> maps`, shallowest first.

    Raises:
        UsageError: There is no encoder of this name.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.0,
        encoder: str | Encoder = "resnet34",
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.encoder = trunk(encoder, in_channels, width)
        self.places = {**places(self.encoder), 1: 0.0}
        self.maps = scored_maps(tuple(self.encoder.strides), min(self.encoder.strides))
        self.dropout, self.decoder = nn.Dropout(dropout), nn.ModuleDict()
        deepest, *skips = self.maps
        inward = self.encoder.channels[self.maps[deepest]]
        for stride in skips:
            channels = self.encoder.channels[self.maps[stride]]
            outward = min(channels, scaled(WIDEST, width))
            self.decoder[f"stride{stride}"] = two_convolutions(inward + channels, outward)
            inward = outward
        self.decoder["stride1"] = two_convolutions(inward, scaled(WIDTHS[0], width))
        self.classifier = nn.Conv2d(scaled(WIDTHS[0], width), num_classes, kernel_size=1)
        initialize_he(self.decoder)
        initialize_he(self.classifier)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        check_image(image, self.in_channels)
        maps = self.encoder(image)
        stride = next(iter(self.maps))
        features, skip = self.dropout(maps[self.maps[stride]]), image
        for name, stage in self.decoder.items():
            finer = int(name.removeprefix("stride"))
            skip = maps[self.maps[finer]] if finer in self.maps else image
            start = (self.places[stride] - self.places[finer]) / finer
            features = enlarge(features, stride / finer, start, (skip.shape[-2], skip.shape[-1]))
            features = stage(torch.cat((skip, features), dim=1) if finer in self.maps else features)
            stride = finer
        logits: Tensor = self.classifier(features)
        return logits


def trunk(encoder: str | Encoder, in_channels: int, width: float) -> Encoder:
    """Return an encoder by name, with first weights; one that is given, or another library's, keeps what it has.

    Raises:
        UsageError: There is no encoder of this name.
    """
    if not isinstance(encoder, str):
        return encoder
    built = build_encoder(encoder, in_channels, width)
    if isinstance(built, Encoder):
        initialize_he(built)
    return built


def unet_same(
    num_classes: int,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    encoder: str | Encoder = "unet",
) -> UNetSame | UNetOnEncoder:
    """Return a padded U-Net: its own ("unet"), or its decoder on another encoder. The classes list the arguments."""
    if encoder == "unet":
        return UNetSame(num_classes, in_channels, width, dropout)
    return UNetOnEncoder(num_classes, in_channels, width, dropout, encoder)


def crop_to(skip: Float[Tensor, "N C h w"], features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
    """Cut rows off the bottom and columns off the right, so that `features` has the size of `skip`.

    Negative padding rather than a slice: a slice ties an exported graph to the parity of this size.
    """
    excess = [features.shape[axis] - skip.shape[axis] for axis in (-1, -2)]
    if not is_recorded() and not any(excess):
        return features  # padding by nothing is a copy, and another one on the way back
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
