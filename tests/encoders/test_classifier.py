"""The classifiers."""

import pytest
import torch
from torch import nn

from perpixel.encoders.classifier import CLASSIFIERS, TORCHVISION, GoogLeNetClassifier, build_classifier
from perpixel.encoders.heads import Averaged, FullyConnected
from perpixel.errors import UsageError

NARROW = 1 / 32


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"build_classifier: no classifier named 'resnet5'. Did you mean 'resnet50'\?"):
        build_classifier("resnet5")


def test_only_googlenet_has_auxiliary_classifiers() -> None:
    with pytest.raises(UsageError, match="build_classifier: vgg16 has no auxiliary classifiers"):
        build_classifier("vgg16", width=NARROW, auxiliary=True)


@pytest.mark.parametrize("name", ["googlenet", "googlenet-caffe"])
def test_auxiliary_classifiers_take_part_in_training_only(name: str) -> None:
    torch.manual_seed(0)
    network = build_classifier(name, num_classes=5, width=NARROW, auxiliary=True).eval()
    assert isinstance(network, GoogLeNetClassifier)
    image = torch.randn(2, 3, 224, 224)
    logits = network.training_logits(image)
    assert torch.equal(logits[0], network(image))
    assert [tuple(part.shape) for part in logits] == [(2, 5)] * 3
    assert network.loss_weights == (1.0, 0.3, 0.3)
    sum(part.sum() for part in logits).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_fully_connected_head_refuses_other_sizes_and_says_what_takes_them() -> None:
    network = build_classifier("vgg11", num_classes=3, width=NARROW)
    with pytest.raises(ValueError, match=r"last map is 7 x 7, got 8 x 10\. .* convolutional"):
        network(torch.zeros(1, 3, 256, 320))


def test_an_averaged_head_takes_any_size() -> None:
    network = build_classifier("resnet18", num_classes=3, in_channels=4, width=NARROW).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 4, 33, 250)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "last"),
    [("vgg16", "fc8"), ("googlenet-caffe", "loss3.classifier"), ("resnet50", "fc"), ("resnet50-msra", "fc1000")],
)
def test_the_last_layer_carries_the_releases_name(name: str, last: str) -> None:
    *_, weight, bias = dict(build_classifier(name, width=NARROW).named_parameters())
    assert (weight, bias) == (f"head.{last}.weight", f"head.{last}.bias")


def test_torchvisions_alexnet_drops_before_its_layers_and_caffes_after() -> None:
    """In order: features -> Dropout -> Linear in torchvision, fc6 -> relu6 -> drop6 in Caffe."""
    assert called(dropout_first=True) == ["dropout", "fc6", "dropout", "fc7", "fc8"]
    assert called(dropout_first=False) == ["fc6", "dropout", "fc7", "dropout", "fc8"]


def called(dropout_first: bool) -> list[str]:
    """Return the layers of a fully connected head in the order in which they work."""
    head = FullyConnected(channels=2, side=1, hidden=4, num_classes=1, dropout_first=dropout_first)
    seen: list[str] = []
    for name, layer in head.named_children():
        layer.register_forward_hook(lambda *_, name=name: seen.append(name))
    head(torch.ones(1, 2, 1, 1))
    return seen


def test_an_average_weighs_every_element_alike() -> None:
    head = Averaged(channels=2, num_classes=2)
    nn.init.eye_(head.last.weight)
    nn.init.zeros_(head.last.bias)
    features = torch.tensor([[1.0, 2.0], [3.0, 6.0]])[:, None, :].expand(1, 2, 1, 2)
    assert head(features).tolist() == [[1.5, 4.5]]


def test_torchvision_normalises_by_imagenets_statistics() -> None:
    """(0.485, 0.456, 0.406) and (0.229, 0.224, 0.225) of 255."""
    assert TORCHVISION.mean == pytest.approx([255 * m for m in (0.485, 0.456, 0.406)])
    assert TORCHVISION.std == pytest.approx([255 * s for s in (0.229, 0.224, 0.225)])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_table_names_papers_and_sources(name: str) -> None:
    row = CLASSIFIERS[name]
    assert row.paper
    assert row.source
    assert (row.pixels.order == "bgr") == ("caffe" in row.source.lower() or "msra" in name)
