"""Folders as people have them, recognised without a word from them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.dataset import Dataset
from perpixel.data.layouts import recognize
from perpixel.data.masks import MaskCoding
from perpixel.data.spec import DatasetSpec
from perpixel.errors import DataError


def fill(root: Path, *names: str) -> Path:
    """Write tiny images; text files get what stands after the '='."""
    for name in names:
        path, _, text = name.partition("=")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if text:
            (root / path).write_text(text.replace(";", "\n"))
        else:
            Image.fromarray(np.zeros((2, 3), np.uint8)).save(root / path)
    return root


LAYOUTS = {
    "flat": (["images/a.jpg", "masks/a.png", "images/b.jpg", "masks/b.png"], "images", "masks", {"val": 0.2}),
    "split below": (
        ["images/train/a.png", "masks/train/a.png", "images/val/b.png", "masks/val/b.png"],
        "images/{split}",
        "masks/{split}",
        ("train", "val"),
    ),
    "split above": (
        ["train/images/a.png", "train/labels/a.png", "valid/images/b.png", "valid/labels/b.png"],
        "{split}/images",
        "{split}/labels",
        {"train": "train", "val": "valid"},
    ),
    "split in the name": (
        ["train_images/a.png", "train_masks/a.png", "val_images/b.png", "val_masks/b.png"],
        "{split}_images",
        "{split}_masks",
        ("train", "val"),
    ),
    "ade20k": (
        [
            "images/training/a.jpg",
            "annotations/training/a.png",
            "images/validation/b.jpg",
            "annotations/validation/b.png",
        ],
        "images/{split}",
        "annotations/{split}",
        {"train": "training", "val": "validation"},
    ),
    "segnet tutorial": (
        ["train/a.png", "trainannot/a.png", "val/b.png", "valannot/b.png", "test/c.png", "testannot/c.png"],
        "{split}",
        "{split}annot",
        ("train", "val", "test"),
    ),
    "camvid": (
        [f"701_StillsRaw_full/0001TP_00{i}.png" for i in range(4)]
        + [f"LabeledApproved_full/0001TP_00{i}_L.png" for i in range(4)],
        "701_StillsRaw_full",
        "LabeledApproved_full/*_L.png",
        {"val": 0.2},
    ),
    "endings in one folder": (
        [f"data/{i}_{kind}" for i in (10, 20, 30) for kind in ("sat.jpg", "mask.png")],
        "data/*_sat.jpg",
        "data/*_mask.png",
        {"val": 0.2},
    ),
    "an ending for masks only, in split folders": (
        [f"{split}/{i}{kind}.png" for split in ("train", "val") for i in (1, 2) for kind in ("", "_mask")],
        "{split}",
        "{split}/*_mask.png",
        ("train", "val"),
    ),
    "beginnings": (
        ["img/image_1.png", "img/image_2.png", "gt/label_1.png", "gt/label_2.png"],
        "img/image_*.png",
        "gt/label_*.png",
        {"val": 0.2},
    ),
    "drive": (
        [
            "training/images/21_training.tif",
            "training/images/22_training.tif",
            "training/1st_manual/21_manual1.gif",
            "training/1st_manual/22_manual1.gif",
        ],
        None,
        None,
        None,
    ),
    "folders within": (
        ["images/x/a.png", "masks/x/a.png", "images/y/a.png", "masks/y/a.png"],
        "images",
        "masks",
        {"val": 0.2},
    ),
    "a folder around it all": (["set/images/a.png", "set/masks/a.png"], "set/images", "set/masks", ("train",)),
    "lists beside flat folders": (
        ["images/a.png", "images/b.png", "masks/a.png", "masks/b.png", "train.txt=a", "val.txt=b"],
        "images",
        "masks",
        {"train": "train.txt", "val": "val.txt"},
    ),
    "voc": (
        ["JPEGImages/a.jpg", "JPEGImages/b.jpg", "JPEGImages/c.jpg"]
        + ["SegmentationClass/a.png", "SegmentationClass/b.png", "SegmentationObject/a.png", "SegmentationObject/b.png"]
        + [f"ImageSets/Segmentation/{name}" for name in ("train.txt=a", "val.txt=b", "test.txt=c")],
        "JPEGImages",
        "SegmentationClass",
        {"train": "ImageSets/Segmentation/train.txt", "val": "ImageSets/Segmentation/val.txt"},
    ),
    "cityscapes": (
        [f"leftImg8bit/{s}/aachen/aachen_00_01_leftImg8bit.png" for s in ("train", "val", "test")]
        + [
            f"gtFine/{s}/aachen/aachen_00_01_gtFine_{kind}.png"
            for s in ("train", "val")
            for kind in ("color", "labelIds", "instanceIds")
        ],
        "leftImg8bit/{split}/*/*_leftImg8bit.png",
        "gtFine/{split}/*/*_gtFine_labelIds.png",
        ("train", "val"),
    ),
    "lists of pairs": (
        ["p/a.png", "q/z.png", "p/b.png", "q/y.png", "train.txt=p/a.png q/z.png", "val.txt=p/b.png\tq/y.png"],
        "",
        "",
        {"train": "train.txt", "val": "val.txt"},
    ),
    "no val but test": (
        [f"{side}/{split}/{i}.png" for side in ("images", "masks") for split in ("train", "test") for i in "ab"],
        "images/{split}",
        "masks/{split}",
        {"train": "train", "test": "test", "val": 0.2},
    ),
    "test without masks": (
        ["images/train/a.png", "masks/train/a.png", "images/val/b.png", "masks/val/b.png", "images/test/c.png"],
        "images/{split}",
        "masks/{split}",
        ("train", "val"),
    ),
}


@pytest.mark.parametrize("case", [case for case in LAYOUTS if LAYOUTS[case][1] is not None])
def test_the_layout_is_recognised(tmp_path: Path, case: str):
    files, images, masks, splits = LAYOUTS[case]
    layout = recognize(fill(tmp_path, *files))
    assert (layout.images, layout.masks, layout.splits) == (images, masks, splits)
    assert all(pair.image != pair.mask for pair in layout.listing.pairs)
    assert layout.notes


@pytest.mark.parametrize("case", [case for case in LAYOUTS if LAYOUTS[case][1] is not None])
def test_a_recognised_layout_can_be_written_down_and_read_again(tmp_path: Path, case: str):
    layout = recognize(fill(tmp_path, *LAYOUTS[case][0]))
    spec = DatasetSpec(images=layout.images, masks=layout.masks, splits=layout.splits, classes=("a",))
    spec.save(tmp_path / "dataset.yaml")
    data = Dataset(DatasetSpec.load(tmp_path / "dataset.yaml"), layout.root)
    assert data.listing.pairs == layout.listing.pairs
    for pair in data.listing.pairs:
        assert data.read(pair)[1].shape == (2, 3)


def test_drives_names_differ_in_a_number_so_two_folders_do_not_match(tmp_path: Path):
    with pytest.raises(DataError, match="expected images and masks that go together"):
        recognize(fill(tmp_path, *LAYOUTS["drive"][0]))


def test_names_within_folders_keep_their_folder(tmp_path: Path):
    layout = recognize(fill(tmp_path, *LAYOUTS["folders within"][0]))
    assert {pair.name for pair in layout.listing.pairs} == {"x/a", "y/a"}


def test_names_are_what_the_stars_stand_for(tmp_path: Path):
    layout = recognize(fill(tmp_path, *LAYOUTS["cityscapes"][0]))
    assert [pair.id for pair in layout.listing.pairs] == ["train/aachen/aachen_00_01", "val/aachen/aachen_00_01"]


def test_cityscapes_with_instances_only_is_read_by_its_thousands(tmp_path: Path):
    files = [name for name in LAYOUTS["cityscapes"][0] if "labelIds" not in name]
    layout = recognize(fill(tmp_path, *files))
    assert layout.encoding == "instance"


def test_folders_that_are_not_used_are_told_of(tmp_path: Path):
    layout = recognize(fill(tmp_path, *[f"s{i}/{side}/a.png" for i in range(6) for side in ("images", "masks")]))
    assert layout.notes[1] == (
        "Not used, though there are images: s1/images, s1/masks, s2/images and 7 more. See `images` and `masks`."
    )


def test_patterns_take_in_what_recognition_leaves_out(tmp_path: Path):
    fill(tmp_path, *[f"s{i}/{side}/a.png" for i in range(6) for side in ("images", "masks")])
    data = Dataset(DatasetSpec(images="*/images/*.png", masks="*/masks/*.png", classes=("a",)), tmp_path)
    assert [pair.name for pair in data.pairs("train")] == [f"s{i}/a" for i in range(6)]


def test_two_folders_need_no_telling_names(tmp_path: Path):
    fill(tmp_path, "one/a.png", "one/b.png", "two/a.png", "two/b.png")
    layout = recognize(tmp_path / "one", tmp_path / "two")
    assert (layout.root, layout.images, layout.masks) == (tmp_path.resolve(), "one", "two")


def test_two_folders_far_apart_are_joined_at_their_common_folder(tmp_path: Path):
    fill(tmp_path, "x/photos/train/a.png", "y/z/train/a.png", "x/photos/val/b.png", "y/z/val/b.png")
    layout = recognize(tmp_path / "x/photos", tmp_path / "y/z")
    assert (layout.images, layout.masks, layout.splits) == ("x/photos/{split}", "y/z/{split}", ("train", "val"))


def test_two_folders_may_have_misleading_names(tmp_path: Path):
    fill(tmp_path, "labels_of_wine/a.png", "labels_of_wine/b.png", "raw/a.png", "raw/b.png")
    layout = recognize(tmp_path / "labels_of_wine", tmp_path / "raw")
    assert (layout.images, layout.masks) == ("labels_of_wine", "raw")


def test_a_drawn_split_is_announced_and_neighbouring_frames_are_warned_of(tmp_path: Path):
    files = [f"{side}/frame_{i:04}.png" for side in ("images", "masks") for i in range(10)]
    layout = recognize(fill(tmp_path, *files))
    assert layout.notes[-1].startswith("No validation split: 20% of train is drawn for it, the same ones every time.")
    assert "Names are numbered like frames of a video" in layout.notes[-1]
    assert [pair.split for pair in layout.listing.pairs].count("val") == 2


def test_leftovers_are_listed(tmp_path: Path):
    listing = recognize(fill(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/c.png")).listing
    assert [path.name for path in listing.images_without_mask] == ["b.png"]
    assert [path.name for path in listing.masks_without_image] == ["c.png"]


def test_a_folder_that_means_nothing_says_what_was_seen(tmp_path: Path):
    fill(tmp_path, "photos/a.png", "photos/b.png")
    message = r"found none \(photos: 2 images\)\. Put them in images/ and masks/ .*IMAGES MASKS.*dataset\.yaml"
    with pytest.raises(DataError, match=message):
        recognize(tmp_path)


def test_two_folders_that_do_not_match_show_some_names(tmp_path: Path):
    fill(tmp_path, "one/cat.png", "two/7.png")
    with pytest.raises(DataError, match=r"Images: cat\.png\. Masks: 7\.png\. A mask needs its image's name"):
        recognize(tmp_path / "one", tmp_path / "two")


def test_a_missing_folder_or_a_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"expected a folder, found nothing at .*gone\. Check the path"):
        recognize(tmp_path / "gone")
    with pytest.raises(DataError, match=r"expected a folder, found a file at .*a\.png"):
        recognize(fill(tmp_path, "a.png") / "a.png")


def test_a_recognised_layout_has_a_coding(tmp_path: Path):
    layout = recognize(fill(tmp_path, *LAYOUTS["flat"][0]))
    spec = DatasetSpec(images=layout.images, masks=layout.masks, splits=layout.splits, classes=("a",))
    assert MaskCoding.from_spec(spec).num_classes == 1
