"""Splits with few masks: every class is seen, the same seed chooses the same, and nothing is copied."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.dataset import Dataset, open_dataset
from perpixel.data.subset import Choice, choose_masks, write_subset
from perpixel.errors import DataError, UsageError

CLASSES = ("background", "cat", "dog", "owl")


def write(root: Path, count: int = 24, splits: str = "[train, val]") -> Dataset:
    """Write images whose masks show cats often, dogs now and then, owls in every eighth."""
    for number in range(count + 2):
        split = "train" if number < count else "val"
        ids = [0, 1 if number % 2 else 0, 2 if number % 3 == 0 else 0, 3 if number % 8 == 0 else 0]
        for folder, array in (
            ("images", np.full((2, 4, 3), number, np.uint8)),
            ("masks", np.array([ids] * 2, np.uint8)),
        ):
            (root / folder / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / split / f"{number:02}.png")
    (root / "dataset.yaml").write_text(
        f"images: images/{{split}}\nmasks: masks/{{split}}\nsplits: {splits}\nclasses: [{', '.join(CLASSES)}]\n"
    )
    return open_dataset(root)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return write(tmp_path / "zoo")


def names(choice: Choice) -> set[str]:
    return {pair.name for pair in choice.pairs}


def test_every_class_is_in_as_many_masks_as_asked_for(data: Dataset) -> None:
    choice = choose_masks(data, per_class=2)
    assert set(choice.counts) == {"cat", "dog", "owl"}
    assert min(choice.counts.values()) >= 2
    assert len(choice.pairs) <= 6
    assert choice.short == ()


def test_a_smaller_split_is_part_of_a_larger_one_of_the_same_seed(data: Dataset) -> None:
    few, more = (names(choose_masks(data, per_class=n, seed=4)) for n in (1, 3))
    assert few < more
    assert names(choose_masks(data, per_class=3, seed=4)) == more
    assert names(choose_masks(data, per_class=3, seed=5)) != more


def test_so_many_masks_altogether(data: Dataset) -> None:
    choice = choose_masks(data, total=7)
    assert len(choice.pairs) == 7
    assert min(choice.counts.values()) >= 2


def test_a_class_that_is_too_rare_is_named(data: Dataset) -> None:
    choice = choose_masks(data, per_class=5)
    assert choice.short == ("owl",)
    assert choice.counts["owl"] == 3


def test_only_masks_of_the_classes_named_are_kept(data: Dataset) -> None:
    choice = choose_masks(data, classes=["owl"])
    assert names(choice) == {"00", "08", "16"}
    assert choose_masks(data, per_class=2, classes=["owl", "dog"]).counts.keys() == {"dog", "owl"}


def test_a_subset_is_a_data_set_of_its_own_that_refers_to_the_first(data: Dataset, tmp_path: Path) -> None:
    choice = choose_masks(data, per_class=2)
    out = tmp_path / "deep" / "few"
    spec = write_subset(data, choice, out)
    made = open_dataset(out)
    assert {path.name for path in out.iterdir()} == {"dataset.yaml", "tags.csv", "masked.txt"}
    assert made.spec == spec
    assert {pair.name for pair in made.pairs("train")} == names(choice)
    assert [p.name for p in made.pictures("train")] == [p.name for p in data.pictures("train")]
    assert [p.image.resolve() for p in made.pairs("val")] == [p.image.resolve() for p in data.pairs("val")]
    for ours, theirs in zip(made.pictures("train"), data.pictures("train"), strict=True):
        assert (made.tags(ours) == data.tags(theirs)).all(), ours.name
    counts = sum(np.bincount(made.read(pair)[1].ravel(), minlength=4) for pair in made.pairs("train"))
    assert spec.pixel_counts == tuple(np.asarray(counts).tolist())


def test_classes_named_are_all_that_training_sees(data: Dataset, tmp_path: Path) -> None:
    spec = write_subset(data, choose_masks(data, classes=["dog"]), tmp_path / "few", ["dog"])
    assert spec.mask_classes == ("dog",)
    made = open_dataset(tmp_path / "few")
    assert {int(i) for pair in made.pairs("train") for i in np.unique(made.read(pair)[1])} <= {0, 2, 255}
    assert {int(i) for p in made.pictures("train") for i in np.flatnonzero(made.tags(p))} == {1, 2, 3}


def test_a_drawn_validation_split_stays_as_it_is(tmp_path: Path) -> None:
    data = write(tmp_path / "zoo", splits="{train: train, val: 0.25}")
    write_subset(data, choose_masks(data, per_class=1), tmp_path / "few")
    made = open_dataset(tmp_path / "few")
    assert [pair.name for pair in made.pairs("val")] == [pair.name for pair in data.pairs("val")]


def test_a_subset_of_a_subset_keeps_to_the_masks_that_are_left(data: Dataset, tmp_path: Path) -> None:
    write_subset(data, choose_masks(data, per_class=3), tmp_path / "few")
    few = open_dataset(tmp_path / "few")
    write_subset(few, choose_masks(few, per_class=1), tmp_path / "deep" / "fewer")
    fewer = open_dataset(tmp_path / "deep" / "fewer")
    assert {p.name for p in fewer.pairs("train")} < {p.name for p in few.pairs("train")}
    assert len(fewer.pictures("train")) == 24


def test_a_folder_with_other_things_is_left_alone(data: Dataset, tmp_path: Path) -> None:
    choice = choose_masks(data, per_class=1)
    with pytest.raises(UsageError, match="expected another folder than the data's own"):
        write_subset(data, choice, data.root)
    own = tmp_path / "own"
    own.mkdir()
    for name in ("dataset.yaml", "tags.csv", "masked.txt"):
        (own / name).write_text("written by hand\n")
    with pytest.raises(UsageError, match="expected a new folder, or an earlier subset's"):
        write_subset(data, choice, own)
    assert {path.read_text() for path in own.iterdir()} == {"written by hand\n"}
    write_subset(data, choice, tmp_path / "few")
    write_subset(data, choice, tmp_path / "few")


def test_masks_that_are_hidden_stay_hidden(data: Dataset, tmp_path: Path) -> None:
    write_subset(data, choose_masks(data, classes=["cat", "dog"]), tmp_path / "few", ["cat", "dog"])
    few = open_dataset(tmp_path / "few")
    with pytest.raises(UsageError, match=r"got 'owl', which .mask_classes. in dataset\.yaml"):
        choose_masks(few, classes=["cat", "owl"])


@pytest.mark.parametrize("name", ["#1", " one", "train"])
def test_images_of_any_name_keep_their_masks(tmp_path: Path, name: str) -> None:
    data = write(tmp_path / "zoo")
    for folder in ("images", "masks"):
        (tmp_path / "zoo" / folder / "train/00.png").rename(tmp_path / "zoo" / folder / f"train/{name}.png")
    data = open_dataset(tmp_path / "zoo")
    choice = choose_masks(data, classes=["owl"])
    write_subset(data, choice, tmp_path / "few")
    assert {pair.name for pair in open_dataset(tmp_path / "few").pairs("train")} == names(choice) == {name, "08", "16"}


def test_a_name_that_no_file_of_tags_can_hold_is_refused_before_anything_is_written(
    data: Dataset, tmp_path: Path
) -> None:
    strange = Dataset(data.spec.model_copy(update={"classes": ("background", "cat;dog", "dog", "owl")}), data.root)
    with pytest.raises(DataError, match="a file of tags can hold, got 'cat;dog'"):
        write_subset(strange, choose_masks(strange, per_class=1), tmp_path / "few")
    assert not (tmp_path / "few").exists()


def test_lists_of_paths_cannot_be_followed_from_elsewhere(data: Dataset, tmp_path: Path) -> None:
    (data.root / "train.txt").write_text(
        "images/train/00.png masks/train/00.png\nimages/train/01.png masks/train/01.png\n"
    )
    listed = data.spec.model_copy(update={"splits": {"train": "train.txt", "val": "val"}})
    other = Dataset(listed, data.root)
    with pytest.raises(DataError, match="Lists of paths cannot be followed from another folder"):
        write_subset(other, choose_masks(other, per_class=1), tmp_path / "few")
    assert list((tmp_path / "few").iterdir()) == [], "nothing half done is left"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected how many masks to keep"),
        ({"per_class": 1, "total": 1}, "got both"),
        ({"per_class": 0}, "expected --masks-per-class of 1 or more, got 0"),
        ({"total": 1, "classes": ["dgo"]}, "got 'dgo'. Did you mean 'dog'"),
        ({"total": 1, "classes": ["background"]}, "got 'background'"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(data: Dataset, arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_masks(data, **arguments)


def test_masks_without_any_class_cannot_be_chosen(tmp_path: Path) -> None:
    data = write(tmp_path / "zoo")
    for path in (tmp_path / "zoo" / "masks" / "train").iterdir():
        Image.fromarray(np.zeros((2, 4), np.uint8)).save(path)
    with pytest.raises(DataError, match="expected training masks that show a class, got none of 24"):
        choose_masks(data, per_class=1)
