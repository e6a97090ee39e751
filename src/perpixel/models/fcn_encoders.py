"""FCN on other classifiers than VGG-16: AlexNet as released, GoogLeNet and everything else by the same rules.

    image -> encoder -> (fc6 -> fc7) -> score --> x2 -> (+) --> x2 -> (+) --> x8 -> logits
                |  stride 16                            |             |
                +--------------------------- score -----+             |      where the scores begin: `finest`,
                +--------------------------- score -------------------+      32 without skips, 16, or 8

Each classifier loses its last layer. Fully connected ones become convolutions; an average over the map is left
out. Scores start at zero, are enlarged bilinearly, and added.

FCN-AlexNet pads the image by 100 pixels, like FCN-VGG16. Element i of its scores lies at pixel 13 + 32·i, and its
63 x 63 deconvolution puts it at 31 + 32·i: hence the crop of 18. Every other encoder keeps its own padding; where
the elements of its maps lie follows from its layers, and each map is enlarged to those places exactly.

Source: Shelhamer, Long, Darrell, "Fully Convolutional Networks", CVPR 2015, arXiv:1411.4038, Sec. 4.1 and Table 1;
    fcn.berkeleyvision.org, voc-fcn-alexnet/net.py.
Differs: FCN-GoogLeNet was never released. Ours is trunk, dropout and score: Table 1's field of 907 pixels is that
    of the classifier, with the 7 x 7 average that the text discards; without it the field is 715. Its padding by
    100 pixels is uncertain: that of the nets that were released. The authors' GoogLeNet was their own training.
    Everything on further encoders is ours: at the border their maps' outermost
    values hold, where FCN's large padding lets scores fade outside the image.
Letters: N batch, C channels, K classes, H W pixels, P padding.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.alexnet import CAFFENET, AlexNet
from perpixel.encoders.build import build_encoder
from perpixel.encoders.classifier import find
from perpixel.encoders.encoder import Encoder, Layered
from perpixel.encoders.external import PREFIXES
from perpixel.encoders.heads import FullyConnected
from perpixel.encoders.vgg import scaled
from perpixel.models.check import check_image
from perpixel.models.fcn import image_size
from perpixel.models.initialize import initialize_he, initialize_zero
from perpixel.ops.bilinear import bilinear_deconvolution, enlarge
from perpixel.ops.receptive_field import Field, after

ALEXNET_CROPS = {100: 18, 1: 15}  # 31 − (113 − P − 32 · fc6's padding)


class FCN32sAlexNet(nn.Module):
    """FCN-AlexNet: CaffeNet, its classifier made convolutional, scored at stride 32.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        padding: 100 as released. With 1, fc6 is padded by 3 instead: ours, without a margin to compute.

    Raises:
        ValueError: The padding is neither 100 nor 1.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: float = 1.0, padding: int = 100) -> None:
        super().__init__()
        if padding not in ALEXNET_CROPS:
            raise ValueError(f"FCN: expected padding 100 or 1, got {padding}. 100 is the released network's.")
        self.in_channels, self.crop = in_channels, ALEXNET_CROPS[padding]
        self.encoder = AlexNet(in_channels, width, CAFFENET, padding=padding)
        self.hidden = Hidden(self.encoder.channels[-1], 6, scaled(4096, width), padding=3 if padding == 1 else 0)
        self.score_fr = nn.Conv2d(self.hidden.channels, num_classes, kernel_size=1)
        initialize_he(self)
        initialize_zero(self.score_fr)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        check_image(image, self.in_channels)
        scores = self.score_fr(self.hidden(self.encoder(image)[-1]))
        return bilinear_deconvolution(scores, stride=32, kernel_size=63, offset=self.crop, size=image_size(image))


