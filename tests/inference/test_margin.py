"""A trunk without its margin returns what the padded trunk returned."""

import copy

import pytest
import torch
from torch import nn

from perpixel.encoders.vgg import VGG
from perpixel.inference import margin
from perpixel.inference.margin import NarrowMargin, has_margin, narrow_margins
from perpixel.models.catalog import build

WIDTHS = ((3, 4), (4, 5), (5, 4, 5), (4, 5, 4), (5, 4, 5))
SIZES = [(1, 1), (2, 16), (5, 33), (17, 31), (97, 141), (128, 40)]


def trunk(**options: object) -> VGG:
    """Build a narrow VGG-16 with biases: without them the response to zeros would be zero."""
    torch.manual_seed(0)
    encoder = VGG(3, WIDTHS, **{"padding": 100, **options}).double().eval().requires_grad_(False)
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.mul_(2)
            layer.bias.normal_(0, 0.5)
    return encoder


@pytest.mark.parametrize("size", SIZES)
def test_every_map_is_that_of_the_padded_trunk(size: tuple[int, int]) -> None:
    encoder = trunk()
    image = torch.randn(1, 3, *size, dtype=torch.float64)
    expected = encoder(image)
    for ours, theirs in zip(NarrowMargin(copy.deepcopy(encoder))(image), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_several_images_share_the_response_to_zeros() -> None:
    encoder = trunk()
    narrow = NarrowMargin(copy.deepcopy(encoder))
    for size in ((20, 30), (36, 46), (20, 31)):
        image = torch.randn(2, 3, *size, dtype=torch.float64)
        torch.testing.assert_close(narrow(image)[3], encoder(image)[3], rtol=1e-12, atol=1e-12)
    assert len(narrow.responses) == 2


def test_responses_to_zeros_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(margin, "KEPT", 2)
    narrow = NarrowMargin(trunk())
    for width in (1, 2, 3):
        narrow.respond(torch.zeros(1, 3, 1, width, dtype=torch.float64))
    assert [key[0] for key in narrow.responses] == [(1, 2), (1, 3)]


def test_the_first_stages_convolve_little_more_than_the_image() -> None:
    """Stage 1 reaches 2 rows beyond the 360, is rounded to whole windows (366), and reads 2 more on each side."""
    steps = margin.plan(360, 99, [[1, 1], [1, 1], [1] * 3, [1] * 3, [1] * 3])
    assert [step.given.stop - step.given.start for step in steps] == [370, 192, 106, 64, 35]
    assert [step.length for step in steps] == [279, 140, 70, 35, 18]


@pytest.mark.parametrize(("options", "expected"), [({}, True), ({"padding": 1}, False), ({"output_stride": 16}, False)])
def test_only_a_wide_margin_is_spared(options: dict[str, object], expected: bool) -> None:
    assert has_margin(trunk(**options)) == expected


@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s", "fcn8s-at-once"])
def test_logits_of_fcn_stay_the_same(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 3, width=1 / 16).double().eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.1)
            nn.init.normal_(layer.bias, std=0.1)
    narrow = copy.deepcopy(network)
    narrow_margins(narrow)
    assert any(isinstance(module, NarrowMargin) for module in narrow.modules())
    image = torch.randn(1, 3, 37, 53, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(narrow(image), network(image), rtol=1e-10, atol=1e-10)
