"""GoogLeNet: nine inception modules, each four branches side by side, concatenated.

    image -> conv1 -> conv2 -> 3a 3b -> 4a 4b 4c 4d 4e -> 5a 5b      a pooling of 3 x 3 between each two groups
    stride     2        4        8          16             32
    width     64       192      480        832            1024

                 +-> 1x1 --------------+
    inception  --+-> 1x1 -> 3x3 -------+-> concatenate
                 +-> 1x1 -> 5x5 -------+
                 +-> pool 3x3 -> 1x1 --+

The paper's network, as in Caffe, has biases, true 5x5s and local response normalisation. torchvision's came from
TensorFlow: batch normalisation, no biases, and a 3x3 where the 5x5 should be, known and kept. Layers carry the
names of each release; where Caffe's hold a slash (inception_3a/3x3_reduce), ours hold a dot.

Source: Szegedy et al., CVPR 2015, arXiv:1409.4842, Table 1; BVLC/caffe, models/bvlc_googlenet; torchvision,
    models/googlenet.py.
Letters: N batch, C channels, H W pixels.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.alexnet import caffe_norm
from perpixel.encoders.encoder import Layered, Pace, drop_after
from perpixel.encoders.pooling import MaxPool, layer_of
from perpixel.encoders.vgg import scaled
from perpixel.ops.batch_norm import BatchNorm2d
from perpixel.ops.receptive_field import Layer

NARROWEST = 4  # a multiple that keeps 16 and 24, the widths of the thinnest layers, in proportion


class Widths(NamedTuple):
    """Widths within an inception module, in the columns' order of Table 1."""

    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pool: int

    @property
    def total(self) -> int:
        """Width of the concatenation."""
        return self.one + self.three + self.five + self.pool


INCEPTIONS = {
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}


