"""Which images are pairs, which have tags only, and what an image shows."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.dataset import Dataset, open_dataset
from perpixel.data.masks import IGNORE
from perpixel.errors import DataError

CLASSES = ("background", "cat", "dog")
MASKS = {"a": [0, 1], "b": [0, 2], "c": [1, 2], "d": [0, 0]}  # the ids of each mask's two columns


def write(root: Path, yaml: str = "", tags: str = "", bare: str = "ef") -> Dataset:
    """Write four training pairs, images without a mask, and a validation pair."""
    for split, names in (("train", {**MASKS, **dict.fromkeys(bare)}), ("val", {"v": [1, 2]})):
        for folder in ("images", "masks"):
            (root / folder / split).mkdir(parents=True, exist_ok=True)
        for name, ids in names.items():
            Image.fromarray(np.full((2, 2, 3), 99, np.uint8)).save(root / "images" / split / f"{name}.png")
            if ids is not None:
                Image.fromarray(np.array([ids, ids], np.uint8)).save(root / "masks" / split / f"{name}.png")
    (root / "dataset.yaml").write_text(
        "images: images/{split}\nmasks: masks/{split}\nsplits: [train, val]\n"
        f"classes: [{', '.join(CLASSES)}]\nignore: [255]\n{yaml}"
    )
    if tags:
        (root / "tags.csv").write_text("image,tags\n" + tags)
    return open_dataset(root)


def names(data: Dataset, split: str = "train") -> tuple[str, str]:
    """Return the names of a split's pairs, and of its pictures."""
    return "".join(p.name for p in data.pairs(split)), "".join(p.name for p in data.pictures(split))


def shown(data: Dataset, name: str, split: str = "train") -> list[str]:
    picture = next(p for p in data.pictures(split) if p.name == name)
    return [CLASSES[i] for i in np.flatnonzero(data.tags(picture))]


def test_without_tags_pictures_are_pairs_and_masks_say_what_they_show(tmp_path: Path) -> None:
    data = write(tmp_path)
    assert names(data) == ("abcd", "abcd")
    assert [shown(data, name) for name in "acd"] == [["cat"], ["cat", "dog"], []]


def test_an_image_with_tags_needs_no_mask(tmp_path: Path) -> None:
    data = write(tmp_path, "tags: tags.csv", "e,dog\n")
    assert names(data) == ("abcd", "abcde")
    assert shown(data, "e") == ["dog"]
    assert [p.name for p in data.pictures("train") if p.mask is None] == ["e"]


def test_an_image_with_neither_cannot_be_asked_for_its_tags(tmp_path: Path) -> None:
    data = write(tmp_path, "tags: tags.csv", "e,dog\n")
    (nothing,) = (p for p in data.listing.bare if p.name == "f")
    with pytest.raises(DataError, match="expected tags or a mask for train/f, found neither"):
        data.tags(nothing)


def test_a_mask_decides_over_the_tags(tmp_path: Path) -> None:
    data = write(tmp_path, "tags: tags.csv", "a,dog\ne,dog\n")
    assert shown(data, "a") == ["cat"]


def test_masks_that_are_not_listed_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "masked.txt").write_text("a\ntrain/c\n")
    data = write(tmp_path, "tags: tags.csv\nmasked: masked.txt", "a,cat\nb,cat\n")
    assert names(data) == ("ac", "abc")
    assert shown(data, "b") == ["cat"], "the tag's word, not the hidden mask's"
    assert names(data, "val") == ("v", "v"), "only training masks are hidden"


def test_tags_from_masks_are_read_off_hidden_masks_too(tmp_path: Path) -> None:
    (tmp_path / "masked.txt").write_text("a\n")
    data = write(tmp_path, "tags: from-masks\nmasked: masked.txt")
    assert names(data) == ("a", "abcd")
    assert shown(data, "b") == ["dog"]


def test_the_list_of_masks_names_masks(tmp_path: Path) -> None:
    (tmp_path / "masked.txt").write_text("a\ne\n")
    data = write(tmp_path, "masked: masked.txt")
    with pytest.raises(DataError, match=r"masked.txt: expected names of training images that have a mask, got 'e'"):
        data.pairs("train")


def test_training_sees_only_mask_classes_and_the_background(tmp_path: Path) -> None:
    data = write(tmp_path, "mask_classes: [cat]\n")
    a, b, c, d = (data.read(pair)[1][0].tolist() for pair in data.pairs("train"))
    assert (a, b, c, d) == ([0, 1], [0, IGNORE], [1, IGNORE], [0, 0])
    assert data.read(data.pairs("val")[0])[1][0].tolist() == [1, 2], "validation scores every class"
    assert data.mask_ids == (0, 1)


def test_tags_decide_for_classes_whose_masks_may_not_be_used(tmp_path: Path) -> None:
    data = write(tmp_path, "mask_classes: [cat]\ntags: tags.csv", "b,cat\nc,dog\n")
    assert shown(data, "b") == []
    assert shown(data, "c") == ["cat", "dog"]


def test_the_background_is_the_class_that_says_so(tmp_path: Path) -> None:
    data = write(tmp_path)
    assert (data.background, data.taggable) == (0, (1, 2))
    other = Dataset(data.spec.model_copy(update={"background": "dog"}), data.root)
    assert (other.background, other.taggable) == (2, (0, 1))
    none = Dataset(data.spec.model_copy(update={"classes": ("sky", "cat", "dog")}), data.root)
    assert (none.background, none.taggable) == (None, (0, 1, 2))


