"""First weights."""

import torch
from torch import nn

from perpixel.models.initialize import initialize_he, initialize_zero
from perpixel.models.segnet import SegNet


def test_convolutions_keep_the_variance_of_what_a_relu_passes() -> None:
    """He et al., Eq. 10: Var w = 2 / fan-in."""
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 64, 3)
    initialize_he(nn.Sequential(layer))
    assert abs(layer.weight.var().item() * 64 * 9 / 2 - 1) < 0.05
    assert not layer.bias.any()


def test_a_transposed_convolution_counts_the_inputs_that_each_output_sees() -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(64, 32, kernel_size=2, stride=2)
    initialize_he(nn.Sequential(layer))
    assert abs(layer.weight.var().item() * 64 / 2 - 1) < 0.1


def test_batch_normalisation_starts_with_the_released_shift() -> None:
    """SegNet-Tutorial, segnet_train.prototxt: scale 1, shift 0.001."""
    network = SegNet(2, width=0.01)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(layers) == 25
    assert all((layer.weight == 1).all() and (layer.bias == 0.001).all() for layer in layers)


def test_zeroed_layers_score_zero() -> None:
    layer = nn.Conv2d(3, 5, 1)
    initialize_zero(layer)
    assert not layer(torch.randn(1, 3, 2, 2)).any()
