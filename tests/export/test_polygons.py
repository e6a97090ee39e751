"""Polygons are the pixels, and share their borders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perpixel.data.annotations.shapes import fill_polygon
from perpixel.errors import UsageError
from perpixel.export.crossings import crossing
from perpixel.export.polygons import Outlining, Polygon, find_polygons

IDS = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2))


def polygons(ids: list[list[int]] | np.ndarray, simplify: float = 0, min_area: int = 0) -> list[Polygon]:
    return find_polygons(np.asarray(ids), Outlining(simplify, min_area))


def fill(found: list[Polygon], size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids drawn, and how many polygons lie on each pixel."""
    ids, count = np.full(size, 99), np.zeros(size, int)
    for polygon in found:
        inside = fill_polygon(polygon.outline.astype(float), size)  # type: ignore[arg-type]
        for hole in polygon.holes:
            inside &= ~fill_polygon(hole.astype(float), size)  # type: ignore[arg-type]
        ids[inside] = polygon.label
        count += inside
    return ids, count


@given(IDS)
def test_filled_polygons_are_the_class_ids_again(ids: np.ndarray) -> None:
    drawn, count = fill(polygons(ids), ids.shape)
    assert np.array_equal(drawn, ids)
    assert (count == 1).all()


@given(IDS)
def test_no_ring_meets_itself(ids: np.ndarray) -> None:
    """A region that touches itself by a corner has an outline and a hole that touch there."""
    for polygon in polygons(ids):
        for ring in (polygon.outline, *polygon.holes):
            assert len({tuple(point) for point in _walk(ring)}) == len(_walk(ring))


def _walk(ring: np.ndarray) -> list[tuple[int, int]]:
    """Return every corner that a ring passes, not only where it turns."""
    passed = []
    for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        steps = np.abs(end - start).max()
        passed += [tuple(start + (end - start) * i // steps) for i in range(steps)]
    return passed


@given(IDS)
def test_outlines_run_clockwise_holes_the_other_way_and_pixels_add_up(ids: np.ndarray) -> None:
    found = polygons(ids)
    for polygon in found:
        inside = area(polygon.outline) + sum(area(hole) for hole in polygon.holes)
        assert inside == polygon.pixels
        assert area(polygon.outline) > 0
        assert all(area(hole) < 0 for hole in polygon.holes)
    assert sum(polygon.pixels for polygon in found) == ids.size


def area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def test_a_pixel_is_a_square_between_corners() -> None:
    (polygon,) = polygons([[3]])
    assert polygon.label == 3
    assert polygon.at_border
    assert {tuple(point) for point in polygon.outline} == {(0, 0), (1, 0), (1, 1), (0, 1)}


def test_a_region_with_a_hole_is_one_polygon() -> None:
    ids = np.zeros((5, 5), int)
    ids[2, 2] = 1
    outer, inner = polygons(ids)
    assert len(outer.holes) == 1
    assert {tuple(p) for p in outer.holes[0]} == {tuple(p) for p in inner.outline}
    assert not inner.at_border


def test_two_regions_that_touch_by_a_corner_are_two() -> None:
    assert sorted(polygon.label for polygon in polygons([[1, 0], [0, 1]])) == [0, 0, 1, 1]


def test_holes_that_touch_by_a_corner_are_two_rings() -> None:
    ids = np.ones((4, 4), int)
    ids[1, 1] = ids[2, 2] = 0
    assert len(polygons(ids)[0].holes) == 2


def test_a_staircase_becomes_a_line_and_both_sides_have_the_same_one() -> None:
    ids = np.tril(np.ones((20, 20), int))
    upper, lower = polygons(ids, simplify=1)
    assert len(upper.outline) <= 5
    assert edges(upper) & {(b, a) for a, b in edges(lower)}


def edges(polygon: Polygon) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    return {
        (tuple(a), tuple(b))
        for ring in (polygon.outline, *polygon.holes)
        for a, b in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True)
    }


def blobs(seed: int, size: int = 48, classes: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places, labels = rng.uniform(0, size, (12, 2)), rng.integers(0, classes, 12)
    rows, columns = np.mgrid[:size, :size]
    distance = (rows[..., None] - places[:, 0]) ** 2 + (columns[..., None] - places[:, 1]) ** 2
    return labels[distance.argmin(-1)]


@pytest.mark.parametrize("tolerance", [0.75, 1.5, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_simplified_neighbours_share_every_border(seed: int, tolerance: float) -> None:
    """Each edge is in one ring as it is, and in another the other way round, but on the image's frame."""
    ids = blobs(seed)
    found = polygons(ids, simplify=tolerance)
    every = [edge for polygon in found for edge in edges(polygon)]
    assert len(every) == len(set(every))
    alone = [(a, b) for a, b in every if (b, a) not in every]
    assert all(on_frame(a, b, len(ids)) for a, b in alone)


def on_frame(a: tuple[int, int], b: tuple[int, int], size: int) -> bool:
    return any(a[axis] == b[axis] and a[axis] in (0, size) for axis in (0, 1))


@pytest.mark.parametrize("tolerance", [0.75, 1.5, 3.0])
def test_no_pixel_farther_from_a_border_than_the_tolerance_changes(tolerance: float) -> None:
    ids = blobs(7)
    drawn, count = fill(polygons(ids, simplify=tolerance), ids.shape)
    assert (count == 1).all()
    near = np.zeros(ids.shape, bool)
    for step in (-1, 1):
        for axis in (0, 1):
            shifted = ids
            for _ in range(int(np.ceil(tolerance)) + 1):
                shifted = np.roll(shifted, step, axis)
                near |= shifted != ids
    assert (drawn == ids)[~near].all()
    assert (drawn == ids).mean() > 1 - 0.03 * tolerance


@given(arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 2)), st.floats(1, 9))
def test_simplified_borders_never_cross(ids: np.ndarray, tolerance: float) -> None:
    lines = {tuple(sorted(edge)) for polygon in polygons(ids, simplify=tolerance) for edge in edges(polygon)}
    starts, ends = (np.array([line[side] for line in sorted(lines)]) for side in (0, 1))
    assert not crossing(starts, ends).any()


def test_segments_that_cross_or_touch_are_found_wherever_they_lie() -> None:
    """Against every pair, by the definition."""
    rng = np.random.default_rng(0)
    starts, ends = rng.integers(0, 60, (2, 80, 2))
    ends[:40] = starts[:40] + rng.integers(-4, 5, (40, 2))
    expected = [any(meet(starts[i], ends[i], starts[j], ends[j]) for j in range(80) if j != i) for i in range(80)]
    assert crossing(starts, ends).tolist() == expected
    assert 20 < sum(expected) < 80


def meet(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> int:
        return int(np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])))

    boxes = all(max(min(a[k], b[k]), min(c[k], d[k])) <= min(max(a[k], b[k]), max(c[k], d[k])) for k in (0, 1))
    ends = any((p == q).all() for p in (a, b) for q in (c, d))
    return boxes and not ends and side(a, b, c) * side(a, b, d) <= 0 and side(c, d, a) * side(c, d, b) <= 0


