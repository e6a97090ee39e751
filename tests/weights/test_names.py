"""Names of layers, against our encoders' and against what torchvision and Caffe write."""

import pytest
import torch
from torch import nn

from perpixel.encoders.alexnet import ONE_TOWER, AlexNet
from perpixel.encoders.googlenet import GoogLeNet, GoogLeNetBN
from perpixel.encoders.resnet import ResNet
from perpixel.encoders.vgg import VGG, VGG11_WIDTHS, VGG13_WIDTHS, VGG16_WIDTHS, VGG19_WIDTHS
from perpixel.weights.names import (
    CLASSIFIERS,
    TRUNK,
    by_order,
    caffe_names,
    layers,
    norms,
    recognize,
    torchvision_names,
    trunk,
)

WIDTHS = {"vgg11": VGG11_WIDTHS, "vgg13": VGG13_WIDTHS, "vgg16": VGG16_WIDTHS, "vgg19": VGG19_WIDTHS}


def encoder(classifier: str) -> nn.Module:
    if classifier.startswith("vgg"):
        return VGG(widths=WIDTHS[classifier.removesuffix("-bn")], batch_norm=classifier.endswith("-bn"))
    if classifier.startswith("resnet"):
        return ResNet(int(classifier.removesuffix("-msra")[6:]))
    return {
        "alexnet": lambda: AlexNet(plan=ONE_TOWER),
        "alexnet-caffe": AlexNet,
        "googlenet": GoogLeNetBN,
        "googlenet-caffe": GoogLeNet,
    }[classifier]()


@pytest.mark.parametrize("classifier", [
    *WIDTHS, "vgg16-bn", "vgg19-bn", "alexnet", "alexnet-caffe", "googlenet", "googlenet-caffe",
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
])  # fmt: skip
def test_our_encoders_layers_end_with_these_names(classifier: str) -> None:
    with torch.device("meta"):
        network = encoder(classifier)
    leaves = [name for name, part in network.named_modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    expected = {*trunk(classifier), *norms(classifier)}
    assert len(leaves) == len(expected)
    ends = {max((e for e in expected if f".{leaf}".endswith(f".{e}")), key=len) for leaf in leaves}
    assert ends == expected


# torchvision 0.29, features.N: the indices of convolutions in each Sequential
TORCHVISION = {
    "alexnet": (0, 3, 6, 8, 10),
    "vgg11": (0, 3, 6, 8, 11, 13, 16, 18),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg16-bn": (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}


@pytest.mark.parametrize("classifier", TORCHVISION)
def test_torchvisions_numbers_are_those_of_its_sequentials(classifier: str) -> None:
    table = torchvision_names(classifier)
    assert [name for name in table if table[name] in trunk(classifier)] == [
        f"features.{number}" for number in TORCHVISION[classifier]
    ]


def test_torchvisions_norms_stand_behind_their_convolutions() -> None:
    """The norms of vgg16_bn are at the convolutions' numbers + 1."""
    table = torchvision_names("vgg16-bn")
    assert all(table[f"features.{number + 1}"].startswith("bn") for number in TORCHVISION["vgg16-bn"])
    assert table["features.41"] == "bn5_3"


# Layers with parameters, norms included, of torchvision 0.29's networks without auxiliary classifiers
TORCHVISION_COUNTS = {"googlenet": 115, "resnet18": 41, "resnet34": 73, "resnet50": 107, "resnet101": 209}


@pytest.mark.parametrize("classifier", TORCHVISION_COUNTS)
def test_torchvisions_other_names_are_ours(classifier: str) -> None:
    assert len(torchvision_names(classifier)) == TORCHVISION_COUNTS[classifier]


@pytest.mark.parametrize("numbers", [(0, 3, 6), (1, 4, 6)], ids=["VGG", "AlexNet, and VGG before 2017"])
def test_fully_connected_layers_are_told_by_their_order(numbers: tuple[int, ...]) -> None:
    named = by_order(["features.0", *(f"classifier.{number}" for number in reversed(numbers))])
    assert named == {f"classifier.{n}": name for n, name in zip(numbers, ("fc6", "fc7", "fc8"), strict=True)}


@pytest.mark.parametrize(("classifier", "theirs", "ours"), [
    ("resnet50-msra", "res2a_branch1", "layer1.0.downsample.0"),
    ("resnet50-msra", "scale2a_branch1", "layer1.0.downsample.1"),
    ("resnet50-msra", "bn5c_branch2b", "layer4.2.bn2"),
    ("resnet50-msra", "res4f_branch2c", "layer3.5.conv3"),
    ("resnet101-msra", "res4b22_branch2a", "layer3.22.conv1"),
    ("resnet152-msra", "res3b7_branch2c", "layer2.7.conv3"),
    ("resnet101-msra", "bn_conv1", "bn1"),
    ("googlenet-caffe", "inception_4e/3x3_reduce", "inception_4e.3x3_reduce"),
    ("googlenet-caffe", "conv1/7x7_s2", "conv1.7x7_s2"),
])  # fmt: skip
def test_caffes_names_become_ours(classifier: str, theirs: str, ours: str) -> None:
    assert caffe_names(classifier)[theirs] == ours


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_classifier_is_recognized_by_any_of_its_names(classifier: str) -> None:
    """But for those that share all their names with a commoner one."""
    twins = {"vgg16-1x1": "vgg16", "vgg11-lrn": "vgg11", "caffenet": "alexnet-caffe"}
    for table in (torchvision_names(classifier), caffe_names(classifier)):
        if table:
            found, share = recognize(table)
            assert share == 1
            assert found in (classifier, twins.get(classifier))


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_layer_of_a_trunk_is_called_like_one(classifier: str) -> None:
    assert all(TRUNK.match(name) for name in trunk(classifier))
    assert not any(TRUNK.match(name) for name in layers(classifier)[len(trunk(classifier)) :])
