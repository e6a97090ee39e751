"""GoogLeNet's trunks."""

import pytest
import torch

from perpixel.encoders.googlenet import GoogLeNet, GoogLeNetBN, Trunk
from perpixel.ops.receptive_field import Layer, after


def on_meta(network: type[GoogLeNet | GoogLeNetBN]) -> Trunk:
    with torch.device("meta"):
        return network()


@pytest.mark.parametrize("network", [GoogLeNet, GoogLeNetBN])
def test_maps_at_224_pixels(network: type[GoogLeNet | GoogLeNetBN]) -> None:
    """Szegedy et al., Table 1: 112 x 112 x 64, 56 x 56 x 192, 28 x 28 x 480, 14 x 14 x 832, 7 x 7 x 1024."""
    maps = on_meta(network)(torch.empty(1, 3, 224, 224, device="meta"))
    assert [tuple(features.shape[1:]) for features in maps] == [
        (64, 112, 112), (192, 56, 56), (480, 28, 28), (832, 14, 14), (1024, 7, 7),
    ]  # fmt: skip


def test_the_trunk_sees_715_pixels_and_907_with_its_average_pooling() -> None:
    """FCN, CVPR 2015, Table 1 says 907 of a network whose text drops that pooling."""
    field = on_meta(GoogLeNet).field
    assert (field.size, field.stride) == (715, 32)
    assert after(field, Layer(kernel_size=7)).size == 907


def test_fcn_googlenet_counts_six_million() -> None:
    """The trunk and 21 scores: 5,995,077."""
    trunk = sum(parameter.numel() for parameter in on_meta(GoogLeNet).parameters())
    assert trunk + 1024 * 21 + 21 == 5_995_077


def test_layers_carry_the_releases_names() -> None:
    caffe = {name for name, _ in on_meta(GoogLeNet).named_parameters()}
    assert {"conv1.7x7_s2.weight", "conv2.3x3_reduce.bias", "inception_3a.pool_proj.weight"} <= caffe
    assert {"inception_5b.1x1.weight", "inception_4e.5x5_reduce.bias"} <= caffe
    torchvision = {name for name, _ in on_meta(GoogLeNetBN).named_parameters()}
    assert {"conv1.conv.weight", "conv3.bn.bias", "inception3a.branch1.conv.weight"} <= torchvision
    assert {"inception4e.branch3.1.conv.weight", "inception5b.branch4.1.bn.weight"} <= torchvision
    assert not any(name.endswith("conv.bias") for name in torchvision)


def test_the_papers_5x5_is_a_3x3_in_torchvisions() -> None:
    paper, torchvision = on_meta(GoogLeNet), on_meta(GoogLeNetBN)
    assert paper.get_submodule("inception_4a.5x5").weight.shape == (48, 16, 5, 5)
    assert torchvision.get_submodule("inception4a.branch3.1.conv").weight.shape == (48, 16, 3, 3)


def test_maps_are_those_handed_on_before_each_pooling() -> None:
    encoder, image = GoogLeNet(width=1 / 16), torch.randn(1, 3, 64, 64)
    outputs = encoder.outputs(image)
    assert all(torch.equal(one, outputs[name]) for one, name in zip(encoder(image), encoder.taken, strict=True))
    assert {"inception_4a", "inception_4d"} <= outputs.keys()
