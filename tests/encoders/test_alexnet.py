"""The three AlexNets."""

import pytest
import torch
from torch import Tensor, nn

from perpixel.encoders.alexnet import ALEXNET_2012, CAFFENET, ONE_TOWER, AlexNet, caffe_norm
from perpixel.encoders.vgg import krizhevsky_norm
from perpixel.ops.receptive_field import Field, Layer, after


def test_fcn_alexnet_maps_at_500_pixels() -> None:
    """voc-fcn-alexnet/net.py: conv1 173, pool1 86, pool2 43, pool5 21."""
    with torch.device("meta"):
        sizes = [features.shape[-1] for features in AlexNet(padding=100)(torch.empty(1, 3, 500, 500))]
    assert sizes == [173, 86, 43, 21]


def test_fc6_of_fcn_alexnet_sees_355_pixels_around_pixel_13() -> None:
    """FCN, CVPR 2015, Table 1; a deconvolution of 63 by 32 then leaves 31 - 13 = 18 pixels to crop."""
    field = after(AlexNet(padding=100).field, Layer(kernel_size=6))
    assert field == Field(size=355, stride=32, start=13.0)


@pytest.mark.parametrize(("plan", "size"), [(ALEXNET_2012, 227), (CAFFENET, 227), (ONE_TOWER, 224)])
def test_fully_connected_layers_get_6_x_6(plan: object, size: int) -> None:
    with torch.device("meta"):
        *_, pool5 = AlexNet(plan=plan)(torch.empty(1, 3, size, size))  # type: ignore[arg-type]
    assert tuple(pool5.shape[1:]) == (256, 6, 6)


def test_2012_normalises_before_pooling_and_caffenet_after() -> None:
    orders = [[name for name, _ in AlexNet(plan=plan, width=0.1).named_children()] for plan in (ALEXNET_2012, CAFFENET)]
    assert orders[0][:8] == ["conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"]
    assert orders[1][:8] == ["conv1", "relu1", "pool1", "norm1", "conv2", "relu2", "pool2", "norm2"]


def test_convolutions_two_four_and_five_have_two_groups() -> None:
    groups = [layer.groups for layer in AlexNet(width=0.1).children() if isinstance(layer, nn.Conv2d)]
    assert groups == [1, 2, 1, 2, 2]


def normalized(values: Tensor, constant: float, alpha: float) -> Tensor:
    """Divide each channel by (constant + alpha Σ x²)^0.75 over itself and two neighbours on each side."""
    result = values.clone()
    for channel in range(values.shape[1]):
        window = values[:, max(0, channel - 2) : channel + 3]
        result[:, channel] /= (constant + alpha * window.square().sum(1)) ** 0.75
    return result


def test_caffe_divides_alpha_by_the_window_and_the_paper_does_not() -> None:
    """Caffe, lrn_layer.cpp: 1 + (1e-4 / 5) Σ x². Krizhevsky et al., Sec. 3.3: 2 + 1e-4 Σ x²."""
    values = 100 * torch.randn(2, 7, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(caffe_norm()(values), normalized(values, 1.0, 1e-4 / 5))
    torch.testing.assert_close(krizhevsky_norm()(values), normalized(values, 2.0, 1e-4))
