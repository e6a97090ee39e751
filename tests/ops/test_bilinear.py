"""Fixed bilinear deconvolution against the transposed convolution that it stands for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from perpixel.ops.bilinear import bilinear_deconvolution, bilinear_kernel, bilinear_weight, enlarge

FCN_KERNELS = [(4, 2), (16, 8), (32, 16), (64, 32), (63, 32)]  # side, stride; 63 is FCN-AlexNet's


@pytest.mark.parametrize(("size", "total"), [(4, 4), (16, 64), (64, 1024), (3, 4), (63, 1024)])
def test_a_kernel_sums_to_the_square_of_its_factor(size: int, total: float) -> None:
    """The released surgery.py: f = (side + 1) // 2, sum f²."""
    assert bilinear_kernel(size).sum().item() == pytest.approx(total)


def test_the_kernel_of_side_four_is_the_textbook_one() -> None:
    profile = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.equal(bilinear_kernel(4), profile[:, None] * profile)


@pytest.mark.parametrize(("kernel_size", "stride"), FCN_KERNELS)
def test_it_equals_the_dense_transposed_convolution(kernel_size: int, stride: int) -> None:
    features = torch.randn(2, 3, 4, 5)
    dense = functional.conv_transpose2d(features, bilinear_weight(3, kernel_size), stride=stride)
    ours = bilinear_deconvolution(features, stride, kernel_size)
    assert ours.shape == dense.shape
    torch.testing.assert_close(ours, dense, atol=2e-6, rtol=0)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), height=st.integers(1, 6), width=st.integers(1, 6), stride=st.sampled_from([2, 8]))
def test_a_window_is_a_crop_of_the_whole(data: st.DataObject, height: int, width: int, stride: int) -> None:
    features = torch.randn(1, 2, height, width)
    whole = bilinear_deconvolution(features, stride)
    offset = data.draw(st.integers(0, min(whole.shape[-2:]) - 1))
    h, w = (data.draw(st.integers(1, length - offset)) for length in whole.shape[-2:])
    window = bilinear_deconvolution(features, stride, offset=offset, size=(h, w))
    torch.testing.assert_close(window, whole[..., offset : offset + h, offset : offset + w], atol=2e-6, rtol=0)


@pytest.mark.parametrize("stride", [2, 8, 16, 32])
def test_it_is_linear_interpolation_away_from_the_border(stride: int) -> None:
    features = torch.randn(1, 1, 6, 7)
    interpolated = functional.interpolate(features, scale_factor=stride, mode="bilinear", align_corners=False)
    ours = bilinear_deconvolution(features, stride, offset=stride // 2, size=tuple(interpolated.shape[-2:]))
    inside = slice(stride, -stride)
    torch.testing.assert_close(ours[..., inside, inside], interpolated[..., inside, inside], atol=2e-6, rtol=0)
    assert not torch.allclose(ours[..., 0, :], interpolated[..., 0, :])


def test_its_gradient_is_the_transposed_convolutions() -> None:
    features = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: bilinear_deconvolution(f, 4, offset=3, size=(7, 9)), features)


def test_a_window_beyond_the_map_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match=r"bilinear_deconvolution: expected .*6 x 6 map, got 6 x 6 at 1\. Crop less"):
        bilinear_deconvolution(torch.zeros(1, 1, 2, 2), 2, offset=1, size=(6, 6))


@pytest.mark.parametrize(("stride", "size"), [(2, (14, 10)), (16, (112, 80))])
def test_enlarging_cells_is_torchs_interpolation(stride: int, size: tuple[int, int]) -> None:
    """Element 0 in the middle of the first `stride` pixels: align_corners=False, border values held."""
    features = torch.randn(2, 3, 7, 5)
    enlarged = enlarge(features, stride, (stride - 1) / 2, size)
    expected = torch.nn.functional.interpolate(features, scale_factor=stride, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarged, expected)


@pytest.mark.parametrize("start", [-7.0, 0.0, 2.5, 30.0])
def test_enlarging_puts_elements_where_they_lie(start: float) -> None:
    """A map of pixel positions becomes the positions themselves, up to its outermost elements."""
    stride, length = 8, 6
    places = start + stride * torch.arange(float(length))
    rows = enlarge(places[:, None].expand(1, 1, length, 1), stride, start, (60, 1))[0, 0, :, 0]
    torch.testing.assert_close(rows, torch.arange(60.0).clamp(places[0], places[-1]))
