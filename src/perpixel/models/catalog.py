"""Every network by name. Code imports the class; only the command line and the server look names up."""

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from perpixel.errors import UsageError
from perpixel.models.activation_maps import ActivationMaps
from perpixel.models.bayesian_segnet import BayesianSegNet, BayesianSegNetBasic
from perpixel.models.deconvnet import DeconvNet
from perpixel.models.decouplednet import DecoupledNet
from perpixel.models.deep_contextual import DeepContextual
from perpixel.models.deeplab_v1 import DeepLabV1
from perpixel.models.deeplab_v2 import ASPP_S, DeepLabV2
from perpixel.models.fcn import FCN8s, FCN16s, FCN32s
from perpixel.models.fcn_encoders import AnyFCN, FCN32sAlexNet
from perpixel.models.fcn_variants import LateFusionFCN, TwoHeadedFCN
from perpixel.models.frrn import FRRN, STAGES_A, STAGES_B
from perpixel.models.segnet import SegNet, SegNetBasic
from perpixel.models.segnet_study import BilinearInterpolation, EncoderAddition, FCNBasic, SingleChannelDecoder
from perpixel.models.transfernet import TransferNet
from perpixel.models.unet import UNet
from perpixel.models.unet_same import unet_same


@dataclass(frozen=True)
class Row:
    """What the catalogue says of a network.

    Attributes:
        network: Called with `num_classes`, `in_channels`, `width` and the network's own options.
        paper: First author, venue and year, arXiv number.
        encoder: Where the features come from; pretrained weights are looked up by it.
        num_classes: K of the published network.
        output_stride: Of the coarsest feature map, in pixels.
        receptive_field: Of one element of that map, in pixels.
        in_channels: C of the published network's images.
    """

    network: Callable[..., nn.Module]
    paper: str
    encoder: str
    num_classes: int
    output_stride: int
    receptive_field: int
    in_channels: int = 3


FCN = "Shelhamer, TPAMI 2017, 1605.06211"
SEGNET = "Badrinarayanan, TPAMI 2017, 1511.00561"
DEEPLAB_V1 = "Chen, ICLR 2015, 1412.7062"
DEEPLAB_V2 = "Chen, PAMI 2018, 1606.00915"
DECONVNET = "Noh, ICCV 2015, 1505.04366"
ACTIVATION_MAPS = "Zhou, CVPR 2016, 1512.04150"
DECOUPLEDNET = "Hong, NIPS 2015, 1506.04924"
BAYESIAN = "Kendall, BMVC 2017, 1511.02680"
FULL_RESOLUTION = "Pohlen, CVPR 2017, 1611.08323"
DEEP_CONTEXTUAL = "Chen, AAAI 2016"
TRANSFERNET = "Hong, CVPR 2016, 1512.07928"
UNET = "Ronneberger, MICCAI 2015, 1505.04597"

