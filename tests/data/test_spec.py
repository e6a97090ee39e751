"""dataset.yaml: what it may say, and what its errors say."""

from pathlib import Path

import pytest
import yaml

from perpixel.data.spec import DatasetSpec, parse_color
from perpixel.errors import DataError

CONTRACT = """\
name: camvid
images: images/{split}
masks: masks/{split}
splits: [train, val]
classes: [sky, building]
colors: [[128,128,128], [128, 0, 0]]
ignore: [11]
mask_values: {0: sky, 255: building}
encoding: index
"""


def test_the_contracts_example_is_read(tmp_path: Path):
    (tmp_path / "dataset.yaml").write_text(CONTRACT)
    spec = DatasetSpec.load(tmp_path / "dataset.yaml")
    assert spec.splits == ("train", "val")
    assert spec.colors == ((128, 128, 128), (128, 0, 0))
    assert spec.mask_values == {0: "sky", 255: "building"}
    assert spec.ignore == (11,)


@pytest.mark.parametrize("splits", [{"train": "train.txt", "val": "val.txt"}, {"val": 0.2}, ["train"]])
def test_splits_may_be_lists_words_or_shares(splits: object):
    spec = DatasetSpec.parse({"classes": ["a", "b"], "splits": splits})
    assert spec.splits == (tuple(splits) if isinstance(splits, list) else splits)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path):
    spec = DatasetSpec.parse(
        yaml.safe_load(CONTRACT)
        | {"exclude": ["train/07"], "mean": [1.5, 2, 3], "std": [1, 1, 1], "pixel_counts": [10**12, 3]}
    )
    spec.save(tmp_path / "d.yaml")
    assert DatasetSpec.load(tmp_path / "d.yaml") == spec
    assert [path.name for path in tmp_path.iterdir()] == ["d.yaml"]


def test_colours_and_label_names_survive_saving(tmp_path: Path):
    values = {"0,0,70": "car", "#ffffff": None, "128,64,128": "road"}
    spec = DatasetSpec(classes=("car", "road"), encoding="rgb", mask_values=values, ignore=((0, 0, 0),))
    spec.save(tmp_path / "d.yaml")
    assert DatasetSpec.load(tmp_path / "d.yaml") == spec


def test_the_file_reads_like_the_contract():
    text = DatasetSpec.parse(yaml.safe_load(CONTRACT)).to_yaml()
    assert text.startswith("# ")
    assert [line.partition(":")[0] for line in text.splitlines() if line[0] != "#"] == [
        "name",
        "images",
        "masks",
        "splits",
        "classes",
        "colors",
        "ignore",
        "mask_values",
        "encoding",
    ]
    assert "mask_values: {0: sky, 255: building}\n" in text
    assert "splits: [train, val]\n" in text
    assert "images: images/{split}\n" in text


def test_long_lists_are_wrapped_and_read_again(tmp_path: Path):
    names = tuple(f"class number {i}" for i in range(200))
    spec = DatasetSpec(classes=names, mask_values={2 * i: name for i, name in enumerate(names)})
    spec.save(tmp_path / "d.yaml")
    assert max(map(len, (tmp_path / "d.yaml").read_text().splitlines())) < 125
    assert DatasetSpec.load(tmp_path / "d.yaml") == spec


def test_mask_values_name_the_classes_where_nothing_else_does():
    spec = DatasetSpec.parse({"mask_values": {0: "membrane", 255: "cell", 7: None}})
    assert spec.classes == ("membrane", "cell")


def test_a_colour_is_given_in_three_ways():
    assert parse_color([1, 2, 3]) == parse_color("1,2,3") == parse_color("#010203") == (1, 2, 3)