class AnyFCN(nn.Module):
    """FCN on any encoder.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's. Not that of an encoder given as a module.
        encoder: A classifier's name (`perpixel.encoders.classifier.CLASSIFIERS`); its hidden fully connected
            layers come along. Or another library's, "timm:…" or "hf:…"; or a module with `channels`, `strides`,
            and `forward(image) -> maps`, shallowest first. `Layered` encoders, as ours are, tell where their maps
            lie; of others element i is taken to lie at pixel stride·i.
        finest: Stride of the finest map that is scored: 32 as FCN-32s, 16 or 8.
        margin: Zeros around the image, in pixels; the encoder's own padding comes on top. FCN-GoogLeNet has 100 in
            the catalogue: without, an image of 45 pixels leaves a single element at stride 32.

    Raises:
        UsageError: There is no encoder of this name.
        ValueError: The encoder has no map of stride `finest`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        encoder: str | Encoder = "resnet34",
        finest: int = 8,
        margin: int = 0,
    ) -> None:
        super().__init__()
        self.in_channels, self.margin = in_channels, margin
        self.encoder, self.hidden = decapitated(encoder, in_channels, width)
        self.places = places(self.encoder)
        channels, maps = tuple(self.encoder.channels), scored_maps(tuple(self.encoder.strides), finest)
        (self.deepest, index), *skips = maps.items()
        into_score = self.hidden.channels if isinstance(self.hidden, Hidden) else channels[index]
        self.score_fr = nn.Conv2d(into_score, num_classes, kernel_size=1)
        scores = {f"stride{stride}": nn.Conv2d(channels[skip], num_classes, kernel_size=1) for stride, skip in skips}
        self.score_skips = nn.ModuleDict(scores)
        self.maps = maps
        initialize_zero(self.score_fr, *scores.values())

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        check_image(image, self.in_channels)
        features = self.encoder(functional.pad(image, [self.margin] * 4) if self.margin else image)
        stride, start = self.deepest, self.places[self.deepest]
        if isinstance(self.hidden, Hidden):
            start += self.hidden.shift * stride
        scores = self.score_fr(self.hidden(features[self.maps[stride]]))
        for name, score in self.score_skips.items():
            finer = int(name.removeprefix("stride"))
            skip = score(features[self.maps[finer]])
            scores = enlarge(scores, stride / finer, (start - self.places[finer]) / finer, image_size(skip)) + skip
            stride, start = finer, self.places[finer]
        return enlarge(scores, stride, start - self.margin, image_size(image))


class Hidden(nn.Module):
    """fc6 and fc7 as convolutions, each with ReLU and dropout.

    Args:
        in_channels: Of the trunk's last map.
        side: Of fc6's kernel: the side of the map that the classifier was trained on.
        channels: Of both layers; 4096.
        padding: Of fc6.
        dropout_first: Drop before each layer, as torchvision's AlexNet does, not after.

    Attributes:
        shift: Where element 0 lies after fc6, in elements of the map.
    """

    def __init__(self, in_channels: int, side: int, channels: int, padding: int, dropout_first: bool = False) -> None:
        super().__init__()
        self.channels, self.dropout_first = channels, dropout_first
        self.shift = (side - 1) / 2 - padding
        self.fc6 = nn.Conv2d(in_channels, channels, kernel_size=side, padding=padding)
        self.fc7 = nn.Conv2d(channels, channels, kernel_size=1)
        self.dropout = nn.Dropout(0.5)
        initialize_he(self)

    def forward(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N D _ _"]:
        """Return what the classifier's last layer saw, at every place."""
        for layer in (self.fc6, self.fc7):
            before = self.dropout(features) if self.dropout_first else features
            after = layer(before).relu()
            features = after if self.dropout_first else self.dropout(after)
        return features


def decapitated(encoder: str | Encoder, in_channels: int, width: float) -> tuple[Encoder, nn.Module]:
    """Return a trunk, and what its classifier has between the last map and the last layer.

    Raises:
        UsageError: There is no encoder of this name.
    """
    if not isinstance(encoder, str):
        return encoder, nn.Identity()
    if encoder.startswith(PREFIXES):
        return build_encoder(encoder, in_channels, width), nn.Identity()
    row = find(encoder)
    trunk = row.encoder(in_channels=in_channels, width=width)
    initialize_he(trunk)
    with torch.device("meta"):
        head = row.head(trunk, 1, width)
    if not isinstance(head, FullyConnected):
        return trunk, head.dropout
    return trunk, Hidden(head.channels, head.side, head.fc7.out_features, head.side // 2, head.dropout_first)


def places(encoder: Encoder) -> dict[int, float]:
    """Return, for each stride, the pixel at which element 0 of the last map of that stride lies."""
    field, starts = Field(), dict.fromkeys(encoder.strides, 0.0)
    for layer in encoder.chain() if isinstance(encoder, Layered) else ():
        field = after(field, layer)
        starts[field.stride] = field.start
    return starts


def scored_maps(strides: tuple[int, ...], finest: int) -> dict[int, int]:
    """Return the index of the last map of each stride from the coarsest down to `finest`, coarsest first.

    Raises:
        ValueError: No map has this stride.
    """
    last = {stride: index for index, stride in enumerate(strides) if stride >= finest}
    if finest not in last:
        known = ", ".join(str(stride) for stride in sorted(set(strides)))
        raise ValueError(f"FCN: expected finest to be a stride of the encoder, got {finest}. It has {known}.")
    return dict(sorted(last.items(), reverse=True))
