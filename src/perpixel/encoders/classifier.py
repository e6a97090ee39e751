"""The encoders as they were first trained: as ImageNet classifiers.

    image -> encoder -> last map -> head -> logits

Code imports the classes; only the command line, the weights and `build_encoder` look names up.

Letters: N batch, C channels, K classes, H W pixels.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.alexnet import ALEXNET_2012, CAFFENET, ONE_TOWER, AlexNet
from perpixel.encoders.encoder import Layered
from perpixel.encoders.googlenet import GoogLeNet, GoogLeNetBN, Trunk, narrowed, narrowed_inceptions
from perpixel.encoders.heads import Auxiliary, AuxiliaryBN, Averaged, FullyConnected
from perpixel.encoders.resnet import ResNet
from perpixel.encoders.vgg import (
    VGG,
    VGG11_WIDTHS,
    VGG13_WIDTHS,
    VGG16_WIDTHS,
    VGG19_WIDTHS,
    Widths,
    scaled,
    scaled_widths,
)
from perpixel.errors import UsageError


class Classifier(nn.Module):
    """Tell which of K classes an image shows.

    Fresh layers start as PyTorch draws them; trained ones come from `perpixel.weights`.

    Args:
        encoder: The trunk; its last map is classified.
        head: Last map -> logits.
        image_size: Side of the images it was trained on, in pixels.
    """

    def __init__(self, encoder: Layered, head: FullyConnected | Averaged, image_size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.image_size = image_size

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """Return logits.

        Raises:
            ValueError: The head is fully connected, and the image is not `image_size`.
        """
        logits: Tensor = self.head(self.encoder(image)[-1])
        return logits


class GoogLeNetClassifier(Classifier):
    """A GoogLeNet with its two auxiliary classifiers, which exist for training.

    Args:
        encoder: The trunk.
        head: Last map -> logits.
        image_size: Side of the images it was trained on, in pixels.
        auxiliary: A module for each name of the release: on 4a's map, then on 4d's.

    Source: Szegedy et al., CVPR 2015, arXiv:1409.4842, Sec. 5: weights 1, 0.3 and 0.3.
    """

    loss_weights = (1.0, 0.3, 0.3)

    def __init__(self, encoder: Trunk, head: Averaged, image_size: int, auxiliary: dict[str, nn.Module]) -> None:
        super().__init__(encoder, head, image_size)
        self.auxiliary = tuple(auxiliary)
        for name, module in auxiliary.items():
            self.add_module(name, module)

    def training_logits(self, image: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N K"], ...]:
        """Return the logits of the classifier, of the one on 4a and of the one on 4d."""
        assert isinstance(self.encoder, Trunk)
        outputs = self.encoder.outputs(image)
        early = [features for name, features in outputs.items() if name.endswith(("4a", "4d"))]
        heads = [self.get_submodule(name) for name in self.auxiliary]
        main = self.head(outputs[self.encoder.taken[-1]])
        return main, *(head(features) for head, features in zip(heads, early, strict=True))


@dataclass(frozen=True)
class Pixels:
    """How pixels, 0 to 255, become a network's input: (value − mean) / std.

    Attributes:
        mean: Of R, G and B.
        std: Of R, G and B.
        order: In which the network wants the channels.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    order: Literal["rgb", "bgr"] = "bgr"


TORCHVISION = Pixels(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), order="rgb")
CAFFE_MEAN_IMAGE = Pixels(mean=(122.67891434, 116.66876762, 104.00698793))  # its average; the nets subtract all of it
CAFFE_GOOGLENET = Pixels(mean=(123.0, 117.0, 104.0))
CAFFE_VGG = Pixels(mean=(123.68, 116.779, 103.939))


@dataclass(frozen=True)
class Row:
    """What is known of a classifier.

    Attributes:
        encoder: Called with `in_channels`, `width` and `output_stride`.
        head: Called with the encoder, `num_classes` and `width`.
        paper: First author, venue and year, arXiv number.
        source: Whose layers these are.
        pixels: What the published weights expect.
        image_size: Side of the images in training.
        auxiliary: Called with `num_classes` and `width`: GoogLeNet's auxiliary classifiers by name.
    """

    encoder: Callable[..., Layered]
    head: Callable[[Layered, int, float], FullyConnected | Averaged]
    paper: str
    source: str
    pixels: Pixels = TORCHVISION
    image_size: int = 224
    auxiliary: Callable[[int, float], dict[str, nn.Module]] | None = None


def vgg(widths: Widths, in_channels: int = 3, width: float = 1.0, output_stride: int = 32, **options: bool) -> VGG:
    """Return a VGG trunk of scaled widths."""
    return VGG(in_channels, scaled_widths(widths, width), output_stride=output_stride, **options)


def hidden_layers(side: int, dropout_first: bool = False) -> Callable[[Layered, int, float], FullyConnected]:
    """Return what builds fc6 to fc8 on maps of `side` x `side`."""

    def head(encoder: Layered, num_classes: int, width: float) -> FullyConnected:
        return FullyConnected(encoder.channels[-1], side, scaled(4096, width), num_classes, dropout_first)

    return head


def averaged(name: str, dropout: float = 0.0) -> Callable[[Layered, int, float], Averaged]:
    """Return what builds the average and its layer."""

    def head(encoder: Layered, num_classes: int, width: float) -> Averaged:
        return Averaged(encoder.channels[-1], num_classes, dropout, name)

    return head


