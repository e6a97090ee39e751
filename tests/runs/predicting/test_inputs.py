"""Every image gets a name of its own, and stays inside the output folder."""

import os
from pathlib import Path

import pytest

from perpixel.errors import UsageError
from perpixel.runs.predicting.inputs import find_inputs
from tests.labelled import write_images


def names(words: list[str], out: Path) -> dict[str, str]:
    return {item.name: item.source.name for item in find_inputs(words, out)[0]}


def test_a_folder_gives_the_images_in_it_and_below(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "a.png", "sub/b.jpg", ".hidden/c.png")
    (tmp_path / "in/notes.txt").write_text("no image")
    assert names([str(tmp_path / "in")], tmp_path / "out") == {"a": "a.png", "sub/b": "b.jpg"}


def test_a_pattern_gives_what_it_matches_below_its_fixed_part(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "a.png", "b.jpg", "sub/c.png")
    assert names([str(tmp_path / "in/*.png")], tmp_path / "out") == {"a": "a.png"}
    assert names([str(tmp_path / "in/**/*.png")], tmp_path / "out") == {"a": "a.png", "sub/c": "c.png"}


def test_a_file_named_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    write_images(tmp_path, "photo[1].png")
    assert names([str(tmp_path / "photo[1].png")], tmp_path / "out") == {"photo[1]": "photo[1].png"}


def test_files_of_one_stem_keep_their_suffixes(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "x.png", "x.jpg", "y.png")
    found = names([str(tmp_path / "in")], tmp_path / "out")
    assert found == {"x.jpg": "x.jpg", "x.png": "x.png", "y": "y.png"}


def test_names_that_differ_only_in_case_are_told_apart(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "x.png", "X.jpg")
    found = names([str(tmp_path / "in")], tmp_path / "out")
    assert len({name.casefold() for name in found}) == 2


def test_files_of_one_stem_from_two_folders_keep_their_folders(tmp_path: Path) -> None:
    write_images(tmp_path, "one/x.png", "two/x.png", "two/y.png")
    found = names([str(tmp_path / "one"), str(tmp_path / "two")], tmp_path / "out")
    assert found == {"one/x": "x.png", "two/x": "x.png", "y": "y.png"}


def test_an_image_named_like_an_overlay_keeps_its_suffix(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "a.png", "a.overlay.png")
    assert set(names([str(tmp_path / "in")], tmp_path / "out")) == {"a", "a.overlay.png"}


def test_a_file_given_twice_is_one_input(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "a.png")
    assert len(find_inputs([str(tmp_path / "in"), str(tmp_path / "in/a.png")], tmp_path)[0]) == 1


def test_earlier_predictions_below_the_input_folder_are_no_inputs(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png", "out/a.png")
    assert names([str(tmp_path)], tmp_path / "out") == {"a": "a.png"}


def test_the_output_folder_must_not_be_the_input_folder(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png")
    with pytest.raises(UsageError, match="another folder"):
        find_inputs([str(tmp_path)], tmp_path)


def test_names_never_climb_out_of_the_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path, "a.png", "deep/er/b.png")
    monkeypatch.chdir(tmp_path / "deep/er")
    found = find_inputs(["../../a.png", "b.png", os.path.join("..", "er")], tmp_path / "out")[0]
    assert {item.name for item in found} == {"a", "b"}


def test_a_missing_input_is_named_and_the_others_are_found(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png")
    found, failures = find_inputs([str(tmp_path / "a.png"), str(tmp_path / "no.png")], tmp_path / "out")
    assert len(found) == 1
    assert "no.png" in failures[0].source


def test_no_image_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected images, found none"):
        find_inputs([str(tmp_path / "*.png")], tmp_path / "out")


def test_a_pattern_below_a_folder_with_brackets_in_its_name(tmp_path: Path) -> None:
    """Letters in brackets are alternatives to a pattern, unless a folder is called so."""
    folder = write_images(tmp_path / "day [1]", "a.png", "b.png").parent
    found, failed = find_inputs([str(folder / "day [1]/*.png")], tmp_path / "out")
    assert [item.name for item in found] == ["a", "b"]
    assert not failed


def test_a_folder_named_like_an_image_is_a_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "x.png/a.png")
    assert names([str(tmp_path / "in")], tmp_path / "out") == {"x.png/a": "a.png"}


def test_links_to_images_are_images_and_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    write_images(tmp_path, "store/a.png", "store/b.png", "in/c.png")
    (tmp_path / "in/link.png").symlink_to(tmp_path / "store/a.png")
    (tmp_path / "in/folder.png").symlink_to(tmp_path / "store")
    (tmp_path / "in/up").symlink_to(tmp_path / "in")
    assert names([str(tmp_path / "in")], tmp_path / "out") == {"c": "c.png", "link": "link.png"}


def test_a_link_to_itself_is_an_input_that_will_fail_by_name(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "a.png")
    (tmp_path / "in/loop.png").symlink_to("loop.png")
    (tmp_path / "in/gone.png").symlink_to("nowhere.png")
    assert set(names([str(tmp_path / "in")], tmp_path / "out")) == {"a", "loop", "gone"}


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "in", "a.png", "closed/b.png")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found, failures = find_inputs([str(tmp_path / "in")], tmp_path / "out")
    assert [item.name for item in found] == ["a"]
    assert [Path(failure.source).name for failure in failures] == ["closed"]
    assert "Permission denied" in failures[0].reason


def test_the_order_is_that_of_the_paths(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "b.png", "a/z.png", "a.png", "a-b/x.png", "c/d/e.png")
    found = find_inputs([str(tmp_path / "in")], tmp_path / "out")[0]
    assert [item.source.relative_to(tmp_path / "in").as_posix() for item in found] == [
        "a-b/x.png", "a.png", "a/z.png", "b.png", "c/d/e.png",
    ]  # fmt: skip
    assert [item.name for item in found[1:3]] == ["a", "a/z"]


def test_files_of_one_stem_below_a_folder_keep_their_folder_too(tmp_path: Path) -> None:
    write_images(tmp_path / "in", "s/b.png", "s/b.jpg", "t/b.png", "t/b.jpg")
    assert set(names([str(tmp_path / "in")], tmp_path / "out")) == {"s/b.png", "s/b.jpg", "t/b.png", "t/b.jpg"}
