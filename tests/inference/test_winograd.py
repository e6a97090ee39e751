"""Winograd's convolution is the convolution."""

import copy
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perpixel.inference import winograd
from perpixel.inference.toom_cook import POINTS, matrices
from perpixel.inference.winograd import WinogradConv2d


@settings(deadline=None, max_examples=40)
@given(
    size=st.tuples(st.integers(1, 19), st.integers(1, 19)),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    padding=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bias=st.booleans(),
    side=st.sampled_from([3, 7]),
)
def test_it_equals_the_direct_sum_for_every_size(
    size: tuple[int, int], channels: tuple[int, int], padding: tuple[int, int], bias: bool, side: int
) -> None:
    """In float64, so that only a wrong matrix can make a difference."""
    torch.manual_seed(0)
    direct = nn.Conv2d(*channels, side, padding=(side // 2 + padding[0] - 1, side // 2 + padding[1] - 1), bias=bias)
    direct = direct.double()
    features = torch.randn(2, channels[0], *size, dtype=torch.float64)
    torch.testing.assert_close(WinogradConv2d(direct)(features), direct(features), rtol=1e-10, atol=1e-10)


def test_float32_differs_by_rounding_alone() -> None:
    torch.manual_seed(0)
    direct = nn.Conv2d(64, 48, kernel_size=3, padding=1)
    features = torch.randn(1, 64, 37, 41)
    expected = direct(features)
    error = (WinogradConv2d(direct)(features) - expected).abs().max() / expected.abs().max()
    assert error < 5e-5


def test_the_clamp_is_that_of_relu() -> None:
    direct = nn.Conv2d(3, 4, kernel_size=3, padding=1).double()
    features = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(WinogradConv2d(direct, relu=True)(features), direct(features).relu())


def test_bands_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = WinogradConv2d(nn.Conv2d(3, 4, kernel_size=3, padding=1).double())
    features = torch.randn(1, 3, 33, 21, dtype=torch.float64)
    whole = layer(features)
    monkeypatch.setattr(winograd, "LEAST", 1)
    monkeypatch.setattr(winograd, "BAND_BYTES", 1)
    torch.testing.assert_close(layer(features), whole)


def test_at_the_papers_points_the_matrices_are_the_papers() -> None:
    """F(4 x 4, 3 x 3): Lavin & Gray, Sec. 4.3; some of their rows have the other sign in two matrices at once."""
    into, kernel, back = matrices(3, tuple(map(Fraction, (0, 1, -1, 2, -2))))
    assert into[0] == [4, 0, -5, 0, 1, 0]
    assert into[1] == [0, -4, -4, 1, 1, 0]
    assert kernel[3] == [1 / 24, 1 / 12, 1 / 6]
    assert back[3] == [0, 1, -1, 8, -8, 1]


def test_our_points_err_less_than_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    direct = nn.Conv2d(64, 64, kernel_size=3, padding=1)
    features = torch.relu(torch.randn(1, 64, 32, 32))
    exact = copy.deepcopy(direct).double()(features.double())
    ours = (WinogradConv2d(direct)(features) - exact).norm()
    monkeypatch.setitem(POINTS, 3, tuple(map(Fraction, (0, 1, -1, 2, -2))))
    assert 1.5 * ours < (WinogradConv2d(direct)(features) - exact).norm()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("relu", [True, False])
def test_compiled_sums_are_the_matrices(relu: bool, threads: int) -> None:
    """A few bands of a map whose sides are no multiples of a tile; a third thread may find nothing to do."""
    pytest.importorskip("numba")
    torch.manual_seed(0)
    layer = WinogradConv2d(nn.Conv2d(16, 48, kernel_size=3, padding=1), relu)
    features = torch.randn(2, 16, 23, 150)
    assert layer.fits
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        compiled = layer(features)
    finally:
        torch.set_num_threads(before)
    layer.fits = False
    torch.testing.assert_close(compiled, layer(features), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [(16, 24), (24, 16)])
def test_channels_that_do_not_fill_the_lanes_go_through_the_matrices(channels: tuple[int, int]) -> None:
    assert not WinogradConv2d(nn.Conv2d(*channels, kernel_size=3, padding=1)).fits


def test_threads_share_an_image_and_change_nothing() -> None:
    threads = torch.get_num_threads()
    layer = nn.Conv2d(32, 48, 3, padding=1).eval()
    features = torch.randn(2, 32, 61, 45, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            torch.set_num_threads(1)
            alone = WinogradConv2d(layer, relu=True)(features)
            torch.set_num_threads(3)
            together = WinogradConv2d(layer, relu=True)(features)
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_part_of_a_map_is_read_where_it_lies() -> None:
    """As from a trunk without its margin: rows and columns are left out, and none may be read."""
    layer = WinogradConv2d(nn.Conv2d(16, 32, kernel_size=3, padding=1), relu=True)
    whole = torch.randn(2, 16, 40, 30).contiguous(memory_format=torch.channels_last)
    part = whole[:, :, 3:34, 5:24]
    assert torch.equal(layer(part), layer(part.contiguous()))


@pytest.mark.parametrize("padding", [(0, 0), (0, 2), (3, 0), (6, 7)])
def test_compiled_sums_take_every_margin(padding: tuple[int, int]) -> None:
    pytest.importorskip("numba")
    torch.manual_seed(0)
    layer = WinogradConv2d(nn.Conv2d(16, 16, kernel_size=3, padding=padding))
    features = torch.randn(1, 16, 9, 11)
    compiled = layer(features)
    layer.fits = False
    torch.testing.assert_close(compiled, layer(features), rtol=1e-4, atol=1e-5)
