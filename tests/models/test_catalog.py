"""The catalogue: names, errors, and what it says of each network."""

import pytest
import torch

from perpixel.errors import UsageError
from perpixel.models.catalog import MODELS, build, count_parameters
from perpixel.models.fcn import FCN8s


def test_a_mistyped_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"build: no model named 'segnt'\. Did you mean 'segnet'\? Known: fcn32s, "):
        build("segnt", 2)


def test_a_name_like_no_other_is_answered_with_the_list() -> None:
    with pytest.raises(UsageError, match=r"no model named 'mask2former'\. Known: "):
        build("mask2former", 2)


def test_a_mistyped_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unet-same has no option 'dropuot'\. Did you mean 'dropout'\?"):
        build("unet-same", 2, dropuot=0.5)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"num_classes": 0}, "expected num_classes of 1 or more, got 0"),
        ({"in_channels": 0}, "expected in_channels of 1 or more, got 0"),
        ({"width": 0.0}, "expected a positive width, got 0.0"),
        ({"width": float("nan")}, "expected a positive width, got nan"),
    ],
)
def test_networks_that_cannot_be_are_refused(arguments: dict[str, float], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        build("segnet", **arguments)


def test_without_a_number_of_classes_it_is_the_papers() -> None:
    with torch.device("meta"):
        assert build("fcn8s").score_fr.out_channels == MODELS["fcn8s"].num_classes == 21


def test_options_reach_the_network() -> None:
    with torch.device("meta"):
        network = build("fcn8s-at-once", 5, learned_upsampling=True)
    assert isinstance(network, FCN8s)
    assert network.upscore2.weight.shape == (5, 5, 4, 4)


def test_counting_allocates_nothing() -> None:
    assert count_parameters("fcn32s") == 134_346_581
