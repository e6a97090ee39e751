"""VGG: stages of 3 x 3 convolutions, each stage ended by a pooling that halves the map.

    image -> stage1 -> pool -> stage2 -> pool -> stage3 -> pool -> stage4 -> pool -> stage5 -> pool
    stride     1        2        2        4        4        8        8        16       16       32

    A  1 1 2 2 2      convolutions a stage; 64, 128, 256, 512 and 512 wide
    B  2 2 2 2 2
    C  2 2 3 3 3      the third of three is 1 x 1
    D  2 2 3 3 3
    E  2 2 4 4 4

The layers carry the names of the Caffe release (conv1_1 ... conv5_3), which makes weights easy to trace.

Source: Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556, Table 1.
Differs: poolings round up, as Caffe's; torchvision's round down. It is the same at 224 and 320 pixels, and not at
    FCN's 500 or DeepLab's 321. torchvision's weights are not the authors': see `weights.pixels`.
Letters: N batch, C channels, H W pixels.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.encoder import Layered, Pace
from perpixel.encoders.pooling import MaxPool, layer_of
from perpixel.ops.batch_norm import BatchNorm2d
from perpixel.ops.receptive_field import Layer

Widths = Sequence[Sequence[int]]

VGG11_WIDTHS: Widths = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG13_WIDTHS: Widths = ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512))
VGG16_WIDTHS: Widths = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
VGG19_WIDTHS: Widths = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)


def scaled(channels: int, width: float, multiple: int = 8) -> int:
    """Return `channels` × `width`, rounded to a multiple of 8 and at least 8; exact at width 1."""
    return channels if width == 1 else max(multiple, multiple * round(channels * width / multiple))


def scaled_widths(widths: Widths, width: float) -> Widths:
    """Return every width of every stage `scaled`."""
    return tuple(tuple(scaled(channels, width) for channels in stage) for stage in widths)


class VGG(Layered):
    """The convolutional stages of a VGG network, without its classifier.

    Args:
        in_channels: Image channels; 3 for RGB.
        widths: Width of every convolution, shallowest stage first.
        batch_norm: Normalise between each convolution and its ReLU.
        padding: Zero padding around the image, before the first convolution; 1 keeps the size.
        pointwise: Make the third convolution of every stage 1 x 1: configuration C.
        local_response_norm: Normalise after the first ReLU: configuration A-LRN.
        output_stride: 32; with 16 or 8 the last poolings look at every place, and what follows is dilated.

    Attributes:
        stages: The convolutions of each stage, at one resolution; pooling comes between.
        channels: Width of what each stage returns.
    """

    def __init__(
        self,
        in_channels: int = 3,
        widths: Widths = VGG16_WIDTHS,
        batch_norm: bool = False,
        padding: int = 1,
        pointwise: bool = False,
        local_response_norm: bool = False,
        output_stride: int = 32,
    ) -> None:
        super().__init__()
        self.channels = tuple(stage[-1] for stage in widths)
        pace, strides = Pace(output_stride), []
        self.stages, self.pools = nn.ModuleDict(), nn.ModuleList()
        for number, stage in enumerate(widths, start=1):
            inputs = in_channels if number == 1 else self.channels[number - 2]
            around = padding if number == 1 else 1
            self.stages[f"stage{number}"] = convolutions(
                number, inputs, stage, batch_norm, around, pace.dilation, pointwise
            )
            self.pools.append(MaxPool(pace, kernel_size=2))
            strides.append(pace.stride)
        self.strides = tuple(strides)
        if local_response_norm:
            self.stages["stage1"].add_module("norm1", krizhevsky_norm())

    def forward(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N _ _ _"]]:
        """Return every stage's pooled features, at strides 2, 4, 8, 16 and 32; sizes are rounded up."""
        pooled = []
        features = image
        for stage, pool in zip(self.stages.values(), self.pools, strict=True):
            features = pool(stage(features))
            pooled.append(features)
        return pooled

    def _drop_behind(self, maps: int) -> None:
        for number in range(maps + 1, len(self.stages) + 1):
            del self.stages[f"stage{number}"]
        self.pools = self.pools[:maps]

    def chain(self) -> list[Layer]:
        """Return every convolution and pooling."""
        layers = []
        for stage, pool in zip(self.stages.values(), self.pools, strict=True):
            layers += [layer_of(layer) for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
            layers += [layer_of(pool)]
        return layers


def convolutions(
    number: int,
    in_channels: int,
    widths: Sequence[int],
    batch_norm: bool = False,
    padding: int = 1,
    dilation: int = 1,
    pointwise: bool = False,
) -> nn.Sequential:
    """Return one stage: 3 x 3 convolutions, each with its ReLU; only the first is padded by `padding`."""
    stage = nn.Sequential()
    inputs = (in_channels, *widths[:-1])
    for index, (channels, width) in enumerate(zip(inputs, widths, strict=True), start=1):
        around = padding if index == 1 else 1
        convolution = (
            nn.Conv2d(channels, width, kernel_size=1)
            if pointwise and index == 3
            else nn.Conv2d(channels, width, kernel_size=3, padding=around * dilation, dilation=dilation)
        )
        stage.add_module(f"conv{number}_{index}", convolution)
        if batch_norm:
            stage.add_module(f"bn{number}_{index}", BatchNorm2d(width))
        stage.add_module(f"relu{number}_{index}", nn.ReLU(inplace=True))
    return stage


def krizhevsky_norm() -> nn.LocalResponseNorm:
    """Return local response normalisation as first published: (2 + 1e-4 Σ x²)^0.75 over 5 channels.

    PyTorch and Caffe divide the sum by the number of channels, hence 5e-4 here. Whether A-LRN was trained with
    this form or with Caffe's (1 + 1e-4/5 Σ x²) is uncertain: its weights were not released.

    Source: Krizhevsky et al., NIPS 2012, Sec. 3.3, to which VGG's Sec. 2.1 refers.
    """
    return nn.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2.0)
