"""What is said before a run begins about images and tags that are not used as they stand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.dataset import Dataset, open_dataset
from perpixel.errors import DataError
from perpixel.runs.checks import left_out, require_labels, require_masks, require_splits, tag_remarks
from tests.tiny import write_tiny

TAGS = "image,tags\ntrain/000,square disc\nextra,disc\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Five pairs to train on, one image with tags only, and one with nothing."""
    root = write_tiny(tmp_path / "tiny")
    for name in ("extra", "bare"):
        Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(root / "images" / "train" / f"{name}.png")
    return root


def use_tags(root: Path, tags: str, more: str = "") -> None:
    (root / "tags.csv").write_text(tags)
    with (root / "dataset.yaml").open("a") as file:
        file.write(f"tags: tags.csv\nbackground: ground\n{more}")


def test_data_without_tags_is_trained_on_as_ever(data: Path) -> None:
    dataset = open_dataset(data)
    assert left_out(dataset) == ()
    assert tag_remarks(dataset) == ()
    assert len(dataset.pairs("train")) == len(dataset.pictures("train")) == 5


def test_images_without_a_mask_are_counted(data: Path) -> None:
    use_tags(data, TAGS)
    (remark,) = left_out(open_dataset(data))
    assert remark == "2 training images have no mask that may be used: masks are learned from the other 5."
    assert left_out(open_dataset(data), from_masks=False) == ()


def test_hidden_masks_are_counted_too(data: Path) -> None:
    (data / "masked.txt").write_text("001\n")
    use_tags(data, TAGS, "masked: masked.txt\n")
    assert left_out(open_dataset(data))[0].startswith("6 training images have no mask")


def test_every_departure_from_the_tags_is_said(data: Path) -> None:
    use_tags(data, TAGS.replace("square disc", "square") + "ghost,disc\n")
    lines, neither, contradiction = tag_remarks(open_dataset(data))
    assert lines.startswith("1 lines of tags are left out or count once: tags.csv, line 4 (ghost).")
    assert neither.startswith("1 training images have neither tags nor a mask, and are left out: train/bare.")
    assert contradiction.startswith("1 masks contradict their images' tags, and are believed: train/000.")


def test_tags_that_cannot_be_understood_stop_the_training(data: Path) -> None:
    use_tags(data, TAGS.replace("disc\n", "disk\n"))
    with pytest.raises(DataError, match="Did you mean 'disc'"):
        tag_remarks(open_dataset(data))


def without_masks(root: Path, *splits: str) -> None:
    for split in splits:
        for file in (root / "masks" / split).iterdir():
            file.unlink()


def test_tags_are_enough_to_train_on_and_to_validate_on_but_not_for_all(data: Path) -> None:
    lines = [f"{split}/{number:03},disc\n" for split, count in (("train", 5), ("val", 2)) for number in range(count)]
    use_tags(data, "image,tags\n" + "".join(lines))
    without_masks(data, "val")
    require_splits(open_dataset(data))
    with pytest.raises(DataError, match="no usable masks for fcn8s in val"):
        require_masks(open_dataset(data), "fcn8s")
    without_masks(data, "train")
    require_splits(open_dataset(data))
    with pytest.raises(DataError, match=r"fcn8s learns from masks, and tiny has tags alone.*--model activation-maps"):
        require_masks(open_dataset(data), "fcn8s")


def test_what_has_neither_masks_nor_tags_is_refused(data: Path) -> None:
    use_tags(data, "image,tags\ntrain/000,disc\ntrain/001,square\n")
    without_masks(data, "train", "val")
    with pytest.raises(DataError, match="no usable images in val"):
        require_splits(open_dataset(data))


def test_outlines_need_a_mask_that_shows_a_class_which_masks_may_show(data: Path) -> None:
    use_tags(data, "image,tags\n", "mask_classes: [square, disc]\n")
    require_labels(open_dataset(data), "decouplednet", outlined=True)
    for mask in (data / "masks/train").iterdir():
        Image.fromarray(np.zeros((24, 32), np.uint8)).save(mask)
    require_labels(open_dataset(data), "activation-maps", outlined=False)
    with pytest.raises(DataError, match="masks that show square, disc, for decouplednet to learn outlines from, found"):
        require_labels(open_dataset(data), "decouplednet", outlined=True)


def test_tags_need_a_class_besides_the_background(data: Path) -> None:
    dataset = open_dataset(data)
    alone = Dataset(dataset.spec.model_copy(update={"classes": ("background",)}), dataset.root)
    with pytest.raises(DataError, match="learns which classes an image shows, and background is the only one"):
        require_labels(alone, "activation-maps", outlined=False)
