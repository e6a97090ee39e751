"""Bayesian SegNet: where dropout goes, and that it is SegNet otherwise."""

import pytest
import torch
from torch import nn

from perpixel.models.bayesian_segnet import BASIC_PLACES, PLACES, BayesianSegNet, BayesianSegNetBasic
from perpixel.models.segnet import SegNet, SegNetBasic

PAIRS = [(BayesianSegNet, SegNet), (BayesianSegNetBasic, SegNetBasic)]


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def dropped_sizes(network: nn.Module) -> list[tuple[int, ...]]:
    """Return channels, rows and columns of what each dropout sees, in the order of the forward pass."""
    sizes: list[tuple[int, ...]] = []
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
    with torch.device("meta"), torch.inference_mode():
        network.eval()(torch.empty(1, 3, 360, 480))
    return sizes


def test_six_dropouts_stand_around_the_centre() -> None:
    """bayesian_segnet_train.prototxt: encdrop3 to 5 after pooling, decdrop5 to 3 after conv5_1_D to conv3_1_D."""
    with torch.device("meta"):
        network = BayesianSegNet(11)
    encoder = [(256, 45, 60), (512, 23, 30), (512, 12, 15)]
    decoder = [(512, 23, 30), (256, 45, 60), (128, 90, 120)]
    assert dropped_sizes(network) == encoder + decoder


def test_basic_has_four() -> None:
    """bayesian_segnet_basic_train.prototxt: after pool3, pool4, conv_decode4 and conv_decode3."""
    with torch.device("meta"):
        network = BayesianSegNetBasic(11)
    assert dropped_sizes(network) == [(64, 45, 60), (64, 23, 30), (64, 45, 60), (64, 90, 120)]


def test_the_voc_net_drops_before_every_pooling() -> None:
    """bayesian_segnet_pascal.prototxt: conv1_2 to conv5_3, pool5, conv5_1_D to conv2_1_D; ten layers."""
    with torch.device("meta"):
        network = BayesianSegNet(21, dropout="encoder-decoder")
    sizes = dropped_sizes(network)
    assert sizes[:6] == [(64, 360, 480), (128, 180, 240), (256, 90, 120), (512, 45, 60), (512, 23, 30), (512, 12, 15)]
    assert sizes[6:] == [(512, 23, 30), (256, 45, 60), (128, 90, 120), (64, 180, 240)]


@pytest.mark.parametrize("dropout", BASIC_PLACES)
def test_every_place_of_the_study_is_reached(dropout: str) -> None:
    with torch.device("meta"):
        network = BayesianSegNetBasic(11, dropout=dropout)
    assert len(dropped_sizes(network)) == len(BASIC_PLACES[dropout])


@pytest.mark.parametrize(("bayesian", "plain"), PAIRS)
def test_without_sampling_it_is_the_plain_network(bayesian: type[SegNet], plain: type[SegNet]) -> None:
    """With `sample_weights_test` off the release averages weights: dropout does nothing."""
    torch.manual_seed(0)
    one, other = bayesian(3, width=0.125).eval(), plain(3, width=0.125).eval()
    other.load_state_dict(one.state_dict(), strict=True)
    image = torch.randn(1, 3, 45, 37)
    with torch.inference_mode():
        assert torch.equal(one(image), other(image))


@pytest.mark.parametrize(("bayesian", "plain"), PAIRS)
def test_in_training_it_drops(bayesian: type[SegNet], plain: type[SegNet]) -> None:
    torch.manual_seed(0)
    network = bayesian(3, width=0.125).train()
    image = torch.randn(1, 3, 45, 37)
    assert not torch.equal(network(image), network(image))


def test_dropout_is_element_wise_and_halves() -> None:
    """dropout_layer.cpp: one draw a value, and what is left is doubled; whole maps are never dropped."""
    torch.manual_seed(0)
    dropout = BayesianSegNet(3, width=0.01).dropout["pool5"].train()
    dropped = dropout(torch.ones(1, 4, 50, 50))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert ((dropped == 0).float().mean((0, 2, 3)) > 0.4).all()


SHIFTS = [(SegNet, 0.001), (SegNetBasic, 0.001), (BayesianSegNet, 0.0), (BayesianSegNetBasic, 0.001)]


@pytest.mark.parametrize(("network", "shift"), SHIFTS)
def test_only_the_full_bayesian_net_starts_without_a_shift(network: type[SegNet], shift: float) -> None:
    """shift_filler in Models/{segnet,segnet_basic,bayesian_segnet,bayesian_segnet_basic}_train.prototxt."""
    norms = [layer for layer in network(3, width=0.01).modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms
    assert all((norm.bias == shift).all() and (norm.weight == 1).all() for norm in norms)


def test_the_web_demos_net_has_one_convolution_more() -> None:
    """Example_Models/bayesian_segnet_camvid.prototxt: 27 convolutions, 29,486,411 parameters for 11 classes."""
    with torch.device("meta"):
        network = BayesianSegNet(11, extra_convolution=True)
    assert count(network) == 29_486_411
    assert sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) == 27


def test_unknown_places_are_refused() -> None:
    with pytest.raises(ValueError, match=r"BayesianSegNet: expected dropout to be one of central, .*, got 'centre'"):
        BayesianSegNet(2, dropout="centre")
    assert "classifier" not in PLACES
