"""ResNet's trunks."""

import pytest
import torch
from torch import nn

from perpixel.encoders.resnet import ResNet
from perpixel.ops.receptive_field import Layer, after


def test_deeplab_v2_maps_at_321_pixels() -> None:
    """ResNet-101 with stride in the first 1x1: 161, 81, then 41 to the end."""
    with torch.device("meta"):
        maps = deeplab_v2()(torch.empty(1, 3, 321, 321))
    assert [tuple(features.shape[1:]) for features in maps] == [
        (64, 161, 161), (256, 81, 81), (512, 41, 41), (1024, 41, 41), (2048, 41, 41),
    ]  # fmt: skip


def test_deeplab_v2_sees_1027_pixels_and_1411_after_a_rate_of_24() -> None:
    field = deeplab_v2().field
    assert (field.size, field.stride) == (1027, 8)
    assert after(field, Layer(kernel_size=3, padding=24, dilation=24)).size == 1411


def test_deeplab_v2_dilates_every_3x3_of_a_layer_alike() -> None:
    """res4 by 2 and res5 by 4, their first blocks included: the stride was before the 3x3."""
    dilations = [
        {part.conv2.dilation[0] for part in layer.children() if hasattr(part.conv2, "dilation")}
        for layer in deeplab_v2().layers()
    ]
    assert dilations == [{1}, {1}, {2}, {4}]


def test_torchvision_strides_in_the_3x3_and_msra_in_the_first_1x1() -> None:
    for stride_in, expected in (("3x3", ((1, 1), (2, 2))), ("1x1", ((2, 2), (1, 1)))):
        block = ResNet(50, width=0.1, stride_in=stride_in).layers()[1][0]  # type: ignore[arg-type,index]
        assert (block.conv1.stride, block.conv2.stride) == expected


def test_msra_pools_without_padding_and_rounds_up() -> None:
    """112 -> 56 by either rule, and 41 -> 20 by theirs, 21 by torchvision's."""
    torchvision, msra = ResNet(18, width=0.1), ResNet(18, width=0.1, pool_padding=0, pool_ceil=True)
    for size, expected in ((112, (56, 56)), (41, (21, 20))):
        features = torch.zeros(1, 8, size, size)
        assert (torchvision.maxpool(features).shape[-1], msra.maxpool(features).shape[-1]) == expected


def test_layers_carry_torchvisions_names() -> None:
    names = {name for name, _ in ResNet(50, width=0.1).named_parameters()}
    assert {"conv1.weight", "bn1.bias", "layer1.0.conv3.weight", "layer4.2.bn3.weight"} <= names
    assert {"layer1.0.downsample.0.weight", "layer4.0.downsample.1.bias"} <= names
    assert "layer4.1.downsample.0.weight" not in names


def test_a_basic_first_layer_has_no_projection() -> None:
    first = ResNet(18, width=0.1).layers()[0]
    assert all(isinstance(block.downsample, nn.Identity) for block in first.children())


def test_other_depths_are_refused() -> None:
    with pytest.raises(ValueError, match="ResNet: expected depth 18, 34, 50, 101, 152, got 42"):
        ResNet(42)


def deeplab_v2() -> ResNet:
    with torch.device("meta"):
        return ResNet(101, stride_in="1x1", pool_ceil=True, output_stride=8)
