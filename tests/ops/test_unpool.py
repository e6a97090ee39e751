"""Max pooling with switches, and its inverse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from perpixel.ops import unpool
from perpixel.ops.unpool import max_pool, max_unpool

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
    assert torch.equal(switches.to_indices(), indices)
    assert switches.size == size
    assert switches.shape == expected.shape


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


SPECIAL = torch.tensor([0.0, -0.0, torch.nan, torch.inf, -torch.inf, 1.0])


def bits(values: torch.Tensor) -> torch.Tensor:
    """Return the bits, with one NaN for all: PyTorch's two kernels disagree on which NaN bfloat16 has."""
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()]
    return torch.where(values.isnan(), -1, values.contiguous().view(integers))


@settings(deadline=None, max_examples=60)
@given(
    size=SIZES,
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    special=st.booleans(),
    seed=st.integers(0, 999),
    channels=st.sampled_from([3, 20]),
    compiled=st.booleans(),
)
def test_values_and_gradients_are_those_of_pytorch_to_the_bit(
    size: tuple[int, int],
    layout: torch.memory_format,
    dtype: torch.dtype,
    special: bool,
    seed: int,
    channels: int,
    compiled: bool,
) -> None:
    """Ties, both zeros, infinities and NaN included; the memory layout is kept; with Numba and without."""
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(unpool, "compiled_functions", lambda: None)
        compare(size, layout, dtype, special, seed, channels)


def compare(
    size: tuple[int, int], layout: torch.memory_format, dtype: torch.dtype, special: bool, seed: int, channels: int
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def values(*shape: int) -> torch.Tensor:
        if special:
            drawn = SPECIAL[torch.randint(6, shape, generator=generator)]
        else:
            drawn = torch.randint(3, shape, generator=generator).float()
        return drawn.to(dtype).contiguous(memory_format=layout)

    features = values(2, channels, *size)
    ours, theirs = (features.clone().requires_grad_() for _ in range(2))
    pooled, switches = max_pool(ours)
    expected, indices = functional.max_pool2d(theirs, 2, 2, ceil_mode=True, return_indices=True)
    assert torch.equal(bits(pooled), bits(expected))
    assert torch.equal(switches.to_indices(), indices)
    assert pooled.is_contiguous(memory_format=layout)

    given, taken = (values(*pooled.shape).requires_grad_() for _ in range(2))
    taken.data.copy_(given.data)
    unpooled = max_unpool(given, switches)
    reference = functional.max_unpool2d(taken, indices, 2, 2, output_size=list(size))
    assert torch.equal(bits(unpooled), bits(reference))
    if pooled[0, 0].numel() > 1:  # the strides of a single pixel do not tell
        assert unpooled.is_contiguous(memory_format=layout)

    for result, other, into, other_into in ((pooled, expected, ours, theirs), (unpooled, reference, given, taken)):
        gradient = values(*result.shape)
        result.backward(gradient)
        other.backward(gradient)
        assert torch.equal(bits(into.grad), bits(other_into.grad))


def test_bands_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    features = draw((45, 31), 0, 5)
    pooled, switches = max_pool(features)
    unpooled = max_unpool(pooled, switches)
    monkeypatch.setattr(unpool, "BAND_BYTES", 1)
    assert torch.equal(max_pool(features)[0], pooled)
    assert torch.equal(max_pool(features)[1].where, switches.where)
    assert torch.equal(max_unpool(pooled, switches), unpooled)


def test_switches_take_two_bits_each() -> None:
    """SegNet, Sec. 3: 2 bits for each 2 x 2 window; here PyTorch's 64-bit positions take 32 times as much."""
    for channels, height, width in ((64, 45, 60), (512, 12, 15), (3, 5, 7)):
        pooled, switches = max_pool(torch.randn(1, channels, height, width))
        assert switches.where.nbytes == -(-pooled.numel() // 4)


def test_autograd_keeps_nothing_but_the_switches() -> None:
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor), lambda _: None):
        pooled, switches = max_pool(torch.randn(1, 8, 16, 16, requires_grad=True))
        max_unpool(pooled, switches)
    assert {tensor.dtype for tensor in kept} == {torch.uint8}
    assert max(tensor.nbytes for tensor in kept) == pooled.numel() // 4


def test_channels_last_gives_the_same_switches() -> None:
    features = draw((45, 31), 0, 5)
    pooled, switches = max_pool(features)
    other, other_switches = max_pool(features.contiguous(memory_format=torch.channels_last))
    assert torch.equal(pooled, other)
    assert torch.equal(switches.to_indices(), other_switches.to_indices())
    assert torch.equal(max_unpool(pooled, switches), max_unpool(other, other_switches))


def test_values_may_lie_otherwise_than_their_switches() -> None:
    features = draw((7, 10), 0, 5)
    pooled, switches = max_pool(features)
    unpooled = max_unpool(pooled.contiguous(memory_format=torch.channels_last), switches)
    assert unpooled.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(unpooled, max_unpool(pooled, switches))


def test_a_second_derivative_is_refused() -> None:
    features = torch.randn(1, 1, 4, 4, requires_grad=True)
    (first,) = torch.autograd.grad(max_pool(features)[0].pow(2).sum(), features, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_an_exported_graph_pools_as_pytorch_does() -> None:
    """Exporters know PyTorch's pooling with positions; they do not know ours."""

    class Both(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return max_unpool(*max_pool(features))

    features = draw((5, 7), 0, 5)
    graph = torch.export.export(Both(), (features,))
    assert any(
        "max_pool2d_with_indices" in str(node.target) or "max_pool2d" in str(node.target) for node in graph.graph.nodes
    )
    assert torch.equal(graph.module()(features), Both()(features))


def test_switches_of_another_depth_are_refused_with_a_remedy() -> None:
    _, switches = max_pool(torch.zeros(1, 2, 6, 6))
    with pytest.raises(ValueError, match=r"max_unpool: expected .*\(1, 2, 3, 3\), got \(1, 2, 2, 2\)"):
        max_unpool(torch.zeros(1, 2, 2, 2), switches)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_compiled_pooling_is_the_same_on_several_threads(threads: int) -> None:
    compiled = pytest.importorskip("perpixel.ops.unpool_compiled")
    features = draw((9, 12), 4, 7).contiguous(memory_format=torch.channels_last)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        pooled, codes = (torch.zeros(2, 3, 5, 6, dtype=dtype).contiguous(memory_format=torch.channels_last)
                         for dtype in (torch.float32, torch.uint8))  # fmt: skip
        compiled.pool(features, pooled, codes)
    finally:
        torch.set_num_threads(before)
    expected, indices = functional.max_pool2d(features, 2, 2, ceil_mode=True, return_indices=True)
    assert torch.equal(pooled, expected)
    assert torch.equal(codes, (indices // 12 % 2 * 2 + indices % 2).to(torch.uint8))
