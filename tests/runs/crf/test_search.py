"""The search finds the top of a hill, keeps every trial, and goes on where it was interrupted."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from perpixel.crf.options import CrfOptions
from perpixel.errors import UsageError
from perpixel.runs.crf.grid import GRIDS, Grid, axes, find_grid, step
from perpixel.runs.crf.search import (
    TRIALS,
    Notebook,
    Search,
    Trial,
    as_tuned,
    search_key,
    shuffle_evenly,
)
from perpixel.training.files import MODEL

TOP = CrfOptions(bilateral=(2.6, 22.0, 7.0), spatial=(2.0, 2.0))
GRID = Grid((2, 4), (15, 30, 60), (4, 8))
KEY = {"weights": "w"}


def hill(crf: CrfOptions | None, images: int) -> dict[str, float | None]:
    """Return a score that falls with the distance from TOP, in ratios; 0.5 without a CRF."""
    if crf is None:
        return {"mean_iou": 0.5}
    assert TOP.bilateral
    assert TOP.spatial
    assert crf.bilateral
    assert crf.spatial
    pairs = zip((*crf.bilateral, *crf.spatial), (*TOP.bilateral, *TOP.spatial), strict=True)
    return {"mean_iou": 0.8 - 0.02 * sum(math.log(value / top) ** 2 for value, top in pairs)}


def counted(score: Callable[..., dict[str, float | None]]) -> tuple[list[int], Callable[..., dict[str, float | None]]]:
    seen: list[int] = []

    def measure(crf: CrfOptions | None, images: int) -> dict[str, float | None]:
        seen.append(images)
        return score(crf, images)

    return seen, measure


def test_the_best_point_is_found_within_a_step_in_every_number(tmp_path: Path) -> None:
    best, before = Search(Notebook.open(tmp_path, KEY), hill, 40).run(GRID, CrfOptions())
    assert before.measures == {"mean_iou": 0.5}
    assert best.images == 40
    assert best.crf is not None
    assert best.crf.bilateral == pytest.approx(TOP.bilateral, rel=0.13)
    assert best.crf.spatial == pytest.approx(TOP.spatial, rel=0.13)


def test_the_grid_sees_a_quarter_of_the_images_and_the_best_of_it_all(tmp_path: Path) -> None:
    seen, score = counted(hill)
    Search(Notebook.open(tmp_path, KEY), score, 40).run(GRID, CrfOptions())
    assert seen[0] == 40
    assert seen[1 : 1 + len(GRID)] == [10] * len(GRID)
    assert set(seen[1 + len(GRID) :]) == {40}


def test_a_rerun_measures_nothing_again_and_finds_the_same(tmp_path: Path) -> None:
    first = Search(Notebook.open(tmp_path, KEY), hill, 40).run(GRID, CrfOptions())
    seen, score = counted(hill)
    assert Search(Notebook.open(tmp_path, KEY), score, 40).run(GRID, CrfOptions()) == first
    assert not seen


@pytest.mark.parametrize("after", [1, 7, 20])
def test_an_interrupted_search_goes_on_and_ends_as_one_that_never_was(tmp_path: Path, after: int) -> None:
    seen, score = counted(hill)

    def stopped(crf: CrfOptions | None, images: int) -> dict[str, float | None]:
        if len(seen) == after:
            raise KeyboardInterrupt
        return score(crf, images)

    with pytest.raises(KeyboardInterrupt):
        Search(Notebook.open(tmp_path, KEY), stopped, 40).run(GRID, CrfOptions())
    assert len(Notebook.open(tmp_path, KEY).trials) == after
    resumed = Search(Notebook.open(tmp_path, KEY), score, 40).run(GRID, CrfOptions())
    (tmp_path / TRIALS).unlink()
    whole, measure = counted(hill)
    assert resumed == Search(Notebook.open(tmp_path, KEY), measure, 40).run(GRID, CrfOptions())
    assert len(seen) == len(whole)


def test_trials_of_other_weights_or_images_are_forgotten(tmp_path: Path) -> None:
    Notebook.open(tmp_path, KEY).add(Trial(None, 3, {"mean_iou": 0.1}))
    assert Notebook.open(tmp_path, {"weights": "other"}).trials == []
    assert len(Notebook.open(tmp_path, KEY).trials) == 1
    (tmp_path / TRIALS).write_text('{"key": 1')
    assert Notebook.open(tmp_path, KEY).trials == []


def test_when_the_time_is_up_one_crf_is_measured_all_the_same(tmp_path: Path) -> None:
    seen, score = counted(hill)
    best, _ = Search(Notebook.open(tmp_path, KEY), score, 40, deadline=0.0).run(GRID, CrfOptions())
    assert seen == [40, 40]
    assert best.crf == CrfOptions()


def test_no_gain_is_a_result(tmp_path: Path) -> None:
    best, before = Search(
        Notebook.open(tmp_path, KEY), lambda crf, images: {"mean_iou": 0.7 if crf is None else 0.6}, 9
    ).run(GRID, CrfOptions())
    tuned = as_tuned(best, before, "mean_iou", "train")
    assert tuned.gain == pytest.approx(-0.1)
    assert tuned.warning is not None


def test_progress_counts_trials_and_knows_the_best(tmp_path: Path) -> None:
    told: list[tuple[int, int, float]] = []
    search = Search(Notebook.open(tmp_path, KEY), hill, 40, advance=lambda *state: told.append(state))
    best, _ = search.run(GRID, CrfOptions())
    assert [done for done, *_ in told] == list(range(1, len(told) + 1))
    assert all(done <= expected for done, expected, _ in told)
    assert told[-1][2] == best.measures["mean_iou"]


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_the_first_few_of_a_shuffle_come_from_all_over(count: int) -> None:
    order = shuffle_evenly(count)
    assert sorted(order) == list(range(count))
    first = sorted(order[: max(1, count // 4)])
    assert all(later - earlier <= 8 for earlier, later in zip(first, [*first[1:], count], strict=True))


def test_grids_are_the_papers() -> None:
    """DeepLab v1, Sec. 5: 2 × 6 × 8 points; v2, Sec. 4.1: 4 × 8 × 4."""
    assert {name: len(grid) for name, grid in GRIDS.items()} == {"quick": 18, "deeplab-v1": 96, "deeplab-v2": 128}
    points = list(GRIDS["deeplab-v1"].points(CrfOptions(spatial=(3, 3))))
    assert points[0].bilateral == (5, 50, 3)
    assert points[-1].bilateral == (10, 100, 10)
    assert {point.spatial for point in points} == {(3, 3)}
    with pytest.raises(UsageError, match="quick, deeplab-v1, deeplab-v2"):
        find_grid("deeplab")


def test_a_step_moves_one_number_of_one_kernel() -> None:
    centre = CrfOptions((4, 50, 5), (3, 3))
    assert axes(centre) == [("bilateral", 0), ("bilateral", 1), ("bilateral", 2), ("spatial", 0), ("spatial", 1)]
    assert step(centre, ("bilateral", 0), 1.5).bilateral == (6, 50, 5)
    assert step(centre, ("spatial", 1), 1 / 1.5).spatial == (3, 2)
    assert len(axes(CrfOptions((4, 50, 5), None))) == 3


def test_the_key_changes_with_weights_and_images(tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(b"one")
    first = search_key(tmp_path, ["a", "b"], "val", {})
    assert first == search_key(tmp_path, ["a", "b"], "val", {})
    assert first != search_key(tmp_path, ["a"], "val", {})
    (tmp_path / MODEL).write_bytes(b"two")
    assert first != search_key(tmp_path, ["a", "b"], "val", {})
    json.dumps(first)
