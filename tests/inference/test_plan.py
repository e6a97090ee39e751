"""Images are cut up when they must be, and no smaller."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.crf.options import PRESETS, CrfOptions
from perpixel.inference.options import Options
from perpixel.inference.plan import CLASS_BYTES, MEMORY, NETWORK_BYTES, plan_areas, plan_tiles
from perpixel.inference.tiles import Span, spans

FIT = 200 * 200 * (NETWORK_BYTES + 5 * CLASS_BYTES)  # bytes of a tile of 200 x 200 with 5 classes


def sides(tiles: list[Span]) -> list[int]:
    return [tile.stop - tile.start for tile in tiles]


def test_what_fits_is_one_tile() -> None:
    rows, columns = plan_tiles((100, 399), Options(), 5, memory=FIT)
    assert (sides(rows), sides(columns)) == ([100], [399])


def test_what_does_not_fit_is_cut_into_parts_that_do() -> None:
    rows, columns = plan_tiles((300, 400), Options(), 5, memory=FIT)
    assert 100 < max(sides(rows) + sides(columns)) <= 200
    assert all(left.stop - right.start >= 100 for left, right in itertools.pairwise(columns))


@pytest.mark.parametrize("greedy", [{"samples": 2}, {"rotations": 7}, {"scales": (1.0, 1.5)}])
def test_what_takes_more_memory_gets_smaller_tiles(greedy: dict[str, object]) -> None:
    rows, _ = plan_tiles((1000, 1000), Options(**greedy), 5, memory=FIT)
    assert max(sides(rows)) < 200
    plain, _ = plan_tiles((1000, 1000), Options(flip=True, rotations=4), 5, memory=FIT)
    assert max(sides(plain)) > max(sides(rows))


def test_tiles_that_are_asked_for_are_taken() -> None:
    rows, columns = plan_tiles((90, 100), Options(tile=(64, 48), overlap=16), 5)
    assert sides(rows) == [64, 58]
    assert max(sides(columns)) == 48


def test_photos_are_refined_as_a_whole() -> None:
    """Twelve megapixels with 12 classes would be too many; DeepLab's 513 x 513 with 21 are few."""
    assert [len(spans) for spans in plan_areas((513, 513), CrfOptions(), 21)] == [1, 1]
    assert [len(spans) for spans in plan_areas((1200, 1600), CrfOptions(), 12)] == [1, 1]


def test_areas_overlap_by_what_the_widest_kernel_reaches() -> None:
    for preset in ("default", "deeplab-v2-resnet101"):
        crf = PRESETS[preset]
        assert crf.bilateral is not None
        rows, _ = plan_areas((9000, 9000), crf, 21)
        overlaps = [left.stop - right.start for left, right in itertools.pairwise(rows)]
        assert min(overlaps) >= 6 * crf.bilateral[1]
        assert max(sides(rows)) ** 2 * (21 * 4) < MEMORY


def test_areas_never_overlap_by_much_more_than_a_third() -> None:
    rows, _ = plan_areas((9000, 9000), CrfOptions(bilateral=(4.0, 900.0, 5.0)), 21)
    overlaps = [left.stop - right.start for left, right in itertools.pairwise(rows)]
    assert max(overlaps) < 0.45 * max(sides(rows))


def test_a_kernel_without_weight_reaches_nowhere() -> None:
    crf = CrfOptions(bilateral=(0.0, 500.0, 5.0), spatial=(3.0, 3.0))
    rows, _ = plan_areas((9000, 9000), crf, 21)
    assert min(left.stop - right.start for left, right in itertools.pairwise(rows)) < 500


@settings(deadline=None)
@given(size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)), overlap=st.sampled_from([None, 0, 40, 200]))
def test_tiles_are_as_few_as_the_largest_would_be_share_enough_and_little_more(
    size: tuple[int, int], overlap: int | None
) -> None:
    memory = (NETWORK_BYTES + 5 * CLASS_BYTES) * 400.0**2
    plans = plan_tiles(size, Options(overlap=overlap), 5, memory=memory)
    asked = min(128 if overlap is None else overlap, 200)
    for length, tiles in zip(size, plans, strict=True):
        assert tiles[0].start == 0
        assert tiles[-1].stop == length
        assert max(tile.stop - tile.start for tile in tiles) <= 400 or size[0] * size[1] <= 400**2
        if len(tiles) > 1:
            assert len(tiles) == len(spans(length, 400, asked, 32))
            shared = [left.stop - right.start for left, right in itertools.pairwise(tiles)]
            assert min(shared) >= asked
            assert sum(shared) <= (len(tiles) - 1) * (asked + 32) + 32
