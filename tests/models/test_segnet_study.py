"""The decoder study: counts, what is kept of the way down, and where maps lie."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from perpixel.models.catalog import MODELS, build
from perpixel.models.segnet_study import (
    BilinearInterpolation,
    EncoderAddition,
    FCNBasic,
    SingleChannelDecoder,
)

# Millions of parameters in Table 1 of the paper, and weights of convolutions here.
TABLE = {
    "bilinear-interpolation": (0.625, 612_224),
    "segnet-basic-encoder-addition": (1.425, 1_415_040),
    "segnet-basic-single-channel-decoder": (0.625, 624_768),
    "fcn-basic": (0.65, 645_312),
    "fcn-basic-no-addition": (0.65, 643_200),
    "fcn-basic-no-reduction": (1.625, 1_660_800),
    "fcn-basic-no-addition-no-reduction": (1.625, 1_660_800),
}


def convolution_weights(network: nn.Module) -> int:
    layers = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d))
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters())


@pytest.mark.parametrize("name", TABLE)
def test_counts_agree_with_table_1(name: str) -> None:
    """SegNet, Table 1. The paper rounds, and says 1.625 of what can only be 1.66."""
    published, weights = TABLE[name]
    with torch.device("meta"):
        assert convolution_weights(build(name)) == weights
    assert weights / 1e6 == pytest.approx(published, abs=0.04)


@pytest.mark.parametrize("name", TABLE)
def test_the_way_down_is_the_same_everywhere(name: str) -> None:
    """Four 7 x 7 convolutions of 64, without bias, and their normalisations: 612,032 weights."""
    with torch.device("meta"):
        encoder = build(name).encoder
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 3 * 49 * 64 + 3 * 49 * 64 * 64 + 4 * 2 * 64
    assert MODELS[name].receptive_field == 106


def test_only_encoders_have_relus() -> None:
    for network in (SingleChannelDecoder(2, width=0.01), EncoderAddition(2, width=0.01), FCNBasic(2, width=0.01)):
        relus = [name for name, layer in network.named_modules() if isinstance(layer, nn.ReLU)]
        assert len(relus) == 4
        assert all(name.startswith("encoder") for name in relus)


def test_single_channel_filters_mix_nothing() -> None:
    """The paper: each filter sees only the map that it belongs to."""
    decoder = SingleChannelDecoder(2, width=0.25).decoder.eval()
    features = torch.zeros(1, 16, 9, 9)
    features[:, 3] = torch.randn(9, 9)
    changed = (decoder[0](features) - decoder[0](torch.zeros_like(features))).abs().amax((0, 2, 3))
    assert changed.nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize(("addition", "reduction"), [(True, True), (False, True), (True, False), (False, False)])
def test_bilinear_deconvolutions_keep_a_constant(addition: bool, reduction: bool) -> None:
    """Each 8 x 8 kernel of ones would multiply by 4 a level; ours starts as plain interpolation."""
    layer = FCNBasic(3, width=0.125, addition=addition, reduction=reduction).deconvolutions[0]
    channels = layer.in_channels
    assert channels == (3 if reduction else 8)
    enlarged = layer(torch.ones(1, channels, 9, 9))
    assert enlarged.shape[-2:] == (18, 18)
    torch.testing.assert_close(enlarged[..., 4:-4, 4:-4], torch.ones(1, channels, 10, 10))


def test_deconvolutions_are_centred() -> None:
    """A slope stays a slope, half an element in: the finer map's element 0 lies a quarter before the coarser's."""
    layer = FCNBasic(1, width=0.125).deconvolutions[0]
    slope = torch.arange(12.0).expand(1, 1, 12, 12)
    enlarged = layer(slope)[0, 0, 10, 4:-4]
    torch.testing.assert_close(enlarged, torch.arange(4, 20) / 2 - 0.25)


@pytest.mark.parametrize(("reduction", "scores"), [(True, 4), (False, 0)])
def test_addition_decides_what_is_scored(reduction: bool, scores: int) -> None:
    assert len(FCNBasic(5, width=0.125, reduction=reduction).scores) == scores
    assert len(FCNBasic(5, width=0.125, reduction=reduction, addition=False).scores) == min(scores, 1)


@pytest.mark.parametrize("network", [EncoderAddition, SingleChannelDecoder])
def test_only_addition_carries_maps_across(network: type[SingleChannelDecoder]) -> None:
    """With the deepest features at zero nothing but what is added can reach the logits."""
    torch.manual_seed(0)
    model = network(3, width=0.125).eval()
    image = 255 * torch.rand(1, 3, 32, 32)
    for layer in model.decoder.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.bias.data.zero_()
    stages = model.encoder(image)
    model.encoder.forward = lambda _: [(before, 0 * after, where) for before, after, where in stages]  # type: ignore[method-assign]
    logits = model(image)
    assert logits.any() == (network is EncoderAddition)


def test_bilinear_interpolation_is_torchs() -> None:
    torch.manual_seed(0)
    network = BilinearInterpolation(3, width=0.125).eval()
    image = 255 * torch.rand(1, 3, 48, 80)
    coarse = network.classifier(network.encoder(image)[-1][1])
    expected = functional.interpolate(coarse, scale_factor=16, mode="bilinear", align_corners=False)
    torch.testing.assert_close(network(image), expected)
