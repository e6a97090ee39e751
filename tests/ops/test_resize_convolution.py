"""Checkerboards: measured, and cured."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from perpixel.ops.resize_convolution import checkerboard_energy, resize_convolution


def inside(features: torch.Tensor, frame: int = 6) -> torch.Tensor:
    return features[..., frame:-frame, frame:-frame]


@pytest.mark.parametrize(("kernel", "stride", "uneven"), [(3, 2, True), (5, 2, True), (4, 2, False), (2, 2, False)])
def test_a_deconvolution_shows_its_grid_unless_its_stride_divides_its_side(
    kernel: int, stride: int, uneven: bool
) -> None:
    """Distill 2016: uneven overlap, seen on a constant with equal weights."""
    constant = torch.ones(1, 1, 16, 16)
    enlarged = functional.conv_transpose2d(constant, torch.ones(1, 1, kernel, kernel), stride=stride)
    assert checkerboard_energy(inside(enlarged), stride) == (pytest.approx(1) if uneven else 0)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 999), factor=st.sampled_from([2, 3, 4]), mode=st.sampled_from(["nearest", "bilinear"]))
def test_a_resized_constant_stays_constant_whatever_is_learned(seed: int, factor: int, mode: str) -> None:
    torch.manual_seed(seed)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    constant = torch.randn(1, 2, 1, 1, dtype=torch.float64).expand(1, 2, 5, 6)
    enlarged = resize_convolution(constant, weight, torch.randn(3, dtype=torch.float64), factor, mode)  # type: ignore[arg-type]
    assert enlarged.shape == (1, 3, 5 * factor, 6 * factor)
    torch.testing.assert_close(enlarged, enlarged[..., :1, :1].expand_as(enlarged))
    assert checkerboard_energy(enlarged, factor) == 0


def test_random_weights_give_a_deconvolution_a_grid_and_a_resize_convolution_none() -> None:
    torch.manual_seed(0)
    features = torch.rand(1, 8, 24, 24)
    deconvolved = inside(functional.conv_transpose2d(features, torch.randn(8, 4, 3, 3), stride=2))
    resized = inside(resize_convolution(features, torch.randn(4, 8, 3, 3)))
    assert checkerboard_energy(deconvolved, 2) > 10 * checkerboard_energy(resized, 2)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 999), stride=st.integers(2, 4), cells=st.integers(2, 5))
def test_it_is_the_energy_at_the_multiples_of_the_grids_frequency(seed: int, stride: int, cells: int) -> None:
    torch.manual_seed(seed)
    features = torch.randn(2, 3, stride * cells, stride * cells, dtype=torch.float64)
    power = torch.fft.fft2(features).abs().square()
    power[..., 0, 0] = 0
    share = power[..., ::cells, ::cells].sum() / power.sum()
    assert checkerboard_energy(features, stride) == pytest.approx(share.item(), rel=1e-9)


def test_a_pure_grid_is_all_energy_and_does_not_depend_on_scale_or_shift() -> None:
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    for features in (board.float(), 1000 + 0.5 * board.double()):
        assert checkerboard_energy(features[None, None], 2) == pytest.approx(1)


def test_a_map_smaller_than_a_cell_is_refused() -> None:
    with pytest.raises(ValueError, match=r"checkerboard_energy: expected a map of at least 4 x 4, got \(3, 9\)"):
        checkerboard_energy(torch.zeros(1, 1, 3, 9), 4)