MODELS = {
    "fcn32s": Row(FCN32s, paper=FCN, encoder="vgg16", num_classes=21, output_stride=32, receptive_field=404),
    "fcn16s": Row(FCN16s, paper=FCN, encoder="vgg16", num_classes=21, output_stride=32, receptive_field=404),
    "fcn8s": Row(FCN8s, paper=FCN, encoder="vgg16", num_classes=21, output_stride=32, receptive_field=404),
    "fcn8s-at-once": Row(
        partial(FCN8s, at_once=True),
        paper=FCN,
        encoder="vgg16",
        num_classes=21,
        output_stride=32,
        receptive_field=404,
    ),
    "fcn8s-two-headed": Row(
        TwoHeadedFCN, paper=FCN, encoder="vgg16", num_classes=33, output_stride=32, receptive_field=404
    ),
    "fcn32s-late-fusion": Row(
        LateFusionFCN,
        paper=FCN,
        encoder="vgg16",
        num_classes=40,
        output_stride=32,
        receptive_field=404,
        in_channels=6,
    ),
    "fcn32s-alexnet": Row(
        FCN32sAlexNet, paper=FCN, encoder="caffenet", num_classes=21, output_stride=32, receptive_field=355
    ),
    "fcn32s-googlenet": Row(
        partial(AnyFCN, encoder="googlenet-caffe", finest=32, margin=100),
        paper=FCN,
        encoder="googlenet-caffe",
        num_classes=21,
        output_stride=32,
        receptive_field=715,
    ),
    "fcn8s-any-encoder": Row(
        AnyFCN, paper=FCN, encoder="resnet34", num_classes=21, output_stride=32, receptive_field=899
    ),
    "segnet": Row(SegNet, paper=SEGNET, encoder="vgg16", num_classes=11, output_stride=32, receptive_field=212),
    "segnet-basic": Row(
        SegNetBasic,
        paper=SEGNET,
        encoder="segnet-basic",
        num_classes=11,
        output_stride=16,
        receptive_field=106,
    ),
    "bilinear-interpolation": Row(
        BilinearInterpolation,
        paper=SEGNET,
        encoder="segnet-basic",
        num_classes=11,
        output_stride=16,
        receptive_field=106,
    ),
    "segnet-basic-single-channel-decoder": Row(
        SingleChannelDecoder,
        paper=SEGNET,
        encoder="segnet-basic",
        num_classes=11,
        output_stride=16,
        receptive_field=106,
    ),
    "segnet-basic-encoder-addition": Row(
        EncoderAddition,
        paper=SEGNET,
        encoder="segnet-basic",
        num_classes=11,
        output_stride=16,
        receptive_field=106,
    ),
    "fcn-basic": Row(
        FCNBasic,
        paper=SEGNET,
        encoder="segnet-basic",
        num_classes=11,
        output_stride=16,
        receptive_field=106,
    ),
    "fcn-basic-no-addition": Row(
        partial(FCNBasic, addition=False),
        paper=SEGNET,
        encoder="segnet-basic",
        num_classes=11,
        output_stride=16,
        receptive_field=106,
    ),
    "fcn-basic-no-reduction": Row(
        partial(FCNBasic, reduction=False),
        paper=SEGNET,
        encoder="segnet-basic",
        num_classes=11,
        output_stride=16,
        receptive_field=106,
    ),
    "fcn-basic-no-addition-no-reduction": Row(
        partial(FCNBasic, addition=False, reduction=False),
        paper=SEGNET,
        encoder="segnet-basic",
        num_classes=11,
        output_stride=16,
        receptive_field=106,
    ),
    "bayesian-segnet": Row(
        BayesianSegNet,
        paper=BAYESIAN,
        encoder="vgg16",
        num_classes=11,
        output_stride=32,
        receptive_field=212,
    ),
    "bayesian-segnet-basic": Row(
        BayesianSegNetBasic,
        paper=BAYESIAN,
        encoder="segnet-basic",
        num_classes=11,
        output_stride=16,
        receptive_field=106,
    ),
    "deconvnet": Row(
        DeconvNet, paper=DECONVNET, encoder="vgg16", num_classes=21, output_stride=32, receptive_field=404
    ),
    "decouplednet": Row(
        partial(DecoupledNet, input_size=0),
        paper=DECOUPLEDNET,
        encoder="vgg16",
        num_classes=21,
        output_stride=32,
        receptive_field=404,
    ),
    "deeplab-v1-largefov": Row(
        DeepLabV1,
        paper=DEEPLAB_V1,
        encoder="vgg16",
        num_classes=21,
        output_stride=8,
        receptive_field=435,
    ),
    "deeplab-v1-msc-largefov": Row(
        partial(DeepLabV1, multi_scale=True),
        paper=DEEPLAB_V1,
        encoder="vgg16",
        num_classes=21,
        output_stride=8,
        receptive_field=435,
    ),
    "deeplab-v1-7x7": Row(
        partial(DeepLabV1, variant="7x7"),
        paper=DEEPLAB_V1,
        encoder="vgg16",
        num_classes=21,
        output_stride=8,
        receptive_field=404,
    ),
    "deeplab-v1-4x4": Row(
        partial(DeepLabV1, variant="4x4"),
        paper=DEEPLAB_V1,
        encoder="vgg16",
        num_classes=21,
        output_stride=8,
        receptive_field=308,
    ),
    "deeplab-v2-vgg16-aspp-s": Row(
        partial(DeepLabV2, rates=ASPP_S),
        paper=DEEPLAB_V2,
        encoder="vgg16",
        num_classes=21,
        output_stride=8,
        receptive_field=419,
    ),
    "deeplab-v2-vgg16-aspp-l": Row(
        DeepLabV2,
        paper=DEEPLAB_V2,
        encoder="vgg16",
        num_classes=21,
        output_stride=8,
        receptive_field=611,
    ),
    "deeplab-v2-resnet101": Row(
        partial(DeepLabV2, encoder="resnet101-msra"),
        paper=DEEPLAB_V2,
        encoder="resnet101-msra",
        num_classes=21,
        output_stride=8,
        receptive_field=1411,
    ),
    "frrn-a": Row(
        partial(FRRN, stages=STAGES_A),
        paper=FULL_RESOLUTION,
        encoder="frrn",
        num_classes=19,
        output_stride=16,
        receptive_field=312,
    ),
    "frrn-b": Row(
        partial(FRRN, stages=STAGES_B),
        paper=FULL_RESOLUTION,
        encoder="frrn",
        num_classes=19,
        output_stride=32,
        receptive_field=584,
    ),
    "deep-contextual": Row(
        DeepContextual, paper=DEEP_CONTEXTUAL, encoder="vgg16", num_classes=2, output_stride=8, receptive_field=140
    ),
    "activation-maps": Row(
        ActivationMaps, paper=ACTIVATION_MAPS, encoder="vgg16", num_classes=21, output_stride=16, receptive_field=212
    ),
    "transfernet": Row(
        TransferNet, paper=TRANSFERNET, encoder="vgg16", num_classes=81, output_stride=16, receptive_field=196
    ),
    "unet": Row(UNet, paper=UNET, encoder="unet", num_classes=2, output_stride=16, receptive_field=140),
    "unet-same": Row(unet_same, paper=UNET, encoder="unet", num_classes=2, output_stride=16, receptive_field=140),
}


