"""What elements see, against what a gradient says they see."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from perpixel.explain.seen import Seen, deconvolved, joined, resized, sliced, windowed
from perpixel.ops.receptive_field import Layer

LENGTH = 360


class Way(NamedTuple):
    """One layer: on values, and on what is seen."""

    run: Callable[[torch.Tensor], torch.Tensor]
    follow: Callable[[Seen], Seen]


def convolve(kernel: int, stride: int, padding: int, dilation: int) -> Way:
    weight = torch.ones(1, 1, kernel)
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    return Way(
        lambda values: functional.conv1d(values, weight, **options),
        lambda seen: windowed(seen, Layer(kernel, stride, padding, dilation)),
    )


def deconvolve(kernel: int, stride: int, padding: int) -> Way:
    weight = torch.ones(1, 1, kernel)
    return Way(
        lambda values: functional.conv_transpose1d(values, weight, stride=stride, padding=padding),
        lambda seen: deconvolved(seen, Layer(kernel, stride, padding)),
    )


def enlarge(factor: int, mode: str) -> Way:
    taps = {"nearest": 1, "linear": 2}[mode]
    corners = False if mode == "linear" else None
    return Way(
        lambda values: functional.interpolate(values, scale_factor=factor, mode=mode, align_corners=corners),
        lambda seen: resized(seen, Fraction(factor), taps),
    )


def cut(start: int, step: int) -> Way:
    return Way(lambda values: values[..., start::step], lambda seen: sliced(seen, start, step))


def doubled(kernel: int) -> Way:
    """Add to a map what three of its elements make."""
    convolution = convolve(kernel, 1, kernel // 2, 1)
    return Way(lambda values: values + convolution.run(values), lambda seen: joined([seen, convolution.follow(seen)]))


WAYS = st.one_of(
    st.builds(convolve, st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)),
    st.builds(deconvolve, st.integers(2, 5), st.integers(1, 2), st.integers(0, 1)),
    st.builds(enlarge, st.integers(2, 3), st.sampled_from(["nearest", "linear"])),
    st.builds(cut, st.integers(0, 3), st.integers(1, 2)),
    st.builds(doubled, st.sampled_from([1, 3, 5])),
)


@settings(deadline=None, max_examples=60)
@given(ways=st.lists(WAYS, min_size=1, max_size=6), share=st.floats(0.4, 0.6))
def test_it_is_where_the_gradient_is_not_zero(ways: list[Way], share: float) -> None:
    """To the pixel, after any chain of layers down and up, away from the border."""
    image = torch.ones(1, 1, LENGTH, requires_grad=True)
    values, seen = image, Seen()
    for way in ways:
        values, seen = way.run(values), way.follow(seen)
    for index in range(int(share * values.shape[-1]), int(share * values.shape[-1]) + 3):
        first, last = seen.at(index)
        if 0 <= first <= last < LENGTH:
            (gradient,) = torch.autograd.grad(values[0, 0, index], image, retain_graph=True)
            where = gradient[0, 0].nonzero().flatten()
            assert (where.min().item(), where.max().item()) == (first, last)


def test_pooling_what_was_repeated_sees_no_more_than_before() -> None:
    """FRRN: a coarse value is written to every pixel of its cell, and the cell is pooled again."""
    coarse = windowed(Seen(), Layer(16, 16))
    assert windowed(resized(coarse, Fraction(16), taps=1), Layer(16, 16)) == coarse


def test_a_period_is_written_down_once() -> None:
    assert len(resized(Seen(), Fraction(4), taps=1).intervals) == 4
    assert len(windowed(resized(Seen(), Fraction(4), taps=1), Layer(4, 4)).intervals) == 1


@pytest.mark.parametrize(
    ("seen", "size", "stride", "start"),
    [
        (windowed(Seen(), Layer(3, 1, 100)), 3, 1, -99),
        (windowed(Seen(), Layer(11, 4)), 11, 4, 5),
        (deconvolved(windowed(Seen(), Layer(32, 32)), Layer(64, 32)), 64, 1, -16),
        (resized(windowed(Seen(), Layer(1, 8)), Fraction(8), corners=True), 9, 1, 0),
        (resized(Seen(), Fraction(1, 2)), 2, 2, 0.5),
        (resized(Seen(), Fraction(3, 4)), 2, Fraction(4, 3), None),
    ],
)
def test_size_stride_and_start_are_those_of_an_average_element(
    seen: Seen, size: int, stride: Fraction, start: float | None
) -> None:
    assert (seen.size, seen.stride) == (size, stride)
    assert start is None or seen.start == start


def test_an_output_that_nothing_reaches_sees_nothing() -> None:
    holes = deconvolved(Seen(), Layer(1, 2))
    assert holes.size == 1
    assert windowed(holes, Layer(2)).size == 1
