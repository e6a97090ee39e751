"""ResNet: residual blocks in four layers; each but the first halves the map and doubles the width.

    image -> conv1 -> maxpool -> layer1 -> layer2 -> layer3 -> layer4
    stride     2         4          4         8        16        32
    width     64        64        64·e      128·e    256·e     512·e      e = 1 basic, 4 bottleneck

    basic        3x3 -> 3x3 -> (+)                 18: 2 2 2 2     34: 3 4 6 3
    bottleneck   1x1 -> 3x3 -> 1x1 -> (+)          50: 3 4 6 3    101: 3 4 23 3    152: 3 8 36 3

Where a bottleneck halves the map, torchvision's does so in its 3x3, the MSRA release in its first 1x1. The weights
have the same shapes and do not fit one another. The layers carry torchvision's names in both.

Source: He, Zhang, Ren, Sun, CVPR 2016, arXiv:1512.03385, Table 1; torchvision, models/resnet.py; dilation as in
    DeepLab v2, arXiv:1606.00915, Sec. 3.1.
Letters: N batch, C channels, H W pixels.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.encoder import Layered, Pace, drop_after
from perpixel.encoders.pooling import MaxPool, layer_of
from perpixel.encoders.vgg import scaled
from perpixel.ops.batch_norm import BatchNorm2d
from perpixel.ops.receptive_field import Layer

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

StrideIn = Literal["3x3", "1x1"]


class ResNet(Layered):
    """A residual network without its classifier; its maps are the first ReLU and the four layers.

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every layer.
        stride_in: Which convolution of a bottleneck halves the map: torchvision's 3x3, or the first 1x1 as in
            the MSRA release and DeepLab v2. Basic blocks have no choice.
        pool_padding: Of the only pooling: 1 in torchvision and DeepLab v2, 0 in the MSRA release.
        pool_ceil: It rounds up, as in Caffe; torchvision's rounds down.
        output_stride: 32; with 16 or 8 the last layers are dilated, by 2 and 4 (DeepLab v2: 8).

    Raises:
        ValueError: No such depth.
    """

    def __init__(
        self,
        depth: int = 50,
        in_channels: int = 3,
        width: float = 1.0,
        stride_in: StrideIn = "3x3",
        pool_padding: int = 1,
        pool_ceil: bool = False,
        output_stride: int = 32,
    ) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"ResNet: expected depth {', '.join(map(str, BLOCKS))}, got {depth}. Say e.g. 50.")
        pace, stem = Pace(output_stride), scaled(64, width)
        self.conv1 = nn.Conv2d(in_channels, stem, kernel_size=7, stride=pace.step(2), padding=3, bias=False)
        self.bn1 = BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        channels, strides = [stem], [pace.stride]
        self.maxpool = MaxPool(pace, kernel_size=3, padding=pool_padding, ceil_mode=pool_ceil)
        for number, count in enumerate(BLOCKS[depth], start=1):
            planes = scaled(64 * 2 ** (number - 1), width)
            layer = blocks(depth, count, channels[-1], planes, pace, 1 if number == 1 else 2, stride_in)
            self.add_module(f"layer{number}", layer)
            channels.append(planes * (1 if depth < 50 else Bottleneck.expansion))
            strides.append(pace.stride)
        self.channels, self.strides = tuple(channels), tuple(strides)

    def forward(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N _ _ _"]]:
        """Return the maps at strides 2, 4, 8, 16 and 32, or those of them that were kept."""
        maps = [self.relu(self.bn1(self.conv1(image)))]
        features = self.maxpool(maps[0])
        for layer in self.layers():
            features = layer(features)
            maps.append(features)
        return maps

    def layers(self) -> list[nn.Module]:
        """Return layer1 ... layer4, or those of them that were kept."""
        return [self.get_submodule(f"layer{number}") for number in range(1, len(self.channels))]

    def _drop_behind(self, maps: int) -> None:
        drop_after(self, f"layer{maps - 1}" if maps > 1 else "maxpool")

    def chain(self) -> list[Layer]:
        """Return every layer but the shortcuts' projections."""
        within = [layer_of(part) for layer in self.layers() for block in layer.children() for part in main_path(block)]
        return [layer_of(self.conv1), layer_of(self.maxpool), *within]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, added to what came in.

    Args:
        in_channels: Of what comes in.
        planes: Width of both convolutions.
        pace: Of the trunk, moved on.
        stride: Wanted of the first convolution.
    """

    expansion = 1

    def __init__(self, in_channels: int, planes: int, pace: Pace, stride: int, stride_in: StrideIn = "3x3") -> None:
        super().__init__()
        dilation, taken = pace.dilation, pace.step(stride)
        self.conv1 = convolution3(in_channels, planes, taken, dilation)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = convolution3(planes, planes, 1, pace.dilation)
        self.bn2 = BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(in_channels, planes, taken, stride)

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N _ _ _"]:
        """Return the sum, rectified."""
        branch = self.relu(self.bn1(self.conv1(features)))
        branch = self.bn2(self.conv2(branch))
        total: Tensor = self.relu(branch + self.downsample(features))
        return total


class Bottleneck(nn.Module):
    """A 1 x 1 that narrows, a 3 x 3, and a 1 x 1 that widens fourfold, added to what came in.

    Args:
        in_channels: Of what comes in.
        planes: Width of the first two convolutions.
        pace: Of the trunk, moved on.
        stride: Wanted of the convolution that `stride_in` names.
        stride_in: "3x3" or "1x1".
    """

    expansion = 4

    def __init__(self, in_channels: int, planes: int, pace: Pace, stride: int, stride_in: StrideIn = "3x3") -> None:
        super().__init__()
        before, taken = pace.dilation, pace.step(stride)
        first, second = (taken, 1) if stride_in == "1x1" else (1, taken)
        dilation = pace.dilation if stride_in == "1x1" else before
        self.conv1 = nn.Conv2d(in_channels, planes, kernel_size=1, stride=first, bias=False)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = convolution3(planes, planes, second, dilation)
        self.bn2 = BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, kernel_size=1, bias=False)
        self.bn3 = BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(in_channels, planes * self.expansion, taken, stride)

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N _ _ _"]:
        """Return the sum, rectified."""
        branch = self.relu(self.bn1(self.conv1(features)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        total: Tensor = self.relu(branch + self.downsample(features))
        return total


def blocks(
    depth: int, count: int, in_channels: int, planes: int, pace: Pace, stride: int, stride_in: StrideIn
) -> nn.Sequential:
    """Return one layer; only its first block may halve the map."""
    block = BasicBlock if depth < 50 else Bottleneck
    first = block(in_channels, planes, pace, stride, stride_in)
    rest = [block(planes * block.expansion, planes, pace, 1, stride_in) for _ in range(count - 1)]
    return nn.Sequential(first, *rest)


def convolution3(in_channels: int, channels: int, stride: int, dilation: int) -> nn.Conv2d:
    """Return a 3 x 3 convolution that keeps the size but for its stride."""
    return nn.Conv2d(
        in_channels, channels, kernel_size=3, stride=stride, padding=dilation, dilation=dilation, bias=False
    )


def projection(in_channels: int, channels: int, taken: int, wanted: int) -> nn.Module:
    """Return the shortcut: a 1 x 1 convolution where a block changes the width or was meant to halve the map."""
    if in_channels == channels and wanted == 1:
        return nn.Identity()
    convolution = nn.Conv2d(in_channels, channels, kernel_size=1, stride=taken, bias=False)
    return nn.Sequential(convolution, BatchNorm2d(channels))


def main_path(block: nn.Module) -> list[nn.Module]:
    """Return a block's convolutions in order, without its shortcut's."""
    return [part for name, part in block.named_children() if name.startswith("conv")]
