"""Deep Contextual Network: what the paper states, and what its three classifiers do."""

import pytest
import torch
from torch import nn

from perpixel.models.deep_contextual import TAPS, DeepContextual
from perpixel.ops.receptive_field import Layer, receptive_field

NARROW = 1 / 16


def test_it_has_the_stated_layers() -> None:
    """16 convolutions of 3 x 3 or 1 x 1; 3 deconvolutions of side 2k and stride k = 2, 4, 8."""
    with torch.device("meta"):
        layers = list(DeepContextual(2).modules())
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 16
    assert {layer.kernel_size for layer in convolutions} == {(3, 3), (1, 1)}
    enlarging = [(layer.kernel_size[0], layer.stride[0]) for layer in layers if isinstance(layer, nn.ConvTranspose2d)]
    assert enlarging == [(4, 2), (8, 4), (16, 8)]


def test_its_trunk_is_vgg16s() -> None:
    """13 convolutions on one channel; the names are those of the release, so that weights find their places."""
    with torch.device("meta"):
        encoder = DeepContextual(2, in_channels=1).encoder
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 14_713_536
    assert {"stage1.conv1_1.weight", "stage5.conv5_3.bias"} <= set(encoder.state_dict())


@pytest.mark.parametrize(("tap", "field"), [(0, 14), (1, 40), (2, 140)])
def test_each_branch_sees_further(tap: int, field: int) -> None:
    layers: list[Layer] = []
    for number, convolutions in enumerate((2, 2, 3, 3, 3)[: TAPS[tap].stage], start=1):
        layers += [Layer(2, stride=2)] * (1 < number < 5) + [Layer(3, padding=1)] * convolutions
    found = receptive_field(layers)
    assert (found.size, found.stride) == (field, TAPS[tap].k)


def test_three_poolings_and_branches_that_return_to_480() -> None:
    with torch.device("meta"):
        network = DeepContextual(2, in_channels=1)
    sizes: list[int] = []
    for layer in network.modules():
        if isinstance(layer, nn.Sequential):
            layer.register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    network(torch.empty(1, 1, 480, 480, device="meta"))
    assert sizes == [480, 240, 120, 60, 60, 480, 480, 480]


def test_the_prediction_is_the_sum_of_the_classifiers() -> None:
    torch.manual_seed(0)
    network = DeepContextual(3, width=NARROW).eval()
    image = torch.randn(2, 3, 29, 34)
    total, *scores = network.training_logits(image)
    assert len(scores) == 3
    torch.testing.assert_close(total, sum(scores))
    assert torch.equal(network(image), total)
    assert all(part.shape == (2, 3, 29, 34) for part in (total, *scores))


def test_every_output_has_a_weight_and_all_begin_at_one() -> None:
    network = DeepContextual(2, width=NARROW)
    assert network.loss_weights == (1, 1, 1, 1)
    assert len(network.training_logits(torch.randn(1, 3, 9, 9))) == 4


def test_an_auxiliary_classifier_trains_its_own_branch_alone() -> None:
    torch.manual_seed(0)
    network = DeepContextual(2, width=NARROW)
    network.training_logits(torch.randn(1, 3, 24, 24))[1].sum().backward()
    trained = {name.split(".")[1] for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert trained == {"stage1", "stage2", "C1"}
