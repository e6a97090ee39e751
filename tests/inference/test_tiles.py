"""Tiles cover an image once in total, and blend without a seam."""

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.inference.tiles import blend, spans


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    tile = draw(st.integers(1, 40))
    return draw(st.integers(1, 150)), tile, draw(st.integers(0, tile // 2)), draw(st.sampled_from([1, 4, 32]))


@given(axes())
def test_weights_sum_to_one_at_every_pixel(axis: tuple[int, int, int, int]) -> None:
    total = np.zeros(axis[0])
    for start, stop, weights in spans(*axis):
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


@settings(deadline=None)
@given(axes(), axes())
def test_blending_parts_of_one_picture_gives_the_picture(
    rows: tuple[int, int, int, int], columns: tuple[int, int, int, int]
) -> None:
    picture = torch.rand(2, rows[0], columns[0])
    result = torch.full_like(picture, torch.nan)
    for r, c, values in blend(spans(*rows), spans(*columns), lambda r, c: picture[:, r, c].clone()):
        assert result[:, r, c].isnan().all()  # each pixel once
        result[:, r, c] = values
    torch.testing.assert_close(result, picture, atol=1e-5, rtol=0)


@given(axes(), axes(), st.integers(0, 150))
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