def test_excluded_pictures_are_left_out(tmp_path: Path) -> None:
    assert names(write(tmp_path, "tags: tags.csv\nexclude: [train/e, train/a]", "e,dog\nf,\n")) == ("bcd", "bcdf")


def test_the_fingerprint_follows_tags_and_lists(tmp_path: Path) -> None:
    (tmp_path / "masked.txt").write_text("a\n")
    prints = [write(tmp_path).fingerprint()]
    for yaml, tags in (("tags: tags.csv", "e,dog\n"), ("tags: tags.csv", "e,cat\n"), ("masked: masked.txt", ""),
                       ("mask_classes: [cat]", "")):  # fmt: skip
        prints.append(write(tmp_path, yaml, tags).fingerprint())
    assert len(set(prints)) == 5


def test_a_list_may_name_images_without_a_mask_where_there_are_tags(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a\ne.png\n")
    data = write(tmp_path, "tags: tags.csv\n", "e,cat\n")
    listed = data.spec.model_copy(update={"splits": {"train": "train.txt", "val": "val"}})
    assert names(Dataset(listed, tmp_path)) == ("a", "ae")
    with pytest.raises(DataError, match=r"expected names with an image and a mask, got 'e\.png'"):
        Dataset(listed.model_copy(update={"tags": None}), tmp_path).pairs("train")


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("mask_classes: [dgo]", "mask_classes: expected a name from classes, got 'dgo'. Did you mean 'dog'"),
        ("mask_classes: []", "mask_classes: expected at least one class"),
        ("background: sky", "background: expected a name from classes, got 'sky'"),
    ],
)
def test_names_that_are_no_class_are_refused(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(DataError, match=message.replace("[", r"\[")):
        write(tmp_path, yaml)


def test_a_split_drawn_from_train_takes_pairs_only(tmp_path: Path) -> None:
    data = write(tmp_path, "tags: tags.csv", "e,cat\nf,dog\n")
    drawn = Dataset(data.spec.model_copy(update={"splits": {"train": "train", "val": 0.5}}), tmp_path)
    assert len(drawn.pairs("val")) == 2
    assert {p.name for p in drawn.pictures("train")} >= {"e", "f"}
    assert all(p.mask is not None for p in drawn.pictures("val"))


def write_unmasked(root: Path, yaml: str = "splits: {val: 0.25}\n") -> Dataset:
    """Write eight images with tags, and nothing else."""
    (root / "images").mkdir(parents=True)
    for name in "abcdefgh":
        Image.fromarray(np.full((2, 2, 3), 99, np.uint8)).save(root / "images" / f"{name}.png")
    (root / "tags.csv").write_text("image,tags\n" + "".join(f"{name},cat\n" for name in "abcdefgh"))
    (root / "dataset.yaml").write_text(f"images: images\nclasses: [background, cat]\ntags: tags.csv\n{yaml}")
    return open_dataset(root)


def test_tags_need_no_mask_at_all_and_splits_are_then_drawn_from_all_images(tmp_path: Path) -> None:
    data = write_unmasked(tmp_path)
    train, val = (data.examples(split) for split in ("train", "val"))
    assert (len(train), len(val)) == (6, 2)
    assert data.pairs("train") == data.pairs("val") == []
    assert all(data.tags(picture)[1] for picture in (*train, *val))
    assert len(data.fingerprint()) == 16


@pytest.mark.parametrize("masks", ["masks", "outlines/{split}", "outlines/{split}/*_mask.png"])
def test_the_folder_of_masks_may_be_missing_or_empty_where_images_are_tagged(tmp_path: Path, masks: str) -> None:
    data = write_unmasked(tmp_path, f"masks: '{masks}'\n")
    (tmp_path / "masks").mkdir()
    assert names(data) == ("", "abcdefgh")
    with pytest.raises(DataError, match="expected a folder at"):
        Dataset(data.spec.model_copy(update={"tags": "from-masks", "masks": "outlines"}), tmp_path).pairs("train")


def test_a_single_mask_is_not_all_that_a_drawn_split_may_take(tmp_path: Path) -> None:
    data = write_unmasked(tmp_path)
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "masks/a.png")
    data = open_dataset(tmp_path)
    assert len(data.pictures("val")) == 2
    assert len(data.pictures("train")) == 6


def test_examples_are_pairs_where_there_are_any(tmp_path: Path) -> None:
    data = write(tmp_path, "tags: tags.csv", "e,cat\nf,dog\n")
    assert data.examples("train") == data.pairs("train")


def test_photos_beside_labelme_files_may_have_tags_only(tmp_path: Path) -> None:
    for name in "ab":
        Image.fromarray(np.full((4, 4, 3), 99, np.uint8)).save(tmp_path / f"{name}.png")
    shape = {"label": "cat", "points": [[0, 0], [2, 4]], "shape_type": "rectangle"}
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [shape], "imagePath": "a.png"}))
    (tmp_path / "tags.csv").write_text("image,tags\nb,cat\n")
    (tmp_path / "dataset.yaml").write_text(
        "images: .\nmasks: .\nclasses: [background, cat]\nencoding: labelme\ntags: tags.csv\n"
    )
    data = open_dataset(tmp_path)
    assert names(data) == ("a", "ab")
    assert shown(data, "a") == shown(data, "b") == ["cat"]