def test_the_more_tolerance_the_fewer_points() -> None:
    counts = [sum(len(p.outline) for p in polygons(blobs(3), simplify=t)) for t in (0, 0.75, 1.5, 3)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 3 * counts[-1]


@given(IDS, st.floats(0.1, 5))
def test_simplifying_anything_gives_outlines_with_an_area(ids: np.ndarray, tolerance: float) -> None:
    for polygon in polygons(ids, simplify=tolerance):
        assert len(polygon.outline) >= 3
        assert area(polygon.outline) > 0


def test_the_image_keeps_its_corners() -> None:
    (polygon,) = polygons(np.zeros((4, 50), int), simplify=10)
    assert {tuple(point) for point in polygon.outline} == {(0, 0), (50, 0), (50, 4), (0, 4)}


def test_an_island_keeps_a_triangle_at_least() -> None:
    ids = np.zeros((30, 30), int)
    ids[10:12, 10:12] = 1
    found = polygons(ids, simplify=9)
    assert [polygon.label for polygon in found] == [0, 1]
    assert {tuple(p) for p in found[0].holes[0]} == {tuple(p) for p in found[1].outline}


@given(IDS, st.integers(2, 12))
def test_small_regions_are_absorbed_and_every_pixel_still_has_a_class(ids: np.ndarray, least: int) -> None:
    found = polygons(ids, min_area=least)
    assert sum(polygon.pixels for polygon in found) == ids.size
    assert all(polygon.pixels >= least for polygon in found) or len(found) == 1


def test_a_speck_goes_to_the_neighbour_it_shares_most_border_with() -> None:
    ids = np.array([[0, 0, 0, 1, 1], [0, 0, 2, 1, 1], [0, 0, 0, 1, 1]])
    drawn, _ = fill(polygons(ids, min_area=2), ids.shape)
    assert drawn[1, 2] == 0


def test_scores_are_the_mean_probability_of_a_regions_class() -> None:
    probabilities = np.array([[[0.9, 0.7, 0.2]], [[0.1, 0.3, 0.8]]], np.float32)
    found = find_polygons(probabilities.argmax(0), probabilities=probabilities)
    assert [polygon.score for polygon in found] == [pytest.approx(0.8), pytest.approx(0.8)]


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected class ids \(H, W\)"):
        find_polygons(np.zeros((2, 2)))
    with pytest.raises(UsageError, match="--simplify"):
        Outlining(simplify=-1)
    with pytest.raises(UsageError, match="--min-area"):
        Outlining(min_area=-1)
