"""What networks say of input that they cannot take."""

import pytest
import torch

from perpixel.models.catalog import MODELS, build
from perpixel.models.check import check_image


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((3, 8, 9), r"got \(3, 8, 9\)\. Add the batch axis"),
        ((1, 8, 9, 3), r"Move the channels forward: image\.permute\(0, 3, 1, 2\)"),
        ((1, 4, 8, 9), r"Build the network with in_channels=4, or convert"),
        ((1, 3, 0, 9), r"at least one pixel"),
        ((8, 9), r"Give a batch of images"),
    ],
)
def test_a_wrong_shape_is_answered_with_what_to_do(shape: tuple[int, ...], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        check_image(torch.zeros(shape), 3)


def test_bytes_are_answered_with_normalise() -> None:
    with pytest.raises(TypeError, match=r"got torch\.uint8\. Normalise"):
        check_image(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), 3)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_checks_its_input(name: str) -> None:
    channels = MODELS[name].in_channels - 1
    with pytest.raises(ValueError, match=rf"forward: expected an image of shape \(N, {channels}, H, W\)"):
        build(name, 3, in_channels=channels, width=0.01)(torch.zeros(1, channels + 1, 8, 8))
