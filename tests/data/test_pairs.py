"""Which mask belongs to which image, and to which split."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.data.pairs import Listing, Pair, draw_splits, find_files, list_pairs, split_names
from perpixel.data.spec import DatasetSpec
from perpixel.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path, _, text = name.partition("=")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text.replace(";", "\n"))
    return root


def spec(**fields: object) -> DatasetSpec:
    return DatasetSpec.parse({"classes": ["a"]} | fields)


def ids(root: Path, **fields: object) -> list[str]:
    return [pair.id for pair in list_pairs(spec(**fields), root).pairs]


def test_a_mask_has_its_images_name_and_any_ending(tmp_path: Path):
    touch(tmp_path, "images/a.jpg", "images/sub/b.jpg", "masks/a.png", "masks/sub/b.tif", "masks/lone.png")
    assert ids(tmp_path) == ["train/a", "train/sub/b"]


def test_a_words_table_says_what_the_split_is_called_on_disk(tmp_path: Path):
    touch(tmp_path, "images/tr/a.png", "masks/tr/a.png", "images/valid/b.png", "masks/valid/b.png")
    where = {"images": "images/{split}", "masks": "masks/{split}"}
    assert ids(tmp_path, **where, splits={"train": "tr", "val": "valid"}) == ["train/a", "val/b"]


def test_lists_name_stems_files_or_paths(tmp_path: Path):
    touch(tmp_path, *[f"{side}/{name}.png" for side in ("images", "masks") for name in "abcde"])
    touch(
        tmp_path, "t.txt=a;b.png;images/c.png;# a comment;;images/d.png masks/d.png", "v.txt=images/e.png,masks/e.png"
    )
    found = ids(tmp_path, splits={"train": "t.txt", "val": "v.txt"})
    assert found == ["train/a", "train/b", "train/c", "train/images/d", "val/images/e"]


def test_what_no_list_names_is_left_over_but_not_what_another_list_names(tmp_path: Path):
    touch(tmp_path, *[f"{side}/{name}.png" for side in ("images", "masks") for name in "abc"], "t.txt=a", "v.txt=b")
    listing = list_pairs(spec(splits={"train": "t.txt", "val": "v.txt"}), tmp_path)
    assert [path.name for path in (*listing.images_without_mask, *listing.masks_without_image)] == ["c.png", "c.png"]


def test_lines_without_files_are_all_listed(tmp_path: Path):
    touch(tmp_path, "images/a.png", "masks/a.png", "t.txt=a;x;y;z;w")
    with pytest.raises(
        DataError, match=r"t\.txt: expected names with an image and a mask, got 'x', 'y', 'z' and 1 more"
    ) as e:
        ids(tmp_path, splits={"train": "t.txt"})
    assert len(e.value.problems) == 4


def test_two_files_of_one_name_are_a_clash_and_none_is_used(tmp_path: Path):
    touch(tmp_path, "images/a.png", "images/a.jpg", "masks/a.png", "images/b.png", "masks/b.png")
    listing = list_pairs(spec(), tmp_path)
    assert [pair.id for pair in listing.pairs] == ["train/b"]
    assert [[path.name for path in clash] for clash in listing.clashes] == [["a.jpg", "a.png", "a.png"]]


PATTERNS = {
    "*.png": {"a": "a.png"},
    "*_l.*": {"b": "b_l.jpg"},
    "*/*.png": {"x/c": "x/c.png"},
    "**/*.png": {"a": "a.png", "x/c": "x/c.png", "x/y/d": "x/y/d.png"},
    "x/**/d.png": {"y": "x/y/d.png"},
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_name_is_what_the_stars_stand_for(tmp_path: Path, pattern: str):
    touch(tmp_path, "a.png", "b_l.jpg", "x/c.png", "x/y/d.png")
    found = {name: paths[0].relative_to(tmp_path).as_posix() for name, paths in find_files(tmp_path, pattern).items()}
    assert found == PATTERNS[pattern]


def test_odd_letters_in_a_folders_name_are_just_letters(tmp_path: Path):
    touch(tmp_path, "im[1] (a+b)/a_i.png")
    assert list(find_files(tmp_path, "im[1] (a+b)")) == ["a_i"]
    assert list(find_files(tmp_path, "im[1] (a+b)/*_i.png")) == ["a"]


def test_a_list_with_a_path_outside_is_refused(tmp_path: Path):
    touch(tmp_path, "d/images/a.png", "d/masks/a.png", "secret.png", "d/t.txt=../secret.png ../secret.png")
    with pytest.raises(DataError, match=r"t\.txt: expected paths inside"):
        ids(tmp_path / "d", splits={"train": "t.txt"})


MISSING: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (lambda root: ids(root, images="gone"), r"expected a folder at .*gone, found none\. Correct `images`"),
    "pattern": (lambda root: ids(root, images="gone/*.png"), r"expected a folder at .*gone.*, found none"),
    "list": (lambda root: ids(root, splits={"train": "gone.txt"}), r"expected a list of names at .*gone\.txt"),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_is_named(tmp_path: Path, case: str):
    touch(tmp_path, "images/a.png", "masks/a.png")
    call, message = MISSING[case]
    with pytest.raises(DataError, match=message):
        call(tmp_path)


def test_a_list_in_another_encoding_says_so(tmp_path: Path):
    touch(tmp_path, "images/a.png", "masks/a.png")
    (tmp_path / "t.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(DataError, match=r"t\.txt: expected text in UTF-8, got something else"):
        ids(tmp_path, splits={"train": "t.txt"})


def listing(names: list[str]) -> Listing:
    return Listing(tuple(Pair(name, "train", Path(name), Path(name)) for name in names))


@settings(max_examples=30)
@given(st.lists(st.text("abc012", min_size=1, max_size=4), unique=True, min_size=2, max_size=60), st.floats(0.01, 0.9))
def test_a_drawn_split_has_the_share_asked_for_and_train_is_never_empty(names: list[str], share: float):
    drawn = draw_splits(listing(names), {"val": share}).pairs
    count = sum(pair.split == "val" for pair in drawn)
    assert count == min(len(names) - 1, max(1, round(share * len(names))))
    assert sorted(pair.name for pair in drawn) == sorted(names)


@settings(max_examples=30)
@given(st.permutations([f"n{i}" for i in range(30)]))
def test_the_draw_depends_on_the_names_alone(names: list[str]):
    assert draw_splits(listing(names), {"val": 0.2}) == draw_splits(listing(sorted(names)), {"val": 0.2})


def test_several_splits_are_drawn_apart_from_each_other():
    drawn = draw_splits(listing([f"n{i}" for i in range(20)]), {"val": 0.2, "test": 0.1}).pairs
    assert [sum(pair.split == split for pair in drawn) for split in ("train", "val", "test")] == [14, 4, 2]


def test_one_pair_is_never_drawn_away():
    assert draw_splits(listing(["a"]), {"val": 0.5}).pairs[0].split == "train"


def test_train_is_implied_where_only_shares_are_named():
    assert split_names({"val": 0.2}) == ("train", "val")
    assert split_names({"train": "tr", "val": 0.2}) == ("train", "val")
    assert split_names(("train",)) == ("train",)
