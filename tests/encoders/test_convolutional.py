"""Classifiers made fully convolutional."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perpixel.encoders.alexnet import CAFFENET, AlexNet
from perpixel.encoders.classifier import CLASSIFIERS, Classifier, build_classifier
from perpixel.encoders.convolutional import Convolutional, convolutional, interpolation, margins
from perpixel.encoders.heads import FullyConnected
from perpixel.ops.receptive_field import Field

NARROW = 1 / 32
AVERAGING = [name for name in CLASSIFIERS if name.startswith(("resnet", "googlenet"))]
SMALL = ["googlenet-caffe", "googlenet", "resnet18", "resnet50", "resnet50-msra"]
FULLY_CONNECTED = ["alexnet-caffe", "caffenet", "alexnet", "vgg11-bn", "vgg16-1x1", "vgg19"]


def lively(network: nn.Module) -> nn.Module:
    """Draw weights that keep the signal from dying before the last layer."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    return network.double().eval()


def classifier(name: str) -> Classifier:
    torch.manual_seed(0)
    network = build_classifier(name, num_classes=4, width=NARROW)
    lively(network)
    return network


@pytest.mark.parametrize("name", FULLY_CONNECTED)
def test_an_image_of_the_size_of_training_gives_the_classifiers_logits(name: str) -> None:
    network = classifier(name)
    image = torch.randn(1, 3, network.image_size, network.image_size, dtype=torch.float64)
    with torch.inference_mode():
        heatmaps, logits = convolutional(network)(image), network(image)
    torch.testing.assert_close(heatmaps, logits[..., None, None], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(224, 224), (97, 141)])
def test_the_average_of_an_averaging_networks_heatmap_is_its_logit(name: str, size: tuple[int, int]) -> None:
    network = classifier(name)
    image = torch.randn(1, 3, *size, dtype=torch.float64)
    with torch.inference_mode():
        heatmaps, logits = convolutional(network)(image), network(image)
    torch.testing.assert_close(heatmaps.mean((-2, -1)), logits, rtol=1e-9, atol=1e-12)


def unpadded_classifier() -> tuple[Classifier, int]:
    """Return an AlexNet whose layers pad nothing, and the side of image for which its fc6 has one place."""
    torch.manual_seed(1)
    encoder = AlexNet(width=NARROW, plan=CAFFENET)
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding = (0, 0)
    network = Classifier(encoder, FullyConnected(encoder.channels[-1], side=2, hidden=8, num_classes=3), 227)
    network.image_size = int(convolutional(network).field.size)
    lively(network)
    return network, network.image_size


@settings(max_examples=8)
@given(rows=st.integers(1, 3), columns=st.integers(1, 3), seed=st.integers(0, 99))
def test_the_whole_image_gives_what_the_sliding_classifier_gives(rows: int, columns: int, seed: int) -> None:
    """FCN, Sec. 3.1: exactly, where the layers pad nothing; windows lie one output stride apart."""
    network, window = SLIDING
    generator = torch.Generator().manual_seed(seed)
    size = window + 32 * (rows - 1), window + 32 * (columns - 1)
    image = torch.randn(1, 3, *size, dtype=torch.float64, generator=generator)
    with torch.inference_mode():
        heatmaps = convolutional(network)(image)
        assert heatmaps.shape[-2:] == (rows, columns)
        for row in range(rows):
            for column in range(columns):
                patch = image[..., 32 * row : 32 * row + window, 32 * column : 32 * column + window]
                torch.testing.assert_close(heatmaps[..., row, column], network(patch), rtol=1e-9, atol=1e-12)


SLIDING = unpadded_classifier()


@pytest.mark.parametrize("name", ["vgg11", "caffenet"])
def test_with_padded_layers_the_same_holds_away_from_the_border(name: str) -> None:
    """A window needs as much around it as its elements see; the rest of the image does not matter."""
    network = convolutional(classifier(name))
    image = torch.randn(1, 3, 480, 480, dtype=torch.float64)
    with torch.inference_mode():
        whole, crop = network(image), network(image[..., 32:448, 32:448])
    assert seen(network, 3)[0] >= 32
    assert seen(network, 4)[1] < 448
    torch.testing.assert_close(crop[..., 2:4, 2:4], whole[..., 3:5, 3:5], rtol=1e-9, atol=1e-12)


def seen(network: Convolutional, element: int) -> tuple[float, float]:
    """Return the first and last pixel that an element sees."""
    middle = network.field.start + network.field.stride * element
    reach = (network.field.size - 1) / 2
    return middle - reach, middle + reach


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "googlenet", "resnet18"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (33, 17), (250, 230)])
def test_images_of_any_size_give_heatmaps_and_pictures(name: str, size: tuple[int, int]) -> None:
    network = convolutional(build_classifier(name, num_classes=2, width=NARROW).eval())
    with torch.inference_mode():
        heatmaps = network(torch.randn(1, 3, *size))
    assert min(heatmaps.shape) >= 1
    assert network.spread(heatmaps, size).shape == (1, 2, *size)


def test_a_small_image_lies_in_the_middle_of_its_padding() -> None:
    assert margins(100, 300, 224) == (0, 0, 62, 62)
    assert margins(99, 223, 224) == (0, 1, 62, 63)


def test_the_heatmap_of_a_window_lies_at_its_middle() -> None:
    """Pixel 111.5 of 224 in VGG-16, and 113 of 227 in CaffeNet."""
    assert convolutional(classifier("vgg16")).field.start == 111.5
    assert convolutional(classifier("caffenet")).field.start == 113
    assert convolutional(classifier("vgg16")).field.size == 404


def test_elements_are_interpolated_at_their_places_and_held_beyond() -> None:
    matrix = interpolation(length=10, elements=2, field=Field(size=1, stride=4, start=3.0), margin=1)
    assert matrix.sum(1).tolist() == [1.0] * 10
    assert matrix[:, 1].tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1]


def test_weights_are_shared_with_the_classifier() -> None:
    network = build_classifier("vgg11", num_classes=2, width=NARROW)
    whole = convolutional(network)
    with torch.no_grad():
        network.head.fc6.weight[1, 2] = 7.0
    assert whole.get_submodule("head.fc6").weight[1].flatten()[2] == 7.0


def test_heatmaps_of_a_larger_image_teach_the_classifier() -> None:
    whole = convolutional(build_classifier("vgg11", num_classes=2, width=NARROW))
    whole(torch.randn(1, 3, 256, 288)).sum().backward()
    assert all(parameter.grad is not None for parameter in whole.parameters())
