"""What a network was trained to see: (value - mean) / std in RGB or BGR order, values from 0 to 255.

    torchvision   RGB   mean 123.675 116.28  103.53    std 58.395 57.12 57.375
    Caffe's VGG   BGR   mean 123.68  116.779 103.939   std 1      1     1       (means written in RGB order)

Weights trained on one are silently wrong on the other; `surgery.fold_input` translates them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


class PixelFormat(Protocol):
    """Any description of pixels with these three members; `perpixel.data.normalization.Normalization` is one."""

    @property
    def mean(self) -> tuple[float, ...]:
        """One value a channel, in RGB order."""
        ...

    @property
    def std(self) -> tuple[float, ...]:
        """One positive value a channel, in RGB order."""
        ...

    @property
    def order(self) -> Literal["rgb", "bgr"]:
        """In which order the network gets the channels."""
        ...


@dataclass(frozen=True)
class Pixels:
    """What a file's network expects of pixels; `mean` and `std` are in RGB order, 0 to 255."""

    mean: tuple[float, ...]
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    order: Literal["rgb", "bgr"] = "bgr"


# torchvision, transforms/_presets.py, ImageClassification, times 255
TORCHVISION = Pixels((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
# torchvision, models/googlenet.py: transform_input turns its input into (value / 255 - 0.5) / 0.5 inside forward
TORCHVISION_GOOGLENET = Pixels((127.5,) * 3, (127.5,) * 3, "rgb")
# torchvision, models/vgg.py, IMAGENET1K_FEATURES: (0.48235, 0.45882, 0.40784) and 1/255
TORCHVISION_FEATURES = Pixels((122.99925, 116.9991, 103.9992), order="rgb")
VGG = Pixels((123.68, 116.779, 103.939))  # ksimonyan's gists 211839e770f7b538e2d8 and 3785162f95cd2d5fee77
# The mean of ilsvrc_2012_mean.npy, as FCN writes it; AlexNet and the MSRA ResNets were trained with a mean image
CAFFE = Pixels((122.67891434, 116.66876762, 104.00698793))
GOOGLENET = Pixels((123.0, 117.0, 104.0))  # models/bvlc_googlenet/train_val.prototxt


def same(one: PixelFormat, other: PixelFormat) -> bool:
    """Return whether two descriptions agree."""
    return one.order == other.order and _near(one.mean, other.mean) and _near(one.std, other.std)


def _near(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(abs(a - b) < 1e-3 for a, b in zip(one, other, strict=True))


def describe(pixels: PixelFormat) -> str:
    """Return a line such as `BGR - (103.939, 116.779, 123.68)`, as the network gets the channels."""
    step = -1 if pixels.order == "bgr" else 1
    mean = ", ".join(f"{value:g}" for value in pixels.mean[::step])
    if all(abs(value - 1) < 1e-6 for value in pixels.std):
        return f"{pixels.order.upper()} − ({mean})"
    std = ", ".join(f"{value:g}" for value in pixels.std[::step])
    return f"({pixels.order.upper()} − ({mean})) / ({std})"
