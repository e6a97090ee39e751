"""Interpolation on a given grid."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from perpixel.ops.bilinear import bilinear_deconvolution
from perpixel.ops.zoom import zoom


@given(cells=st.integers(1, 9), factor=st.sampled_from([2, 3, 4, 8]))
def test_enlarging_lays_corner_on_corner(cells: int, factor: int) -> None:
    """Caffe's Interp with zoom_factor: n + 1 elements become f·n + 1."""
    features = torch.randn(2, 3, cells + 1, 2 * cells + 1)
    size = (factor * cells + 1, factor * 2 * cells + 1)
    expected = functional.interpolate(features, size, mode="bilinear", align_corners=True)
    torch.testing.assert_close(zoom(features, size, 1 / factor), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("size", "step"), [(161, 2.0), (241, 4 / 3)])
def test_shrinking_lays_corner_on_corner(size: int, step: float) -> None:
    """DeepLab v2 at 321 pixels: 161 at scale 0.5 and 241 at scale 0.75."""
    image = torch.rand(1, 3, 321, 321)
    expected = functional.interpolate(image, (size, size), mode="bilinear", align_corners=True)
    torch.testing.assert_close(zoom(image, (size, size), step), expected, atol=1e-4, rtol=1e-4)


def test_values_between_and_outside() -> None:
    features = torch.tensor([[[[0.0, 8.0]]]])
    assert zoom(features, (1, 5), 0.5, start=-0.5).tolist() == [[[[0, 0, 4, 8, 8]]]]


def test_each_axis_has_its_own_step() -> None:
    features = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert zoom(features, (2, 7), (2.0, 0.5)).tolist() == [
        [[[0, 0.5, 1, 1.5, 2, 2.5, 3], [8, 8.5, 9, 9.5, 10, 10.5, 11]]]
    ]


def test_it_is_an_odd_bilinear_deconvolution() -> None:
    """The deconvolution of side 2f − 1, from its first peak on."""
    scores = torch.randn(1, 2, 6, 7, dtype=torch.float64)
    deconvolved = bilinear_deconvolution(scores, stride=8, kernel_size=15, offset=7, size=(39, 49))
    torch.testing.assert_close(zoom(scores, (39, 49), 1 / 8), deconvolved)
