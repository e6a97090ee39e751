"""Files of tags: how images and classes are named in them, and what is wrong with them."""

from pathlib import Path

import pytest

from perpixel.data.pairs import Picture
from perpixel.data.tags import Tags, format_tags, read_tags, split_words
from perpixel.errors import DataError

CLASSES = ("background", "cat", "dog", "traffic light")


def read(root: Path, text: str, names: str = "train/a train/b val/b val/c") -> Tags:
    pictures = []
    for name in names.split():
        split, stem = name.split("/")
        pictures.append(Picture(stem, split, root / "images" / split / f"{stem}.jpg", None))
    (root / "tags.csv").write_text(text)
    return read_tags(root / "tags.csv", root, pictures, CLASSES)


@pytest.mark.parametrize(
    "name", ["train/a", "a", "a.jpg", "images/train/a.jpg", "train/a.jpg", "./a.jpg", "images\\train\\a.jpg"]
)
def test_an_image_is_named_by_its_split_its_name_or_its_file(tmp_path: Path, name: str) -> None:
    tags = read(tmp_path, f"image,tags\n{name},dog cat\n")
    assert tags.held == {"train/a": (1, 2)}
    assert tags.faults == ()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("cat dog", ("cat", "dog")),
        ("traffic light; cat", ("traffic light", "cat")),
        ("traffic light", ("traffic light",)),
        ("cat;", ("cat",)),
        ("", ()),
    ],
)
def test_names_stand_between_spaces_or_semicolons(words: str, names: tuple[str, ...]) -> None:
    assert split_words(words, CLASSES) == names


@pytest.mark.parametrize(
    "text",
    ["image,tags\na,cat,traffic light\n", "image,tags,notes,tag 2\na,cat,blurry,traffic light\n",
     "image;tags\na;cat;traffic light\n", "image\ttags\na\tcat; traffic light\n",
     "\ufeffImage, Tags\r\na,cat; traffic light\r\n\r\n"],
)  # fmt: skip
def test_spreadsheets_save_tables_in_several_ways(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).held == {"train/a": (1, 3)}


def test_an_empty_field_says_that_no_class_is_there(tmp_path: Path) -> None:
    assert read(tmp_path, "image,tags\na,\n").of("train/a") == ()
    assert read(tmp_path, "image,tags\na\n").of("val/c") is None


def test_an_unknown_class_names_the_line_and_the_nearest_class(tmp_path: Path) -> None:
    tags = read(tmp_path, "image,tags\na,cat\nc,dgo cat\n")
    with pytest.raises(DataError, match=r"tags.csv, line 3 \(c\): tagged 'dgo', which is no class. Did you mean 'dog'"):
        tags.require()


def test_a_name_of_several_splits_says_which_it_may_be(tmp_path: Path) -> None:
    tags = read(tmp_path, "image,tags\nb,cat\n")
    with pytest.raises(DataError, match=r"line 2 \(b\): the image may be train/b or val/b. Say which: train/b"):
        tags.require()


def test_a_line_without_its_image_is_left_out_by_name(tmp_path: Path) -> None:
    tags = read(tmp_path, "image,tags\nzebra,cat\na,dog\n")
    tags.require()
    assert tags.held == {"train/a": (2,)}
    assert [(f.kind, f.line, f.message) for f in tags.faults] == [
        ("tags without image", "tags.csv, line 2 (zebra)", "there is no such image")
    ]


def test_lines_that_disagree_are_refused_and_equal_ones_count_once(tmp_path: Path) -> None:
    same = read(tmp_path, "image,tags\na,cat dog\ntrain/a,dog cat\n")
    same.require()
    assert [fault.kind for fault in same.faults] == ["tags twice"]
    with pytest.raises(DataError, match=r"line 3 \(train/a\): train/a has a line already, 2, which says otherwise"):
        read(tmp_path, "image,tags\na,cat\ntrain/a,dog\n").require()


def test_every_fault_is_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got 2 that do not") as caught:
        read(tmp_path, "image,tags\na,catt\nc,dogg\n").require()
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("text", ["", "a,cat\n", "name,labels\na,cat\n"])
def test_the_first_line_names_the_columns(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="expected a first line `image,tags`"):
        read(tmp_path, text)


def test_a_missing_file_is_named_with_the_key_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"table of tags at .*tags.csv.*Correct `tags` in dataset.yaml"):
        read_tags(tmp_path / "tags.csv", tmp_path, (), CLASSES)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rows = [("train/a", ("cat", "dog")), ("train/b", ()), ("val/c", ("cat", "traffic light"))]
    tags = read(tmp_path, format_tags(rows, CLASSES))
    assert tags.held == {"train/a": (1, 2), "train/b": (), "val/c": (1, 3)}
    assert tags.faults == ()


def test_two_classes_are_not_taken_for_a_third_whose_name_is_both_of_theirs() -> None:
    classes = ("traffic", "light", "traffic light")
    rows = (("a", ("traffic", "light")), ("b", ("traffic light",)), ("c", ("traffic", "traffic light")))
    for row, line in zip(rows, format_tags(rows, classes).splitlines()[1:], strict=True):
        assert split_words(line.partition(",")[2], classes) == row[1]


def test_accents_are_the_same_however_they_are_stored(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("image,tags\nu\u0308ber,cafe\u0301\n", encoding="utf-8")
    picture = Picture("\u00fcber", "train", tmp_path / "\u00fcber.jpg", None)
    tags = read_tags(tmp_path / "tags.csv", tmp_path, [picture], ("background", "caf\u00e9"))
    assert tags.held == {"train/\u00fcber": (1,)}


@pytest.mark.parametrize(
    "text", ['image,tags\nb,dog\n"a,cat\nc,dog\n', 'image,tags\nb,dog\n"a,cat\n' + "c,dog\n" * 30_000]
)
def test_a_quote_gone_astray_is_named_where_it_begins(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"tags.csv, line 3: expected quotes around whole cells"):
        read(tmp_path, text)