ERRORS = {
    "unknown key": ({"clases": ["a"]}, r"got 'clases'\. Did you mean 'classes'\? Known: name, images"),
    "no classes": ({}, r"expected classes, got nothing\. Add `classes: \[name, name, …\]`"),
    "empty classes": ({"classes": []}, r"classes: expected 1 to 255 names, got 0"),
    "many classes": ({"classes": [f"c{i}" for i in range(256)]}, r"classes: expected 1 to 255 names, got 256"),
    "twice": ({"classes": ["a", "a"]}, r"classes: expected each name once, got a twice"),
    "yes and no": ({"classes": ["off", True]}, r"classes: expected names, got true\. Put quotes around yes"),
    "encoding": ({"classes": ["a"], "encoding": "png"}, r"encoding: expected 'index', .*'cvat', got 'png'"),
    "share": ({"classes": ["a"], "splits": {"val": 20}}, r"splits: expected a share between 0 and 1 for val, got 20"),
    "colour": ({"classes": ["a"], "colors": [[0, 0, 256]]}, r"colors\.0: expected a colour like .* got \[0, 0, 256\]"),
    "colours": ({"classes": ["a", "b"], "colors": [[0, 0, 0]]}, r"colors: expected 2, one for each class, got 1"),
    "value's class": (
        {"classes": ["cell", "gap"], "mask_values": {0: "cells"}},
        r"mask_values: expected a name from classes, got 'cells' for 0\. Did you mean 'cell'\?",
    ),
    "class without value": (
        {"classes": ["cell", "gap"], "mask_values": {0: "cell"}},
        r"mask_values: expected a stored value for every class, got none for 'gap'",
    ),
    "ignored class": (
        {"classes": ["sky", "road"], "ignore": [0]},
        r"ignore: expected values that are no class, got 0, which is 'sky'",
    ),
    "large value": ({"classes": ["a"], "ignore": [65536]}, r"whole numbers from 0 to 65535 .*, got 65536"),
    "colour as id": ({"classes": ["a"], "mask_values": {"0,0,0": "a"}}, r"got '0,0,0'\. Use `encoding: rgb`"),
    "id as colour": (
        {"classes": ["a"], "colors": [[1, 1, 1]], "encoding": "rgb", "ignore": [0]},
        r"ignore: expected colours for `encoding: rgb`, got 0\. Write \[0, 0, 0\]",
    ),
    "no colours": (
        {"classes": ["a"], "encoding": "rgb"},
        r"colors: expected a colour for every class, got none for 'a'",
    ),
    "mean": ({"classes": ["a"], "mean": [1.0]}, r"mean: expected 3, one for each channel, got 1"),
    "bits": ({"classes": ["a"], "bits": 12}, r"bits: expected 8 or 16, got 12"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_the_error_names_what_was_expected_and_what_was_found(case: str):
    values, message = ERRORS[case]
    with pytest.raises(DataError, match=message):
        DatasetSpec.parse(values)


def test_all_problems_are_listed_at_once():
    with pytest.raises(DataError) as caught:
        DatasetSpec.parse({"clases": [], "encoding": "png"})
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [a", r"d\.yaml: expected YAML, got something else \(.*line 1"),
        ("- a", r"d\.yaml: expected keys such as `classes:`, got list"),
        ("", r"d\.yaml: expected keys such as `classes:`, got NoneType"),
        ("a: !!python/object/apply:os.system [ls]", r"d\.yaml: expected YAML, got something else"),
    ],
)
def test_a_file_that_is_none_says_so(tmp_path: Path, text: str, message: str):
    (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(DataError, match=message):
        DatasetSpec.load(tmp_path / "d.yaml")


def test_a_missing_file_says_so(tmp_path: Path):
    with pytest.raises(DataError, match=r"gone\.yaml: expected a dataset\.yaml, cannot read it \(No such file"):
        DatasetSpec.load(tmp_path / "gone.yaml")


def test_a_failed_save_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="full"):
        DatasetSpec(classes=("a",)).save(tmp_path / "d.yaml")
    assert list(tmp_path.iterdir()) == []