def auxiliary_pair(
    head: type[Auxiliary | AuxiliaryBN], names: tuple[str, str]
) -> Callable[[int, float], dict[str, nn.Module]]:
    """Return what builds GoogLeNet's auxiliary classifiers, on 4a's map and on 4d's."""

    def heads(num_classes: int, width: float) -> dict[str, nn.Module]:
        inceptions, widths = narrowed_inceptions(width), (narrowed(128, width), narrowed(1024, width))
        totals = (inceptions["4a"].total, inceptions["4d"].total)
        return {name: head(total, num_classes, widths) for name, total in zip(names, totals, strict=True)}

    return heads


KRIZHEVSKY = "Krizhevsky, NIPS 2012"
VGG_PAPER = "Simonyan, ICLR 2015, 1409.1556"
SZEGEDY = "Szegedy, CVPR 2015, 1409.4842"
HE = "He, CVPR 2016, 1512.03385"


def vgg_row(widths: Widths, source: str = "torchvision, models/vgg.py", **options: bool) -> Row:
    """Return the row of a VGG."""
    return Row(partial(vgg, widths, **options), hidden_layers(7), VGG_PAPER, source)


def resnet_row(depth: int) -> Row:
    """Return the row of a torchvision ResNet."""
    return Row(partial(ResNet, depth), averaged("fc"), HE, "torchvision, models/resnet.py")


def msra_row(depth: int) -> Row:
    """Return the row of a ResNet as its authors released it."""
    encoder = partial(ResNet, depth, stride_in="1x1", pool_padding=0, pool_ceil=True)
    return Row(encoder, averaged("fc1000"), HE, "KaimingHe/deep-residual-networks", CAFFE_MEAN_IMAGE)


CLASSIFIERS = {
    "alexnet-caffe": Row(
        partial(AlexNet, plan=ALEXNET_2012), hidden_layers(6), KRIZHEVSKY,
        "BVLC/caffe, models/bvlc_alexnet", CAFFE_MEAN_IMAGE, image_size=227,
    ),
    "caffenet": Row(
        partial(AlexNet, plan=CAFFENET), hidden_layers(6), KRIZHEVSKY,
        "BVLC/caffe, models/bvlc_reference_caffenet", CAFFE_MEAN_IMAGE, image_size=227,
    ),
    "alexnet": Row(
        partial(AlexNet, plan=ONE_TOWER), hidden_layers(6, dropout_first=True), "Krizhevsky, 2014, 1404.5997",
        "torchvision, models/alexnet.py",
    ),
    "vgg11": vgg_row(VGG11_WIDTHS),
    "vgg11-lrn": vgg_row(VGG11_WIDTHS, "the paper's Table 1", local_response_norm=True),
    "vgg11-bn": vgg_row(VGG11_WIDTHS, batch_norm=True),
    "vgg13": vgg_row(VGG13_WIDTHS),
    "vgg13-bn": vgg_row(VGG13_WIDTHS, batch_norm=True),
    "vgg16-1x1": vgg_row(VGG16_WIDTHS, "the paper's Table 1", pointwise=True),
    "vgg16": vgg_row(VGG16_WIDTHS),
    "vgg16-bn": vgg_row(VGG16_WIDTHS, batch_norm=True),
    "vgg19": vgg_row(VGG19_WIDTHS),
    "vgg19-bn": vgg_row(VGG19_WIDTHS, batch_norm=True),
    "googlenet-caffe": Row(
        GoogLeNet, averaged("loss3.classifier", dropout=0.4), SZEGEDY,
        "BVLC/caffe, models/bvlc_googlenet", CAFFE_GOOGLENET, auxiliary=auxiliary_pair(Auxiliary, ("loss1", "loss2")),
    ),
    "googlenet": Row(
        GoogLeNetBN, averaged("fc", dropout=0.2), SZEGEDY,
        "torchvision, models/googlenet.py", auxiliary=auxiliary_pair(AuxiliaryBN, ("aux1", "aux2")),
    ),
    "resnet18": resnet_row(18),
    "resnet34": resnet_row(34),
    "resnet50": resnet_row(50),
    "resnet101": resnet_row(101),
    "resnet152": resnet_row(152),
    "resnet50-msra": msra_row(50),
    "resnet101-msra": msra_row(101),
    "resnet152-msra": msra_row(152),
}  # fmt: skip
VGGS = tuple(name for name, row in CLASSIFIERS.items() if row.paper == VGG_PAPER)


def build_classifier(
    name: str, num_classes: int = 1000, in_channels: int = 3, width: float = 1.0, auxiliary: bool = False
) -> Classifier:
    """Build a classifier with fresh weights.

    Args:
        name: One of `CLASSIFIERS`.
        num_classes: K; ImageNet's 1000.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every layer.
        auxiliary: Add GoogLeNet's auxiliary classifiers; `training_logits` returns theirs too.

    Returns: A module, image (N, C, H, W) -> logits (N, K).
    Raises:
        UsageError: There is no such classifier, or it has no auxiliary ones.
    """
    row = find(name)
    encoder = row.encoder(in_channels=in_channels, width=width)
    head = row.head(encoder, num_classes, width)
    if not auxiliary:
        return Classifier(encoder, head, row.image_size)
    if row.auxiliary is None or not isinstance(encoder, Trunk) or not isinstance(head, Averaged):
        raise UsageError(f"build_classifier: {name} has no auxiliary classifiers. Only GoogLeNet has.")
    return GoogLeNetClassifier(encoder, head, row.image_size, row.auxiliary(num_classes, width))


def find(name: str) -> Row:
    """Return a classifier's row.

    Raises:
        UsageError: There is no such classifier; the message names the nearest.
    """
    if name not in CLASSIFIERS:
        near = difflib.get_close_matches(name, CLASSIFIERS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"build_classifier: no classifier named {name!r}.{hint} Known: {', '.join(CLASSIFIERS)}.")
    return CLASSIFIERS[name]
