"""What was found for a run is read back as it was written."""

from pathlib import Path

import pytest

from perpixel.crf.options import CrfOptions
from perpixel.errors import RunError
from perpixel.runs.crf.tuned import TUNED, Tuned, load_tuned, read_tuned, write_tuned

OPTIONS = CrfOptions(bilateral=(3, 30.5, 5), spatial=None, iterations=5, normalization="after")


def tuned(before: float = 0.5, after: float = 0.6) -> Tuned:
    return Tuned(OPTIONS, "mean_iou", "train", 40, {"mean_iou": before}, {"mean_iou": after}, "0.1")


def test_numbers_survive_the_file(tmp_path: Path) -> None:
    write_tuned(tmp_path, tuned())
    assert read_tuned(tmp_path) == tuned()
    assert load_tuned(str(tmp_path)) == OPTIONS
    assert [path.name for path in tmp_path.iterdir()] == [TUNED]


def test_a_run_that_was_not_tuned_has_none(tmp_path: Path) -> None:
    assert load_tuned(tmp_path) is None


def test_only_numbers_without_gain_come_with_a_warning() -> None:
    assert tuned().warning is None
    worse = tuned(before=0.6, after=0.59).warning
    assert worse is not None
    assert "60.00 % to 59.00 %" in worse
    assert tuned(before=0.6, after=0.6).warning is not None


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "bilateral: [1, 2, 3]", "bilateral: [1]\nfound: {}", "found: {who: me}", "a: b: c"]
)
def test_a_file_that_was_damaged_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / TUNED).write_text(text)
    with pytest.raises(RunError, match=r"crf\.yaml cannot be read .*`perpixel tune-crf"):
        load_tuned(tmp_path)
