"""Class names are found however people write them down."""

from pathlib import Path

import pytest

from perpixel.data.inspection.names import find_class_list, read_class_list

SKY_CAR = {0: "sky", 1: "car"}
COLORS = [(1, 2, 3), (4, 5, 6)]
ROWS = [
    ("classes.txt", "sky\ncar\n", {0: "sky", 1: "car"}, None),
    ("classes.txt", "# ours\n\n0: sky\n1: car\n", {0: "sky", 1: "car"}, None),
    ("labels.txt", "1 sky\n2 traffic sign\n", {1: "sky", 2: "traffic sign"}, None),
    ("label_colors.txt", "1 2 3\tsky\n4 5 6 side walk\n", {0: "sky", 1: "side walk"}, COLORS),
    ("class_dict.csv", "name,r,g,b\nsky,1,2,3\ncar,4,5,6\n", SKY_CAR, COLORS),
    ("labelmap.txt", "# label:color:parts:actions\nsky:1,2,3::\ncar:4,5,6::\n", SKY_CAR, COLORS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "listed", "colors"), ROWS)
def test_names_ids_and_colours_are_read(
    tmp_path: Path, name: str, text: str, listed: dict, colors: list | None
) -> None:
    (tmp_path / name).write_text(text)
    found = find_class_list(tmp_path)
    assert found is not None
    assert found.source == name
    assert found.listed == listed
    assert found.colors == (tuple(colors) if colors else None)


def test_a_folder_without_such_a_file_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("sky\n")
    assert find_class_list(tmp_path) is None


def test_a_list_that_names_a_class_twice_is_no_class_list(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0001.png\n0001.png\n")
    assert read_class_list(tmp_path / "labels.txt") is None
