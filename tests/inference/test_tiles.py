"""Tiles cover an image once in total, and blend without a seam."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perpixel.inference.options import Blend
from perpixel.inference.tiles import Span, blend, spans

BLENDS: tuple[Blend, ...] = ("linear", "hann", "mean", "none")


@st.composite
def axes(draw: st.DrawFn, least: int = 1) -> tuple[int, int, int, int]:
    tile = draw(st.integers(least, 40))
    return draw(st.integers(1, 150)), tile, draw(st.integers(0, tile // 2)), draw(st.sampled_from([1, 4, 32]))


@given(axes(), st.sampled_from(BLENDS))
def test_weights_sum_to_one_at_every_pixel(axis: tuple[int, int, int, int], how: Blend) -> None:
    total = np.zeros(axis[0])
    for start, stop, weights in spans(*axis, how):
        total[start:stop] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(axes())
def test_tiles_are_no_longer_than_asked_and_overlap_at_least_as_much(axis: tuple[int, int, int, int]) -> None:
    length, tile, overlap, _ = axis
    parts = spans(*axis)
    assert parts[0].start == 0
    assert parts[-1].stop == length
    assert all(0 < part.stop - part.start <= tile for part in parts)
    for left, right in itertools.pairwise(parts):
        assert left.stop - right.start >= overlap
        assert right.start > left.start


def test_tiles_begin_where_pooling_does() -> None:
    assert all(part.start % 32 == 0 for part in spans(1000, 256, 64, align=32))


def test_the_outer_quarter_of_an_overlap_counts_for_nothing() -> None:
    left, right = spans(12, 8, 4)
    np.testing.assert_allclose(right.weights[:4], [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(left.weights[-4:], [1, 0.75, 0.25, 0])


def test_a_hann_window_rises_as_a_cosine() -> None:
    left, right = spans(12, 8, 4, blend="hann")
    np.testing.assert_allclose(right.weights[:4], [0, 0.5 - 0.5 * np.sqrt(0.5), 0.5 + 0.5 * np.sqrt(0.5), 1], atol=1e-6)
    np.testing.assert_allclose(left.weights[-4:] + right.weights[:4], 1)


def test_no_blending_cuts_in_the_middle_of_the_overlap() -> None:
    left, right = spans(12, 8, 4, blend="none")
    assert right.weights.tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert left.weights.tolist() == [1, 1, 1, 1, 1, 1, 0, 0]


def test_a_mean_counts_every_tile_alike() -> None:
    left, right = spans(12, 8, 4, blend="mean")
    assert right.weights.tolist() == left.weights[::-1].tolist() == [0.5] * 4 + [1] * 4


def valid(part: list[Span], length: int, reach: int) -> np.ndarray:
    """Return where no tile that counts is within `reach` of an edge of its own that is not the image's."""
    exact = np.ones(length, bool)
    for start, stop, weights in part:
        position = np.arange(start, stop)
        near = ((position - start < reach) & (start > 0)) | ((stop - 1 - position < reach) & (stop < length))
        exact[start:stop] &= ~near | (weights == 0)
    return exact


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(24, 60), st.integers(0, 12), st.integers(1, 3), st.data())
def test_tiled_equals_whole_wherever_tiles_see_what_the_whole_sees(
    height: int, width: int, tile: int, overlap: int, reach: int, data: st.DataObject
) -> None:
    """Convolutions without pooling see `reach` pixels; near the image's own edge both see zeros."""
    how = data.draw(st.sampled_from(BLENDS))
    torch.manual_seed(reach)
    network = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(reach))).double()
    image = torch.randn(1, 3, height, width, dtype=torch.float64)
    rows, columns = spans(height, tile, overlap, 1, how), spans(width, tile, overlap, 1, how)
    with torch.inference_mode():
        whole = network(image)[0]
        tiled = torch.full_like(whole, torch.nan)
        for r, c, values in blend(rows, columns, lambda r, c: network(image[:, :, r, c])[0]):
            tiled[:, r, c] = values
    exact = valid(rows, height, reach)[:, None] & valid(columns, width, reach)
    torch.testing.assert_close(tiled[:, exact], whole[:, exact], atol=1e-6, rtol=0)  # weights are float32
    if overlap >= {"linear": 4, "hann": 4, "none": 2}.get(how, 10**9) * (reach + 1):
        assert exact.all()


@pytest.mark.parametrize(("how", "needed"), [("linear", 8), ("hann", 8), ("none", 4)])
def test_an_overlap_of_twice_what_a_network_sees_is_enough_to_cut_and_of_four_times_to_blend(
    how: Blend, needed: int
) -> None:
    """A network that sees 2 pixels around each."""
    assert valid(spans(100, 40, needed, 1, how), 100, 2).all()
    parts = spans(40 + 40 - needed + 2, 40, needed - 2, 1, how)  # two tiles that share two pixels less
    assert not valid(parts, parts[-1].stop, 2).all()


@settings(deadline=None, max_examples=40)
@given(axes(least=4), axes(least=4), st.sampled_from(BLENDS))
def test_blending_parts_of_one_picture_gives_the_picture(
    rows: tuple[int, int, int, int], columns: tuple[int, int, int, int], how: Blend
) -> None:
    picture = torch.rand(2, rows[0], columns[0])
    result = torch.full_like(picture, torch.nan)
    for r, c, values in blend(spans(*rows, how), spans(*columns, how), lambda r, c: picture[:, r, c].clone()):
        assert result[:, r, c].isnan().all()  # each pixel once
        result[:, r, c] = values
    torch.testing.assert_close(result, picture, atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=40)
@given(axes(least=8), axes(least=8), st.integers(0, 150))
def test_what_is_blended_from_a_row_on_is_the_same_to_the_bit(
    rows: tuple[int, int, int, int], columns: tuple[int, int, int, int], first: int
) -> None:
    tall, wide = spans(*rows), spans(*columns)
    noise = torch.rand(len(tall), len(wide), 1, rows[0], columns[0])  # no two tiles agree where they overlap
    tiles = {(r.start, c.start): noise[i, j] for i, r in enumerate(tall) for j, c in enumerate(wide)}
    computed = []

    def compute(r: slice, c: slice) -> torch.Tensor:
        computed.append(r)
        return tiles[r.start, c.start][:, r, c].clone()

    whole, rest = torch.zeros(1, rows[0], columns[0]), torch.zeros(1, rows[0], columns[0])
    for r, c, values in blend(tall, wide, compute):
        whole[:, r, c] = values
    computed.clear()
    for r, c, values in blend(tall, wide, compute, first=first):
        assert r.stop > first
        rest[:, r, c] = values
    assert torch.equal(whole[:, first:], rest[:, first:])
    assert all(r.stop > first for r in computed)


def test_the_overlap_is_carried_where_the_caller_says() -> None:
    carry: dict[int, torch.Tensor] = {}
    parts = spans(40, 16, 4)
    list(blend(parts, parts, lambda r, c: torch.ones(2, r.stop - r.start, c.stop - c.start), carry=carry))
    assert sorted(carry) == list(range(len(parts)))
    assert {part.shape[:2] for part in carry.values()} == {(2, parts[0].stop - parts[1].start)}
