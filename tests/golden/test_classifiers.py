"""Parameter counts of the ImageNet classifiers, to the unit."""

import pytest
import torch

from perpixel.encoders.classifier import CLASSIFIERS, Classifier, build_classifier

# torchvision's files hold as many numbers (its weights' `num_params`); VGG in millions: Simonyan & Zisserman, Table 2.
# Caffe's: counted from the prototxts in BVLC/caffe, models/. C and A-LRN: from the paper's Table 1.
PARAMETERS = {
    "alexnet-caffe": 60_965_224,
    "caffenet": 60_965_224,
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg11-lrn": 132_863_336,
    "vgg11-bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13-bn": 133_053_736,
    "vgg16-1x1": 133_638_952,
    "vgg16": 138_357_544,
    "vgg16-bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19-bn": 143_678_248,
    "googlenet-caffe": 6_998_552,
    "googlenet": 6_624_904,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet50-msra": 25_557_032,
    "resnet101-msra": 44_549_160,
    "resnet152-msra": 60_192_808,
}

# torchvision's count with aux1 and aux2; Caffe's follows from train_val.prototxt: twice 3,189,864 more.
WITH_AUXILIARY = {"googlenet": 13_004_888, "googlenet-caffe": 13_378_280}


def on_meta(name: str, **options: bool) -> Classifier:
    with torch.device("meta"):
        return build_classifier(name, **options)  # type: ignore[arg-type]


def count(network: Classifier) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_classifier_has_a_golden_count() -> None:
    assert PARAMETERS.keys() == CLASSIFIERS.keys()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_parameters_are_the_releases(name: str) -> None:
    assert count(on_meta(name)) == PARAMETERS[name]


@pytest.mark.parametrize("name", WITH_AUXILIARY)
def test_auxiliary_classifiers_are_counted_too(name: str) -> None:
    assert count(on_meta(name, auxiliary=True)) == WITH_AUXILIARY[name]


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if not name.startswith(("resnet101", "resnet152"))])
def test_a_thousand_classes_come_out_at_the_size_of_training(name: str) -> None:
    """224 pixels; 227 for Caffe's AlexNets, whose first convolution is not padded."""
    network = on_meta(name)
    assert network.image_size == (227 if name in ("alexnet-caffe", "caffenet") else 224)
    image = torch.empty(2, 3, network.image_size, network.image_size, device="meta")
    assert network(image).shape == (2, 1000)
