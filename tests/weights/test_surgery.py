"""Identities of weight surgery, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from perpixel.encoders.resnet import ResNet
from perpixel.weights.pixels import CAFFE, TORCHVISION, TORCHVISION_GOOGLENET, VGG, Pixels, describe
from perpixel.weights.surgery import (
    decimate,
    fc_to_convolution,
    fold_input,
    fold_norm,
    keep_channels,
    kept_channels,
    move_stride,
    stride_in,
    widen_input,
)

RGB_255 = Pixels((0.0,) * 3, (255.0,) * 3, "rgb")


def normalized(pixels: Tensor, as_they: Pixels) -> Tensor:
    """Normalise (N, 3, H, W) pixels from 0 to 255 in RGB order."""
    mean, std = (torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1) for values in (as_they.mean, as_they.std))
    values = (pixels - mean) / std
    return values.flip(1) if as_they.order == "bgr" else values


@settings(max_examples=15)
@given(
    held=st.sampled_from([TORCHVISION, VGG, TORCHVISION_GOOGLENET]),
    wanted=st.sampled_from([VGG, CAFFE, TORCHVISION, RGB_255]),
    seed=st.integers(0, 2**31),
)
def test_folding_is_exact_inside_the_border(held: Pixels, wanted: Pixels, seed: int) -> None:
    """The same pixels give the same features, one pixel off the padded border and further in."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(5, 3, 3, 3, generator=generator, dtype=torch.float64)
    bias = torch.randn(5, generator=generator, dtype=torch.float64)
    pixels = 255 * torch.rand(1, 3, 9, 11, generator=generator, dtype=torch.float64)
    folded, offset = fold_input(weight, held, wanted)
    theirs = functional.conv2d(normalized(pixels, held), weight, bias, padding=1)
    ours = functional.conv2d(normalized(pixels, wanted), folded, bias + offset, padding=1)
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1], rtol=1e-9, atol=1e-8)


def test_at_a_padded_border_another_colour_is_meant_and_features_differ() -> None:
    """Zero is the mean in both, and the means differ: the documented exception."""
    weight = torch.ones(1, 3, 3, 3, dtype=torch.float64)
    pixels = torch.full((1, 3, 5, 5), 100.0, dtype=torch.float64)
    folded, offset = fold_input(weight, TORCHVISION, VGG)
    theirs = functional.conv2d(normalized(pixels, TORCHVISION), weight, padding=1)
    ours = functional.conv2d(normalized(pixels, VGG), folded, offset, padding=1)
    assert (ours - theirs)[..., 0, 0].abs().item() > 1e-3


def test_folding_for_caffe_divides_by_255_times_std_and_reverses_the_channels() -> None:
    """(58.395, 57.12, 57.375) are torchvision's deviations in levels."""
    weight = torch.eye(3, dtype=torch.float64).view(3, 3, 1, 1)
    folded, offset = fold_input(weight, TORCHVISION, VGG)
    expected = torch.diag(1 / torch.tensor([58.395, 57.12, 57.375], dtype=torch.float64)).flip(1)
    torch.testing.assert_close(folded[..., 0, 0], expected)
    torch.testing.assert_close(offset[0].item(), (123.68 - 123.675) / 58.395)


def test_googlenets_transform_input_is_a_fold_from_half_and_half() -> None:
    """What torchvision does inside forward: x · s / 0.5 + (m − 0.5) / 0.5."""
    weight = torch.randn(4, 3, 1, 1, dtype=torch.float64)
    image = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) / 255 for v in (TORCHVISION.mean, TORCHVISION.std))
    theirs = functional.conv2d(image * (std / 0.5) + (mean - 0.5) / 0.5, weight)
    folded, offset = fold_input(weight, TORCHVISION_GOOGLENET, TORCHVISION)
    torch.testing.assert_close(functional.conv2d(image, folded, offset), theirs)


def test_folding_asks_for_as_many_means_as_channels() -> None:
    with pytest.raises(ValueError, match="expected means for 4 channels, got 3"):
        fold_input(torch.zeros(1, 4, 3, 3), TORCHVISION, VGG)