class Trunk(Layered):
    """What the two GoogLeNets share: layers in a row, of which five are handed on.

    Attributes:
        taken: Names of the layers whose outputs are the maps.
    """

    taken: tuple[str, ...]

    def forward(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N _ _ _"]]:
        """Return the last map at each of the strides 2, 4, 8, 16 and 32."""
        outputs = self.outputs(image)
        return [outputs[name] for name in self.taken]

    def outputs(self, image: Float[Tensor, "N C H W"]) -> dict[str, Float[Tensor, "N _ _ _"]]:
        """Return what every layer gives, by name; auxiliary classifiers look at 4a and 4d."""
        features, outputs = image, {}
        for name, layer in self.named_children():
            features = outputs[name] = layer(features)
        return outputs

    def _drop_behind(self, maps: int) -> None:
        self.taken = self.taken[:maps]
        drop_after(self, self.taken[-1])

    def chain(self) -> list[Layer]:
        """Return every layer, of an inception module its 5x5 branch."""
        layers: list[Layer] = []
        for layer in self.children():
            widest = layer.widest() if isinstance(layer, Inception | InceptionBN) else layer
            layers += [layer_of(part) for part in widest.modules() if isinstance(part, nn.Conv2d | nn.MaxPool2d)]
        return layers


class GoogLeNet(Trunk):
    """The paper's trunk, as released in Caffe.

    Args:
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every layer, in multiples of 4.
        output_stride: 32; with 16 or 8 the last poolings look at every place, and what follows is dilated.
    """

    taken = ("conv1", "conv2", "inception_3b", "inception_4e", "inception_5b")

    def __init__(self, in_channels: int = 3, width: float = 1.0, output_stride: int = 32) -> None:
        super().__init__()
        stem, wide = narrowed(64, width), narrowed(192, width)
        pace, strides = Pace(output_stride), {}
        self.conv1 = rectified({"7x7_s2": nn.Conv2d(in_channels, stem, 7, stride=pace.step(2), padding=3)})
        strides["conv1"] = pace.stride
        self.pool1 = MaxPool(pace, kernel_size=3)
        self.norm1 = caffe_norm()
        self.conv2 = rectified({"3x3_reduce": nn.Conv2d(stem, stem, 1), "3x3": nn.Conv2d(stem, wide, 3, padding=1)})
        strides["conv2"] = pace.stride
        self.norm2 = caffe_norm()
        self.pool2 = MaxPool(pace, kernel_size=3)
        channels = wide
        for name, widths in narrowed_inceptions(width).items():
            self.add_module(f"inception_{name}", Inception(channels, widths, pace))
            strides[f"inception_{name}"], channels = pace.stride, widths.total
            if name in ("3b", "4e"):
                self.add_module(f"pool{name[0]}", MaxPool(pace, kernel_size=3))
        self.channels = map_widths(stem, wide, width)
        self.strides = tuple(strides[name] for name in self.taken)


class GoogLeNetBN(Trunk):
    """torchvision's trunk, batch normalised.

    Its ImageNet weights were trained on other means than torchvision's usual ones, (x − 0.5) / 0.5; where images
    are normalised as for the other networks, that step is folded into the weights.

    Args:
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every layer, in multiples of 4.
        output_stride: 32; with 16 or 8 the last poolings look at every place, and what follows is dilated.
    """

    taken = ("conv1", "conv3", "inception3b", "inception4e", "inception5b")

    def __init__(self, in_channels: int = 3, width: float = 1.0, output_stride: int = 32) -> None:
        super().__init__()
        stem, wide = narrowed(64, width), narrowed(192, width)
        pace, strides = Pace(output_stride), {}
        self.conv1 = ConvolutionBN(in_channels, stem, kernel_size=7, stride=pace.step(2))
        strides["conv1"] = pace.stride
        self.maxpool1 = MaxPool(pace, kernel_size=3)
        self.conv2 = ConvolutionBN(stem, stem, kernel_size=1)
        self.conv3 = ConvolutionBN(stem, wide, kernel_size=3)
        strides["conv3"] = pace.stride
        self.maxpool2 = MaxPool(pace, kernel_size=3)
        channels = wide
        for name, widths in narrowed_inceptions(width).items():
            self.add_module(f"inception{name}", InceptionBN(channels, widths, pace))
            strides[f"inception{name}"], channels = pace.stride, widths.total
            if name in ("3b", "4e"):
                self.add_module(f"maxpool{name[0]}", MaxPool(pace, kernel_size=3 if name == "3b" else 2))
        self.channels = map_widths(stem, wide, width)
        self.strides = tuple(strides[name] for name in self.taken)


class Inception(nn.Module):
    """Four branches, each convolution with a bias and a ReLU.

    Args:
        in_channels: Of what comes in.
        widths: Of the branches.
        pace: Of the trunk; says how far the 3x3, the 5x5 and the pooling are dilated.
    """

    def __init__(self, in_channels: int, widths: Widths, pace: Pace) -> None:
        super().__init__()
        layers = {
            "1x1": nn.Conv2d(in_channels, widths.one, 1),
            "3x3_reduce": nn.Conv2d(in_channels, widths.three_reduce, 1),
            "3x3": same(widths.three_reduce, widths.three, 3, pace.dilation),
            "5x5_reduce": nn.Conv2d(in_channels, widths.five_reduce, 1),
            "5x5": same(widths.five_reduce, widths.five, 5, pace.dilation),
            "pool_proj": nn.Conv2d(in_channels, widths.pool, 1),
        }
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.pool = MaxPool(pace, kernel_size=3, stride=1, padding=1)

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N _ H W"]:
        """Return the branches' outputs, concatenated."""
        three = self._rectified("3x3_reduce", features)
        five = self._rectified("5x5_reduce", features)
        branches = (
            self._rectified("1x1", features),
            self._rectified("3x3", three),
            self._rectified("5x5", five),
            self._rectified("pool_proj", self.pool(features)),
        )
        return torch.cat(branches, dim=1)

    def _rectified(self, name: str, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N _ H W"]:
        return torch.relu_(self.get_submodule(name)(features))

    def widest(self) -> nn.Module:
        """Return the layers that see most."""
        return nn.Sequential(self.get_submodule("5x5_reduce"), self.get_submodule("5x5"))


class InceptionBN(nn.Module):
    """Four branches, batch normalised; what should be 5x5 is 3x3.

    Args:
        in_channels: Of what comes in.
        widths: Of the branches.
        pace: Of the trunk; says how far the 3x3s and the pooling are dilated.
    """

    def __init__(self, in_channels: int, widths: Widths, pace: Pace) -> None:
        super().__init__()
        self.branch1 = ConvolutionBN(in_channels, widths.one, kernel_size=1)
        self.branch2 = nn.Sequential(
            ConvolutionBN(in_channels, widths.three_reduce, kernel_size=1),
            ConvolutionBN(widths.three_reduce, widths.three, kernel_size=3, dilation=pace.dilation),
        )
        self.branch3 = nn.Sequential(
            ConvolutionBN(in_channels, widths.five_reduce, kernel_size=1),
            ConvolutionBN(widths.five_reduce, widths.five, kernel_size=3, dilation=pace.dilation),
        )
        self.branch4 = nn.Sequential(
            MaxPool(pace, kernel_size=3, stride=1, padding=1),
            ConvolutionBN(in_channels, widths.pool, kernel_size=1),
        )

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N _ H W"]:
        """Return the branches' outputs, concatenated."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(features) for branch in branches], dim=1)

    def widest(self) -> nn.Module:
        """Return the layers that see most."""
        return self.branch3


class ConvolutionBN(nn.Module):
    """A convolution that keeps the size but for its stride, batch normalisation and ReLU."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = same(in_channels, channels, kernel_size, dilation, stride, bias=False)
        self.bn = BatchNorm2d(channels, eps=0.001)

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N _ _ _"]:
        """Return the features, rectified."""
        return torch.relu_(self.bn(self.conv(features)))


def same(
    in_channels: int, channels: int, kernel_size: int, dilation: int = 1, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """Return a convolution padded by as much as it reaches."""
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(in_channels, channels, kernel_size, stride, padding, dilation, bias=bias)


def rectified(layers: dict[str, nn.Conv2d]) -> nn.Sequential:
    """Return convolutions by name, each with its ReLU."""
    stage = nn.Sequential()
    for name, layer in layers.items():
        stage.add_module(name, layer)
        stage.add_module(f"relu_{name}", nn.ReLU(inplace=True))
    return stage


def narrowed(channels: int, width: float) -> int:
    """Return `channels` × `width` in multiples of 4."""
    return scaled(channels, width, NARROWEST)


def narrowed_inceptions(width: float) -> dict[str, Widths]:
    """Return every module's widths, each `narrowed`."""
    return {name: Widths(*(narrowed(channels, width) for channels in row)) for name, row in INCEPTIONS.items()}


def map_widths(stem: int, wide: int, width: float) -> tuple[int, ...]:
    """Return the widths of the five maps."""
    widths = narrowed_inceptions(width)
    return stem, wide, *(widths[name].total for name in ("3b", "4e", "5b"))
