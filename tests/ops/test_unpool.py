"""Max pooling with switches, and its inverse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.ops.unpool import Switches, max_pool, max_unpool

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def naive_max_pool(features: torch.Tensor, kernel_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    N, C, H, W = features.shape
    height, width = -(-H // kernel_size), -(-W // kernel_size)
    pooled = torch.empty(N, C, height, width)
    indices = torch.empty(N, C, height, width, dtype=torch.int64)
    for n, c, y, x in torch.cartesian_prod(*map(torch.arange, (N, C, height, width))).tolist():
        window = [
            (features[n, c, row, column].item(), row * W + column)
            for row in range(y * kernel_size, min((y + 1) * kernel_size, H))
            for column in range(x * kernel_size, min((x + 1) * kernel_size, W))
        ]
        best = max(window, key=lambda pair: pair[0])  # max keeps the first of equals
        pooled[n, c, y, x], indices[n, c, y, x] = best
    return pooled, indices


def draw(size: tuple[int, int], seed: int, levels: int = 1_000_000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(levels, (2, 3, *size), generator=generator).float()


@settings(deadline=None, max_examples=40)
@given(size=SIZES, kernel_size=st.integers(1, 3), levels=st.sampled_from([2, 1000]), seed=st.integers(0, 99))
def test_pooling_agrees_with_loops_also_on_ties_and_odd_sizes(
    size: tuple[int, int], kernel_size: int, levels: int, seed: int
) -> None:
    features = draw(size, seed, levels)
    pooled, switches = max_pool(features, kernel_size)
    expected, indices = naive_max_pool(features, kernel_size)
    assert torch.equal(pooled, expected)
    assert torch.equal(switches.indices, indices)
    assert switches.size == size


@settings(deadline=None, max_examples=40)
@given(size=SIZES, seed=st.integers(0, 99))
def test_pooling_what_was_unpooled_gives_it_back(size: tuple[int, int], seed: int) -> None:
    values, switches = max_pool(1 + draw(size, seed))
    unpooled = max_unpool(values, switches)
    assert unpooled.shape[-2:] == size
    assert torch.equal(max_pool(unpooled)[0], values)
    assert torch.count_nonzero(unpooled) == values.numel()


@settings(deadline=None, max_examples=20)
@given(size=SIZES, seed=st.integers(0, 99))
def test_unpooling_is_the_adjoint_of_picking_the_maxima(size: tuple[int, int], seed: int) -> None:
    features = draw(size, seed, 1000)
    pooled, switches = max_pool(features)
    values = torch.randn(pooled.shape, requires_grad=True)
    (max_unpool(values, switches) * features).sum().backward()
    assert torch.equal(values.grad, pooled)


def test_channels_last_gives_the_same_switches() -> None:
    features = draw((45, 31), 0, 5)
    pooled, switches = max_pool(features)
    other, other_switches = max_pool(features.contiguous(memory_format=torch.channels_last))
    assert torch.equal(pooled, other)
    assert torch.equal(max_unpool(pooled, switches), max_unpool(other, other_switches))


def test_switches_of_another_depth_are_refused_with_a_remedy() -> None:
    switches = Switches(torch.zeros(1, 2, 3, 3, dtype=torch.int64), (6, 6))
    with pytest.raises(ValueError, match=r"max_unpool: expected .*\(1, 2, 3, 3\), got \(1, 2, 2, 2\)"):
        max_unpool(torch.zeros(1, 2, 2, 2), switches)
