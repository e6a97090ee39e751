"""The contact sheet shows every split, doubtful pairs first, and is written in one step."""

from pathlib import Path

import numpy as np
from PIL import Image

from perpixel.data.inspection import Inspection, inspect
from perpixel.reports.contact_sheet import choose_pairs, draw_contact_sheet, save_contact_sheet


def test_pairs_of_every_split_are_chosen_and_none_twice(inspection: Inspection) -> None:
    chosen = choose_pairs(inspection, 4)
    assert len({pair.id for pair in chosen}) == 4
    assert {pair.split for pair in chosen} == {"train", "val"}


def test_all_pairs_are_shown_where_they_fit(inspection: Inspection) -> None:
    assert len(choose_pairs(inspection, 12)) == 10


def test_a_doubtful_pair_is_always_among_them(data: Path) -> None:
    Image.fromarray(np.zeros((24, 36), np.uint8)).save(data / "masks/train/5.png")
    assert "train/5" in [pair.id for pair in choose_pairs(inspect(data), 3)]


def test_the_sheet_is_coloured_in_the_classes_colours(inspection: Inspection) -> None:
    sheet = np.asarray(draw_contact_sheet(inspection, 4))
    assert sheet.shape[1:] == (1400, 3)
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 1000


def test_the_sheet_is_a_png_and_leaves_nothing_else_behind(inspection: Inspection, tmp_path: Path) -> None:
    path = save_contact_sheet(inspection, tmp_path / "out" / "sheet.png", 2)
    with Image.open(path) as image:
        assert image.format == "PNG"
    assert [found.name for found in path.parent.iterdir()] == ["sheet.png"]
