"""Bands around borders, and borders, against the naive loops that define them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from perpixel.metrics import boundary
from perpixel.metrics.boundary import Boundary, bands, border_counts, f_measure
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores

K = 3
IGNORED = 255


def blobs(seed: int, size: tuple[int, int], ignored: bool = True) -> NDArray[np.uint8]:
    """Return ids in patches, some of them ignored."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0, 1, 2, IGNORED], size=(size[0] // 3 + 1, size[1] // 3 + 1), p=(0.4, 0.3, 0.2, 0.1))
    ids = coarse.repeat(3, 0).repeat(3, 1)[: size[0], : size[1]].astype(np.uint8)
    return ids if ignored else np.where(ids == IGNORED, 0, ids).astype(np.uint8)


def naive_band(ids: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    marked = np.zeros(ids.shape, bool)
    for row, column in np.ndindex(*ids.shape):
        square = ids[max(0, row - width) : row + width + 1, max(0, column - width) : column + width + 1]
        marked[row, column] = (square != ids[row, column]).any()
    return marked


def naive_border(ids: NDArray[np.uint8], known: NDArray[np.bool_], index: int) -> list[tuple[int, int]]:
    found = []
    for row, column in np.argwhere((ids == index) & known).tolist():
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            inside = 0 <= r < ids.shape[0] and 0 <= c < ids.shape[1]
            if inside and known[r, c] and ids[r, c] != index:
                found.append((row, column))
                break
    return found


def naive_counts(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], tolerance: float) -> list[list[int]]:
    known, reach = truth < K, tolerance * math.hypot(*truth.shape)
    unknown = [tuple(place) for place in np.argwhere(~known).tolist()]

    def partnered(place: tuple[int, int], others: list[tuple[int, int]]) -> bool:
        return any(math.dist(place, other) <= reach for other in others)

    rows = []
    for index in range(K):
        true, guessed = naive_border(truth, known, index), naive_border(prediction, known, index)
        right = [place for place in guessed if partnered(place, true)]
        wrong = [place for place in guessed if place not in right and not partnered(place, unknown)]
        found = [place for place in true if partnered(place, guessed)]
        rows.append([len(true), len(found), len(right) + len(wrong), len(right)])
    return rows


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), height=st.integers(1, 10), width=st.integers(1, 10))
def test_a_band_holds_the_pixels_with_another_value_in_the_square_around_them(
    seed: int, height: int, width: int
) -> None:
    ids = blobs(seed, (height, width))
    for width_, band in zip((1, 2, 5), bands(ids, (1, 2, 5)), strict=True):
        np.testing.assert_array_equal(band, naive_band(ids, width_))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), height=st.integers(1, 12), width=st.integers(1, 12), tolerance=st.floats(0, 0.4))
def test_border_pixels_are_paired_within_a_disc_as_in_plain_loops(
    seed: int, height: int, width: int, tolerance: float
) -> None:
    truth, prediction = blobs(seed, (height, width)), blobs(seed + 1, (height, width), ignored=False)
    reach = tolerance * math.hypot(height, width)
    assert border_counts(truth, prediction, K, reach).tolist() == naive_counts(truth, prediction, tolerance)


def test_classes_beyond_sixty_four_have_borders_of_their_own() -> None:
    """Sixty-four classes are the bits of one integer; K may be larger."""
    truth = np.arange(130, dtype=np.uint8)[None].repeat(2, 0)
    counts = border_counts(truth, truth, 130, 0.0)
    assert (counts == 2).all()


def test_the_bands_tables_are_those_of_their_pixels() -> None:
    truth, prediction = blobs(1, (20, 24)), blobs(2, (20, 24), ignored=False)
    measured = Boundary(K, widths=(1, 3)).add(truth, prediction)
    for table, width in zip(measured.bands, (1, 3), strict=True):
        inside = naive_band(truth, width) & (truth < K)
        assert table == Confusion(K).add(truth[inside], prediction[inside])


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_a_large_image_is_measured_in_strips_as_it_would_be_whole(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips are at least as tall as what they look at beyond themselves, here 3 rows."""
    pair = blobs(6, (31, 20)), blobs(7, (31, 20), ignored=False)
    whole = Boundary(K, widths=(1, 2), tolerance=0.06).add(*pair)
    monkeypatch.setattr(boundary, "STRIP", 20 * rows)
    cut = Boundary(K, widths=(1, 2), tolerance=0.06).add(*pair)
    assert cut.bands == whole.bands
    assert cut.borders.tolist() == whole.borders.tolist()


def test_a_wide_band_holds_every_labelled_pixel_and_scores_as_the_whole() -> None:
    truth, prediction = blobs(3, (12, 12)), blobs(4, (12, 12), ignored=False)
    scores = Boundary(K, widths=(12,)).add(truth, prediction).scores()[12]
    whole = Scores.from_confusion(Confusion(K).add(truth, prediction))
    assert (scores.mean_iou, scores.pixels) == (whole.mean_iou, whole.pixels)


def test_a_perfect_prediction_has_an_f_of_one_whatever_is_ignored() -> None:
    truth = blobs(5, (20, 24))
    assert Boundary(K).add(truth, np.where(truth == IGNORED, 0, truth)).boundary_f == 1.0


def test_a_border_moved_within_the_tolerance_still_agrees_and_one_further_does_not() -> None:
    """With 4 pixels of tolerance, as nearly SegNet's at 360 × 480."""
    columns = np.arange(60)[None].repeat(40, 0)
    truth, tolerance = (columns >= 30).astype(np.uint8), 4.01 / math.hypot(40, 60)
    near, far = (columns >= 34).astype(np.uint8), (columns >= 35).astype(np.uint8)
    assert Boundary(2, tolerance=tolerance).add(truth, near).boundary_f == 1.0
    assert Boundary(2, tolerance=tolerance).add(truth, far).boundary_f == 0.0


def test_f_is_none_where_nothing_meets_and_zero_where_one_side_has_a_border() -> None:
    flat = np.zeros((8, 8), np.uint8)
    split = flat.copy()
    split[4:] = 1
    assert Boundary(2).add(flat, flat).boundary_f is None
    assert Boundary(2).add(flat, split).boundary_f == 0.0
    assert f_measure((10, 5, 20, 10)) == 0.5  # both are one half


def test_images_add_up_in_any_order() -> None:
    pairs = [(blobs(s, (15, 18)), blobs(s + 9, (15, 18), ignored=False)) for s in range(4)]
    together = Boundary(K)
    for truth, prediction in pairs:
        together.add(truth, prediction)
    parts = [Boundary(K).add(*pair) for pair in pairs]
    total = parts[0] + parts[1] + (parts[2] + parts[3])
    assert total.bands == together.bands
    np.testing.assert_array_equal(total.borders, together.borders)
    assert total.boundary_f == pytest.approx(together.boundary_f)


def test_json_has_a_row_a_width_and_a_row_a_class() -> None:
    document = Boundary(K).add(blobs(1, (20, 20)), blobs(2, (20, 20), ignored=False)).to_json(("a", "b", "c"))
    assert [row["width"] for row in document["trimap"]] == [1, 2, 4, 8]
    assert [row["name"] for row in document["per_class"]] == ["a", "b", "c"]
    assert document["trimap"][0]["pixels"] < document["trimap"][3]["pixels"]
    assert 0 < document["boundary_f"] < 1


@pytest.mark.parametrize("widths", [(), (0, 1), (2, 1), (1, 1)])
def test_widths_must_grow(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="growing widths"):
        Boundary(2, widths=widths)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        Boundary(2).add(np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8))
