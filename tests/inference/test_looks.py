"""Looks lie where the image lies, however it was turned, and are joined as the papers join them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perpixel.inference.looks import canvas_share, fused_probabilities, look_at, looks, turned, turned_back
from perpixel.inference.options import Options


def smooth(height: int, width: int) -> torch.Tensor:
    """Return one channel without anything that resampling could lose."""
    rows, columns = torch.arange(height)[:, None] / height, torch.arange(width) / width
    return (torch.sin(3 * rows) + torch.cos(4 * columns) + rows * columns)[None, None].float()


def test_there_is_a_look_for_every_scale_mirror_and_angle() -> None:
    options = Options(scales=(0.5, 1.0), flip=True, rotations=4)
    assert len(looks(options)) == options.looks == 16
    assert looks(Options()) == [(1.0, False, 0.0)]
    assert [look.degrees for look in looks(Options(rotations=7))] == [360 * turn / 7 for turn in range(7)]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_move_pixels_and_nothing_else(quarters: int) -> None:
    image = torch.rand(1, 2, 3, 5)
    there = turned(image, 90.0 * quarters)
    assert torch.equal(there, torch.rot90(image, quarters, (-2, -1)))
    assert torch.equal(turned_back(there, 90.0 * quarters, (3, 5)), image)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 360))
def test_turning_there_and_back_keeps_a_plane(height: int, width: int, degrees: float) -> None:
    image = (0.1 * torch.arange(height)[:, None] - 0.2 * torch.arange(width))[None, None]
    back = turned_back(turned(image, degrees), degrees, (height, width))
    assert back.shape == image.shape
    inside = (slice(None), slice(None), slice(3, height - 3), slice(3, width - 3))
    torch.testing.assert_close(back[inside], image[inside], atol=1e-4, rtol=0)


def test_other_angles_turn_the_same_way_as_quarter_turns() -> None:
    image = smooth(30, 41)
    nearly = turned(image, 90.001)
    exact = turned(image, 90.0)
    trim = [(side - other) // 2 for side, other in zip(nearly.shape[-2:], exact.shape[-2:], strict=True)]
    cut = nearly[..., trim[0] : trim[0] + 41, trim[1] : trim[1] + 30]
    assert (cut - exact)[..., 2:-2, 2:-2].abs().max() < 0.15  # half a pixel at most
    assert (cut - exact.flip(-1))[..., 2:-2, 2:-2].abs().max() > 0.3


def test_beside_a_turned_image_is_its_mirror_image() -> None:
    canvas = turned(torch.full((1, 1, 20, 20), 5.0), 45.0)
    assert canvas.shape[-2:] == (29, 29)
    assert torch.allclose(canvas, torch.tensor(5.0))


def test_the_canvas_of_an_oblique_look_has_up_to_twice_the_pixels() -> None:
    assert canvas_share(Options(rotations=4, flip=True)) == 1.0
    assert canvas_share(Options(rotations=8)) == pytest.approx(2.0)


class Directional(nn.Module):
    """Class 1 where a pixel is brighter than its left neighbour: turning the image changes what it says."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return two classes."""
        left = torch.cat([image[..., :1], image[..., :-1]], -1)
        return torch.cat([left, image], 1)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_look_is_what_the_network_says_of_the_turned_image_where_the_image_is(quarters: int) -> None:
    image, look = torch.rand(1, 1, 6, 9), looks(Options(rotations=4))[quarters]
    expected = torch.rot90(Directional()(torch.rot90(image, quarters, (-2, -1))), -quarters, (-2, -1))
    assert torch.equal(look_at(Directional(), image, look, 2), expected[0])


@pytest.mark.parametrize("fusion", ["mean", "max"])
def test_all_eight_symmetries_make_a_prediction_turn_with_its_image(fusion: str) -> None:
    options, image = Options(flip=True, rotations=4, fusion=fusion), torch.rand(1, 1, 7, 11)
    straight = fused_probabilities(Directional(), image, options, 1.0, 2)
    for change in (lambda x: x.rot90(1, (-2, -1)), lambda x: x.flip(-1), lambda x: x.flip(-2).rot90(1, (-2, -1))):
        other = fused_probabilities(Directional(), change(image), options, 1.0, 2)
        torch.testing.assert_close(other, change(straight))


def test_the_mean_of_looks_is_of_probabilities_and_the_maximum_of_logits() -> None:
    """DeepLab v2, Sec. 4.1.2: the maximum of the score maps."""
    image, options = torch.rand(1, 1, 5, 6), Options(flip=True)
    both = [look_at(Directional(), image, look, 2) for look in looks(options)]
    mean = fused_probabilities(Directional(), image, options, 1.0, 2)
    torch.testing.assert_close(mean, (both[0].softmax(0) + both[1].softmax(0)) / 2)
    largest = fused_probabilities(Directional(), image, Options(flip=True, fusion="max"), 1.0, 2)
    torch.testing.assert_close(largest, torch.maximum(*both).softmax(0))


def test_the_image_is_left_as_it_was_even_by_a_network_that_returns_it() -> None:
    image = torch.rand(1, 2, 4, 5)
    before = image.clone()
    fused_probabilities(nn.Identity(), image, Options(flip=True, scales=(1.0, 0.5), fusion="max"), 1.0, 2)
    assert torch.equal(image, before)


def test_seven_rotations_agree_with_one_where_a_network_sees_single_pixels() -> None:
    image = 4 * torch.cat([smooth(24, 31), 1 - smooth(24, 31)], 1)
    one, seven = (
        fused_probabilities(nn.Identity(), image, Options(rotations=count), 1.0, 2).numpy() for count in (1, 7)
    )
    np.testing.assert_allclose(seven[:, 2:-2, 2:-2], one[:, 2:-2, 2:-2], atol=0.02)
