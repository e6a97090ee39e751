"""Compiled pooling is PyTorch's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perpixel.encoders.encoder import Pace
from perpixel.encoders.pooling import MaxPool
from perpixel.inference.pooled import CompiledMaxPool2d, is_halving

pytest.importorskip("numba")


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(2, 19), st.integers(2, 19)),
    channels=st.sampled_from([1, 3, 16, 37]),
    ceil_mode=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_equals_pytorchs_to_the_bit(size: tuple[int, int], channels: int, ceil_mode: bool, seed: int) -> None:
    """Infinities and NaN among the values."""
    features = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(seed))
    features.view(-1)[:: 5 + seed] = torch.tensor([torch.nan, torch.inf, -torch.inf])[seed % 3]
    pool = nn.MaxPool2d(2, ceil_mode=ceil_mode)
    features = features.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(CompiledMaxPool2d(pool)(features), pool(features), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("threads", [1, 2])
def test_part_of_a_map_is_read_where_it_lies(threads: int) -> None:
    part = torch.randn(2, 48, 40, 30).contiguous(memory_format=torch.channels_last)[:, :, 3:34, 5:24]
    pool, before = MaxPool(Pace(32), kernel_size=2), torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert torch.equal(CompiledMaxPool2d(pool)(part), pool(part))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 5)])
def test_what_it_cannot_do_the_layer_itself_does(size: tuple[int, int]) -> None:
    """Maps smaller than a window, of doubles, with channels first."""
    pool = MaxPool(Pace(32), kernel_size=2, ceil_mode=False)
    for features in (torch.randn(1, 16, *size), torch.randn(1, 16, *size).double()):
        assert torch.equal(CompiledMaxPool2d(pool)(features), pool(features))


def test_only_halving_pools_are_taken() -> None:
    assert is_halving(nn.MaxPool2d(2))
    assert is_halving(nn.MaxPool2d((2, 2), ceil_mode=True))
    others = [nn.MaxPool2d(3, 2), nn.MaxPool2d(2, 1), nn.MaxPool2d(2, padding=1), nn.MaxPool2d(2, dilation=2)]
    assert not any(map(is_halving, [*others, nn.MaxPool2d(2, return_indices=True), nn.AvgPool2d(2)]))
