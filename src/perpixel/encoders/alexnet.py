"""AlexNet: five convolutions, three of them followed by overlapping poolings.

    image -> conv1 -> pool1 -> conv2 -> pool2 -> conv3 -> conv4 -> conv5 -> pool5
    stride     4        8        8        16       16       16       16      32
    kernel    11        3        5        3        3        3        3       3

    2012 (Caffe's bvlc_alexnet)      96  256  384  384  256    conv2, 4 and 5 in two groups; norm, then pool
    CaffeNet (FCN's)                 the same                  pool, then norm
    one tower (torchvision)          64  192  384  256  256    no groups, no norm; poolings round down

The layers carry Caffe's names, conv1 ... conv5, in all three.

Source: Krizhevsky, Sutskever, Hinton, NIPS 2012; Krizhevsky, 2014, arXiv:1404.5997 (one tower); the layers as
    released in BVLC/caffe, models/bvlc_alexnet and models/bvlc_reference_caffenet, and in torchvision.
Differs: local response normalisation is Caffe's, (1 + 1e-4/5 Σ x²)^0.75; the paper's adds to 2 and does not
    divide by 5.
Letters: N batch, C channels, H W pixels.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.encoder import Layered, Pace, drop_after
from perpixel.encoders.pooling import MaxPool, layer_of
from perpixel.encoders.vgg import scaled
from perpixel.ops.receptive_field import Layer


@dataclass(frozen=True)
class Plan:
    """What tells one AlexNet from another.

    Attributes:
        widths: Of conv1 ... conv5.
        groups: Of conv1 ... conv5.
        between: What follows the ReLUs of conv1 and conv2, in order.
        padding: Of the image.
        ceil_mode: Poolings round up.
    """

    widths: tuple[int, ...] = (96, 256, 384, 384, 256)
    groups: tuple[int, ...] = (1, 2, 1, 2, 2)
    between: tuple[str, ...] = ("norm", "pool")
    padding: int = 0
    ceil_mode: bool = True


ALEXNET_2012 = Plan()
CAFFENET = Plan(between=("pool", "norm"))
ONE_TOWER = Plan(widths=(64, 192, 384, 256, 256), groups=(1, 1, 1, 1, 1), between=("pool",), padding=2, ceil_mode=False)

KERNELS = (11, 5, 3, 3, 3)
MAPS = ("relu1", "relu2", "relu5", "pool5")  # the deepest at each stride


class AlexNet(Layered):
    """The convolutional part of an AlexNet; its maps are relu1, relu2, relu5 and pool5.

    Args:
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every layer.
        plan: ALEXNET_2012, CAFFENET or ONE_TOWER.
        padding: Zeros around the image; the plan's own if not given, 100 in FCN-AlexNet.
        output_stride: 32; with 16 or 8 the last poolings look at every place, and what follows is dilated.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: float = 1.0,
        plan: Plan = CAFFENET,
        padding: int | None = None,
        output_stride: int = 32,
    ) -> None:
        super().__init__()
        widths = [scaled(channels, width) for channels in plan.widths]
        inputs = [in_channels, *widths[:-1]]
        around = (plan.padding if padding is None else padding, 2, 1, 1, 1)
        pace, strides = Pace(output_stride), {}
        for number in range(1, 6):
            index = number - 1
            stride = pace.step(4) if number == 1 else 1
            convolution = nn.Conv2d(
                inputs[index], widths[index], KERNELS[index], stride, around[index] * pace.dilation,
                dilation=pace.dilation, groups=plan.groups[index],
            )  # fmt: skip
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"relu{number}", nn.ReLU(inplace=True))
            strides[f"relu{number}"] = pace.stride
            for layer in after(number, plan):
                self.add_module(f"{layer}{number}", caffe_norm() if layer == "norm" else pooling(pace, plan))
        strides["pool5"] = pace.stride
        self.channels = (widths[0], widths[1], widths[4], widths[4])
        self.strides = tuple(strides[name] for name in MAPS)

    def forward(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N _ _ _"]]:
        """Return relu1, relu2, relu5 and pool5, at strides 4, 8, 16 and 32."""
        features, maps = at_least(image, self.get_submodule("conv1")), []
        for name, layer in self.named_children():
            features = layer(features)
            if name in MAPS:
                maps.append(features)
        return maps

    def _drop_behind(self, maps: int) -> None:
        drop_after(self, MAPS[maps - 1])

    def chain(self) -> list[Layer]:
        """Return every convolution and pooling."""
        return [layer_of(layer) for layer in self.children() if isinstance(layer, nn.Conv2d | nn.MaxPool2d)]


def after(number: int, plan: Plan) -> tuple[str, ...]:
    """Return what follows the ReLU of a convolution."""
    return {1: plan.between, 2: plan.between, 5: ("pool",)}.get(number, ())


def pooling(pace: Pace, plan: Plan) -> MaxPool:
    """Return a pooling of overlapping windows, 3 x 3 at every second place."""
    return MaxPool(pace, kernel_size=3, ceil_mode=plan.ceil_mode)


def caffe_norm() -> nn.LocalResponseNorm:
    """Return local response normalisation with the constants of Caffe's releases.

    Source: BVLC/caffe, models/bvlc_alexnet/train_val.prototxt, norm1; lrn_layer.cpp divides alpha by local_size,
        as PyTorch does.
    """
    return nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=1.0)


def at_least(image: Float[Tensor, "N C H W"], first: nn.Module) -> Float[Tensor, "N C _ _"]:
    """Add zeros to the right and bottom of an image that the first convolution does not fit into."""
    layer = layer_of(first)
    missing = [max(0, layer.kernel_size - 2 * layer.padding - size) for size in (image.shape[-1], image.shape[-2])]
    return functional.pad(image, (0, missing[0], 0, missing[1])) if any(missing) else image
