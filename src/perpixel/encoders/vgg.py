"""VGG: stages of 3 x 3 convolutions, each stage ended by a pooling that halves the map.

    image -> stage1 -> pool -> stage2 -> pool -> stage3 -> pool -> stage4 -> pool -> stage5 -> pool
    stride     1        2        2        4        4        8        8        16       16       32

The layers carry the names of the Caffe release (conv1_1 ... conv5_3), which makes weights easy to trace.

Source: Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556, Table 1.
Letters: N batch, C channels, H W pixels.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.ops.batch_norm import BatchNorm2d

Widths = Sequence[Sequence[int]]

VGG11_WIDTHS: Widths = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG13_WIDTHS: Widths = ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512))
VGG16_WIDTHS: Widths = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
VGG19_WIDTHS: Widths = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)


def scaled(channels: int, width: float) -> int:
    """Return `channels` × `width`, rounded to a multiple of 8 and at least 8; exact at width 1."""
    return channels if width == 1 else max(8, 8 * round(channels * width / 8))


def scaled_widths(widths: Widths, width: float) -> Widths:
    """Return every width of every stage `scaled`."""
    return tuple(tuple(scaled(channels, width) for channels in stage) for stage in widths)


class VGG(nn.Module):
    """The convolutional stages of a VGG network, without its classifier.

    Args:
        in_channels: Image channels; 3 for RGB.
        widths: Width of every convolution, shallowest stage first.
        batch_norm: Normalise between each convolution and its ReLU.
        padding: Zero padding around the image, before the first convolution; 1 keeps the size.

    Attributes:
        stages: The convolutions of each stage, at one resolution; pooling comes between.
        channels: Width of what each stage returns.
    """

    def __init__(
        self, in_channels: int = 3, widths: Widths = VGG16_WIDTHS, batch_norm: bool = False, padding: int = 1
    ) -> None:
        super().__init__()
        self.channels = tuple(stage[-1] for stage in widths)
        self.strides = tuple(2**depth for depth in range(1, len(widths) + 1))
        inputs = (in_channels, *self.channels[:-1])
        self.stages = nn.ModuleDict(
            {
                f"stage{number}": convolutions(number, channels, stage, batch_norm, padding if number == 1 else 1)
                for number, (channels, stage) in enumerate(zip(inputs, widths, strict=True), start=1)
            }
        )

    def forward(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N _ _ _"]]:
        """Return every stage's pooled features, at strides 2, 4, 8, 16 and 32; sizes are rounded up."""
        pooled = []
        features = image
        for stage in self.stages.values():
            features = functional.max_pool2d(stage(features), kernel_size=2, stride=2, ceil_mode=True)
            pooled.append(features)
        return pooled


def convolutions(
    number: int, in_channels: int, widths: Sequence[int], batch_norm: bool = False, padding: int = 1
) -> nn.Sequential:
    """Return one stage: 3 x 3 convolutions, each with its ReLU; only the first is padded by `padding`."""
    stage = nn.Sequential()
    inputs = (in_channels, *widths[:-1])
    paddings = (padding, *[1] * (len(widths) - 1))
    for index, (channels, width, pad) in enumerate(zip(inputs, widths, paddings, strict=True), start=1):
        stage.add_module(f"conv{number}_{index}", nn.Conv2d(channels, width, kernel_size=3, padding=pad))
        if batch_norm:
            stage.add_module(f"bn{number}_{index}", BatchNorm2d(width))
        stage.add_module(f"relu{number}_{index}", nn.ReLU(inplace=True))
    return stage