def test_a_convolutional_classifier_computes_what_the_fully_connected_one_did() -> None:
    """FCN's transplant: the same numbers, channels first."""
    weight = torch.randn(6, 5 * 7 * 7, dtype=torch.float64)
    features = torch.randn(2, 5, 7, 7, dtype=torch.float64)
    convolution = fc_to_convolution(weight, (7, 7))
    torch.testing.assert_close(functional.conv2d(features, convolution).flatten(1), features.flatten(1) @ weight.T)
    with pytest.raises(ValueError, match="multiple of 7 x 8"):
        fc_to_convolution(weight, (7, 8))


@pytest.mark.parametrize(("kernel", "dilation"), [(4, 2), (3, 3)])
def test_a_decimated_kernel_dilated_looks_where_the_whole_one_did(kernel: int, dilation: int) -> None:
    """On a map of stride 8 as on one of 32, once the dilations are multiplied: DeepLab v1, Sec. 3.1."""
    weight = torch.randn(2, 3, 7, 7)
    holes = torch.zeros_like(weight)
    holes[..., ::dilation, ::dilation] = weight[..., ::dilation, ::dilation]
    features = torch.randn(1, 3, 12, 12)
    expected = functional.conv2d(features, holes)
    found = functional.conv2d(features, decimate(weight, kernel), dilation=dilation)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="7 x 7 taps"):
        decimate(weight[..., :5, :5], kernel)


def test_the_same_channels_are_kept_on_both_sides() -> None:
    """fc7 must read what fc6 still writes."""
    fc6, fc7 = torch.randn(40, 3, 1, 1), torch.randn(40, 40, 1, 1)
    kept = kept_channels(40, 10)
    assert torch.equal(keep_channels(fc6, 10), fc6[kept])
    assert torch.equal(keep_channels(fc7, 10, 10), fc7[kept][:, kept])
    assert len(set(kept.tolist())) == 10
    assert torch.equal(kept, kept_channels(40, 10))


def test_a_fourth_channel_gets_the_mean_of_the_colours() -> None:
    """FCN on colour and depth, nyud-fcn32s-color-d."""
    weight = torch.randn(2, 3, 3, 3)
    widened = widen_input(weight, 4)
    assert torch.equal(widened[:, :3], weight)
    torch.testing.assert_close(widened[:, 3], weight.mean(dim=1))


def test_a_grey_image_gives_what_it_gave_as_colour() -> None:
    weight, grey = torch.randn(2, 3, 3, 3).double(), torch.randn(1, 1, 5, 5).double()
    expected = functional.conv2d(grey.expand(-1, 3, -1, -1), weight)
    torch.testing.assert_close(functional.conv2d(grey, widen_input(weight, 1)), expected)


@pytest.mark.parametrize("has_bias", [True, False])
def test_a_folded_norm_computes_what_the_two_did_outside_training(has_bias: bool) -> None:
    torch.manual_seed(2)
    convolution = torch.nn.Conv2d(3, 4, 3, bias=has_bias).double()
    norm = torch.nn.BatchNorm2d(4, eps=1e-3).double().eval()
    for value in norm.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 2)
    image = torch.randn(1, 3, 6, 6).double()
    weight, bias = fold_norm(convolution.weight, convolution.bias, norm.state_dict(), 1e-3)
    torch.testing.assert_close(functional.conv2d(image, weight, bias), norm(convolution(image)))


def test_moved_strides_are_those_of_the_other_network() -> None:
    with torch.device("meta"):
        theirs, msra = ResNet(50), ResNet(50, stride_in="1x1")
    assert (stride_in(theirs), stride_in(msra)) == ("3x3", "1x1")
    assert move_stride(theirs, "1x1") == 3
    assert stride_in(theirs) == "1x1"
    for ours, expected in zip(theirs.modules(), msra.modules(), strict=True):
        assert getattr(ours, "stride", None) == getattr(expected, "stride", None)
    assert move_stride(theirs, "1x1") == 0


def test_basic_blocks_have_no_stride_to_move() -> None:
    with torch.device("meta"):
        network = ResNet(18)
    assert stride_in(network) is None
    assert move_stride(network, "1x1") == 0


def test_pixels_are_described_as_the_network_gets_them() -> None:
    assert describe(VGG) == "BGR − (103.939, 116.779, 123.68)"
    assert describe(TORCHVISION) == "(RGB − (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)"
