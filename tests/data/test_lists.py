"""Lists of names and paths."""

from pathlib import Path

import pytest

from perpixel.data import lists
from perpixel.data.lists import is_list, read_list, resolve_inside, split_line
from perpixel.errors import DataError


@pytest.mark.parametrize(
    "name", ["../x.png", "a/../../x.png", "/x.png", "C:/x.png", "c:x.png", "\\\\host\\x.png", "a\0b"]
)
def test_a_listed_path_must_stay_inside(tmp_path: Path, name: str):
    with pytest.raises(DataError, match=r"list\.txt: expected paths inside .*, got .* Make it relative"):
        resolve_inside(tmp_path, name, Path("list.txt"))


def test_a_link_that_leads_outside_is_outside(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "out").symlink_to(tmp_path)
    with pytest.raises(DataError, match="expected paths inside"):
        resolve_inside(tmp_path / "data", "out/x.png", Path("list.txt"))


def test_a_path_inside_is_tidied(tmp_path: Path):
    assert resolve_inside(tmp_path, "a\\..\\b/c.png", Path("list.txt")) == tmp_path / "b" / "c.png"


def test_a_path_may_start_from_a_folder_below_and_climb_to_its_neighbour(tmp_path: Path):
    found = resolve_inside(tmp_path, "../photos/a.png", Path("a.json"), start=tmp_path / "json")
    assert found == tmp_path / "photos" / "a.png"


def test_empty_lines_comments_and_byte_order_marks_say_nothing(tmp_path: Path):
    (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbfa\r\n\r\n# b\r\n c \r\n")
    assert read_list(tmp_path / "t.txt") == ["a", "c"]


def test_an_enormous_list_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lists, "MAX_LIST_BYTES", 3)
    (tmp_path / "t.txt").write_text("a\nb\nc")
    with pytest.raises(DataError, match=r"t\.txt: expected a list of at most 3 bytes, got more\. Split it"):
        read_list(tmp_path / "t.txt")


@pytest.mark.parametrize("line", ["a b", "a\tb", "a,b", "a; b", "a   b"])
def test_columns_are_parted_as_people_part_them(line: str):
    assert split_line(line) == ["a", "b"]


def test_a_tab_parts_names_with_spaces():
    assert split_line("my a.png\tmy b.png") == ["my a.png", "my b.png"]


def test_lists_are_told_by_their_ending():
    assert [is_list(word) for word in ("train.txt", "a/val.CSV", "train", "v1.0")] == [True, True, False, False]
