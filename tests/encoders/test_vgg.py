"""VGG's stages."""

import pytest
import torch
from torch import nn

from perpixel.encoders.vgg import (
    VGG,
    VGG11_WIDTHS,
    VGG13_WIDTHS,
    VGG16_WIDTHS,
    VGG19_WIDTHS,
    Widths,
    scaled,
    scaled_widths,
)


@pytest.mark.parametrize(
    ("widths", "published"),
    [
        (VGG11_WIDTHS, 132_863_336),
        (VGG13_WIDTHS, 133_047_848),
        (VGG16_WIDTHS, 138_357_544),
        (VGG19_WIDTHS, 143_667_240),
    ],
)
def test_configurations_count_to_the_published_networks_less_their_classifiers(widths: Widths, published: int) -> None:
    """Simonyan & Zisserman, Table 2; exact counts as torchvision's files hold."""
    with torch.device("meta"):
        convolutions = sum(parameter.numel() for parameter in VGG(widths=widths).parameters())
    classifier = 512 * 7 * 7 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert convolutions + classifier == published


def test_stages_halve_the_image_and_round_up() -> None:
    """Caffe's pooling: 360 x 480 becomes 45 x 60, 23 x 30, 12 x 15."""
    narrow = VGG(widths=scaled_widths(VGG16_WIDTHS, 0.01))
    sizes = [tuple(features.shape[-2:]) for features in narrow(torch.zeros(1, 3, 360, 480))]
    assert sizes == [(180, 240), (90, 120), (45, 60), (23, 30), (12, 15)]


def test_convolutions_carry_the_release_names() -> None:
    names = [name for name, layer in VGG().named_modules() if isinstance(layer, nn.Conv2d)]
    assert names[0] == "stages.stage1.conv1_1"
    assert names[-1] == "stages.stage5.conv5_3"
    assert len(names) == 13


def test_only_the_first_convolution_takes_the_image_padding() -> None:
    encoder = VGG(widths=scaled_widths(VGG16_WIDTHS, 0.01), padding=100)
    assert encoder.stages["stage1"](torch.zeros(1, 3, 4, 6)).shape[-2:] == (202, 204)


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [(64, 1, 64), (64, 0.125, 8), (64, 0.01, 8), (100, 1, 100), (512, 0.3, 152)],
)
def test_scaled_widths_are_multiples_of_eight_and_exact_at_one(channels: int, width: float, expected: int) -> None:
    assert scaled(channels, width) == expected
