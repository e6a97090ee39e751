"""Two ways to dense predictions, and that they are one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from perpixel.ops.shift_and_stitch import rarefied, shift_and_stitch, without_strides


def strided_network(kernels: list[int], pools: list[int], relu: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for kernel, pool in zip(kernels, pools, strict=True):
        layers.append(nn.Conv2d(2, 2, kernel))
        layers += [nn.ReLU()] * relu
        layers.append(nn.MaxPool2d(pool))
    layers.append(nn.Conv2d(2, 3, 2))
    return nn.Sequential(*layers).double()


@settings(deadline=None, max_examples=12)
@given(
    kernels=st.lists(st.integers(1, 3), min_size=2, max_size=2),
    pools=st.lists(st.integers(1, 3), min_size=2, max_size=2),
    more=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    relu=st.booleans(),
    seed=st.integers(0, 999),
)
def test_stitching_shifted_outputs_is_dilating_the_filters(
    kernels: list[int], pools: list[int], more: tuple[int, int], relu: bool, seed: int
) -> None:
    """FCN Sec. 3.2, in float64; maxima and products are the same, only sums may be ordered otherwise."""
    torch.manual_seed(seed)
    network = strided_network(kernels, pools, relu)
    image = torch.randn(1, 2, 34 + more[0], 34 + more[1], dtype=torch.float64)
    stitched = shift_and_stitch(network, image, pools[0] * pools[1])
    dense = without_strides(network)(image)
    assert stitched.shape == dense.shape
    torch.testing.assert_close(stitched, dense, atol=1e-13, rtol=0)


def test_whole_numbers_come_out_exactly_equal() -> None:
    """With integer weights nothing is rounded, and not one bit differs."""
    torch.manual_seed(0)
    network = strided_network([3, 2], [2, 2], relu=True)
    for parameter in network.parameters():
        parameter.data.copy_(torch.randint(-4, 5, parameter.shape))
    image = torch.randint(0, 256, (1, 2, 25, 31)).double()
    assert torch.equal(shift_and_stitch(network, image, 4), without_strides(network)(image))


def test_strided_convolutions_are_dilated_like_poolings() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Tanh(), nn.Conv2d(2, 1, 3, stride=3, dilation=2)).double()
    image = torch.randn(1, 1, 30, 33, dtype=torch.float64)
    torch.testing.assert_close(shift_and_stitch(network, image, 6), without_strides(network)(image))


@given(kernel=st.integers(1, 3), factor=st.integers(1, 4))
def test_a_rarefied_filter_is_a_dilated_one(kernel: int, factor: int) -> None:
    weight = torch.randn(2, 3, kernel, kernel, dtype=torch.float64)
    image = torch.randn(1, 3, 12, 13, dtype=torch.float64)
    dilated = functional.conv2d(image, weight, dilation=factor)
    torch.testing.assert_close(functional.conv2d(image, rarefied(weight, factor)), dilated)


def test_the_network_itself_stays_as_it_was() -> None:
    network = strided_network([3, 3], [2, 2], relu=False)
    without_strides(network)
    assert network[1].stride == 2
    assert network[2].dilation == (1, 1)


def test_padded_layers_are_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match=r"without_strides: expected .* got padding \(1, 1\) in 0\. Pad the image"):
        without_strides(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)))


def test_a_factor_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="factor of 1 or more, got 0"):
        shift_and_stitch(nn.Identity(), torch.zeros(1, 1, 4, 4), 0)