def build(
    name: str, num_classes: int | None = None, in_channels: int | None = None, width: float = 1.0, **options: Any
) -> nn.Module:
    """Build a network of the catalogue, with fresh weights.

    Args:
        name: One of `MODELS`.
        num_classes: K, counting background if the data set labels it; the paper's own if not given.
        in_channels: Image channels; the paper's own if not given: 3, for RGB, in all but late fusion's.
        width: Multiplies every hidden channel count, in multiples of 8; 1 is the paper's network.
        options: The network's own arguments; its class lists them.

    Returns: A module, image (N, C, H, W) -> logits (N, K, H, W), for any H and W from 1 up.
    Raises:
        UsageError: There is no such network, it has no such option, or none of that value.
    """
    row = find(name)
    check_sizes(num_classes, in_channels, width)
    check_options(name, row.network, options)
    classes = row.num_classes if num_classes is None else num_classes
    channels = row.in_channels if in_channels is None else in_channels
    try:
        return row.network(num_classes=classes, in_channels=channels, width=width, **options)
    except ValueError as error:
        raise UsageError(str(error)) from error


def find(name: str) -> Row:
    """Return a network's row.

    Raises:
        UsageError: There is no such network; the message names the nearest.
    """
    if name not in MODELS:
        known = ", ".join(MODELS)
        raise UsageError(f"build: no model named {name!r}.{suggest(name, MODELS)} Known: {known}.")
    return MODELS[name]


def count_parameters(name: str, num_classes: int | None = None) -> int:
    """Count the parameters of a network of the catalogue, without allocating them."""
    with torch.device("meta"):
        network = build(name, num_classes)
    return sum(parameter.numel() for parameter in network.parameters())


def check_sizes(num_classes: int | None, in_channels: int | None, width: float) -> None:
    """Refuse networks that cannot be.

    Raises:
        UsageError: A count below 1, or a width that is not positive.
    """
    for word, value in (("num_classes", num_classes), ("in_channels", in_channels)):
        if value is not None and value < 1:
            raise UsageError(f"build: expected {word} of 1 or more, got {value}. Count what your data holds.")
    if not width > 0:
        raise UsageError(f"build: expected a positive width, got {width}. 1 is the paper's, 0.25 is narrow.")


def check_options(name: str, network: Callable[..., nn.Module], options: dict[str, Any]) -> None:
    """Refuse options that the network does not have.

    Raises:
        UsageError: An unknown option; the message names the nearest.
    """
    known = [option for option in inspect.signature(network).parameters if option not in COMMON]
    for option in options:
        if option not in known:
            raise UsageError(
                f"build: {name} has no option {option!r}.{suggest(option, known)} "
                f"Known: {', '.join([*COMMON, *known])}."
            )


COMMON = ("num_classes", "in_channels", "width")


def suggest(word: str, known: Any) -> str:
    """Return ' Did you mean …?' with the nearest known word, or nothing where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
