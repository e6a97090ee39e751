"""Tags and masks that do not fit one another: each is named, and it is said what is done."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.dataset import open_dataset
from perpixel.data.inspection import Inspection, Problem, inspect
from perpixel.errors import DataError

CLASSES = ("background", "cat", "dog")
MASKS = {"a": (0, 1), "b": (0, 2), "c": (1, 2), "v": (0, 1, 2)}
GOOD = "a,cat\nb,dog\nc,cat dog\ne,cat\nf,\nv,cat dog\n"
YAML = "images: images/{split}\nmasks: masks/{split}\nsplits: [train, val]\nclasses: [background, cat, dog]\n"


def write(root: Path, tags: str = GOOD, yaml: str = "tags: tags.csv\n") -> Path:
    """Write three training pairs, two images without a mask, and a validation pair."""
    for number, name in enumerate("abcefv"):
        split = "val" if name == "v" else "train"
        for folder in ("images", "masks"):
            (root / folder / split).mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(root / "images" / split / f"{name}.png")
        if name in MASKS:
            ids = np.resize(np.repeat(MASKS[name], 8), (8, 8)).astype(np.uint8)
            Image.fromarray(ids).save(root / "masks" / split / f"{name}.png")
    (root / "tags.csv").write_text("image,tags\n" + tags)
    (root / "dataset.yaml").write_text(YAML + yaml)
    return root


def problem(found: Inspection, kind: str) -> Problem:
    (one,) = (p for p in found.problems if p.kind == kind)
    return one


def test_tags_that_fit_are_counted_and_nothing_is_wrong(tmp_path: Path) -> None:
    found = inspect(write(tmp_path))
    assert found.problems == ()
    assert found.to_json()["labels"] == {
        "masks": 4, "tags_only": 2, "neither": 0, "tagged": {"cat": 4, "dog": 3}, "mask_classes": None,
        "source": "tags.csv",
    }  # fmt: skip
    assert found.pairs == 4, "pairs are images with masks, as ever"


def test_a_line_that_names_no_class_counts_as_what_it_says(tmp_path: Path) -> None:
    """Of the classes whose masks may be used the masks tell, of the others the tags alone."""
    yaml = "tags: tags.csv\nmask_classes: [cat]\n"
    found = inspect(write(tmp_path, "a,\nb,\nc,\ne,\nf,\nv,\n", yaml))
    assert found.to_json()["labels"]["tagged"] == {"cat": 3, "dog": 0}


def test_without_tags_only_masks_are_counted(tmp_path: Path) -> None:
    found = inspect(write(tmp_path, yaml=""))
    assert (found.labels.masks, found.labels.tags_only, found.labels.source) == (4, 0, None)
    assert problem(found, "no partner").files == ("images/train/e.png", "images/train/f.png")


def test_tags_of_an_unknown_class_are_fatal_and_the_nearest_is_named(tmp_path: Path) -> None:
    found = inspect(write(tmp_path, GOOD.replace("e,cat", "e,cta")))
    one = problem(found, "unknown tag")
    assert (one.outcome, one.files) == ("fatal", ("tags.csv, line 5 (e)",))
    assert one.message == "tagged 'cta', which is no class"
    assert "Did you mean 'cat'?" in one.fix
    with pytest.raises(DataError, match="which is no class"):
        open_dataset(tmp_path).pictures("train")


def test_lines_with_the_same_fault_are_one_problem(tmp_path: Path) -> None:
    one = problem(inspect(write(tmp_path, GOOD.replace("dog", "dgo"))), "unknown tag")
    assert len(one.files) == 3


def test_an_image_with_neither_tags_nor_mask_is_left_out(tmp_path: Path) -> None:
    found = inspect(write(tmp_path, GOOD.replace("f,\n", "")))
    one = problem(found, "neither tags nor mask")
    assert (one.outcome, one.files) == ("left out", ("images/train/f.png",))
    assert (found.labels.tags_only, found.labels.neither) == (1, 1)
    assert "f" not in [p.name for p in open_dataset(tmp_path).pictures("train")]


def test_a_class_with_masks_but_no_tag_is_named(tmp_path: Path) -> None:
    found = inspect(write(tmp_path, "a,cat\ne,cat\nf,\n"))
    one = problem(found, "class never tagged")
    assert one.message == "no line of tags.csv names dog, and 3 masks show it"
    assert one.outcome == "notice"


def test_tag_and_mask_that_contradict_each_other_are_named_both_ways(tmp_path: Path) -> None:
    found = inspect(write(tmp_path, GOOD.replace("a,cat", "a,dog")))
    both = [p for p in found.problems if p.kind == "tags contradict mask"]
    assert {(p.message, p.files) for p in both} == {
        ("the mask shows cat, and the tags leave it out", ("images/train/a.png",)),
        ("tagged dog, and no pixel of the mask is dog", ("images/train/a.png",)),
    }
    data = open_dataset(tmp_path)
    assert np.flatnonzero(data.tags(data.pairs("train")[0])).tolist() == [1], "the mask is believed"


def test_a_line_for_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    one = problem(inspect(write(tmp_path, GOOD + "zebra,cat\n")), "tags without image")
    assert (one.outcome, one.files, one.message) == (
        "left out",
        ("tags.csv, line 8 (zebra)",),
        "there is no such image",
    )


def test_lines_for_one_image_are_mended_where_they_agree_and_fatal_where_not(tmp_path: Path) -> None:
    assert problem(inspect(write(tmp_path, GOOD + "e,cat\n")), "tags twice").outcome == "mended"
    assert problem(inspect(write(tmp_path, GOOD + "e,dog\n")), "tags twice").outcome == "fatal"


def test_a_missing_file_of_tags_is_fatal(tmp_path: Path) -> None:
    (write(tmp_path) / "tags.csv").unlink()
    one = problem(inspect(tmp_path), "no tags")
    assert one.outcome == "fatal"
    assert "Correct `tags` in dataset.yaml" in one.fix


def test_an_unreadable_image_with_tags_only_is_left_out_by_name(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "images/train/e.png").write_bytes(b"no image")
    found = inspect(tmp_path)
    assert problem(found, "unreadable").files == ("images/train/e.png",)
    assert found.spec.exclude == ("train/e",)
    assert found.labels.tags_only == 1


def test_masks_that_are_not_listed_are_not_looked_at(tmp_path: Path) -> None:
    write(tmp_path, yaml="tags: tags.csv\nmasked: masked.txt\n")
    (tmp_path / "masked.txt").write_text("a\n")
    (tmp_path / "masks/train/b.png").write_bytes(b"no image")
    found = inspect(tmp_path)
    assert found.problems == ()
    assert found.splits == {"train": 1, "val": 1}
    assert found.labels.tags_only == 4


def test_a_class_that_tags_alone_teach_is_not_called_absent(tmp_path: Path) -> None:
    write(tmp_path, yaml="tags: tags.csv\nmasked: masked.txt\n")
    (tmp_path / "masked.txt").write_text("a\n")
    assert [p for p in inspect(tmp_path).problems if p.kind == "class absent"] == []
    (tmp_path / "tags.csv").write_text("image,tags\n" + GOOD.replace("dog", "cat"))
    absent = problem(inspect(tmp_path), "class absent")
    assert absent.message == "no train mask holds dog: it cannot be learned"


def test_contradictions_concern_the_classes_that_masks_may_show(tmp_path: Path) -> None:
    found = inspect(write(tmp_path, GOOD.replace("b,dog", "b,"), "tags: tags.csv\nmask_classes: [cat]\n"))
    assert found.problems == ()
    assert found.labels.mask_classes == ("cat",)
    assert found.spec.pixel_counts is None, "what is hidden must not weigh classes"


def test_a_file_of_tags_that_nobody_asked_for_is_mentioned(tmp_path: Path) -> None:
    (write(tmp_path) / "dataset.yaml").unlink()
    assert any("say `tags: tags.csv`" in note for note in inspect(tmp_path).notes)


def write_unmasked(root: Path, tags: str = GOOD, yaml: str = "") -> Path:
    """Write the same images, as grey ones of 16 bits, and not one mask."""
    write(root, tags, "tags: tags.csv\n" + yaml)
    for file in (root / "masks").rglob("*.png"):
        file.unlink()
    for number, file in enumerate(sorted((root / "images").rglob("*.png"))):
        levels = np.random.default_rng(number).integers(0, 2**16, (8, 8)).astype(np.uint16)
        Image.fromarray(levels).save(file)
    return root


def test_tags_without_a_single_mask_are_fine(tmp_path: Path) -> None:
    found = inspect(write_unmasked(tmp_path))
    assert found.problems == ()
    assert (found.pairs, found.splits, found.used) == (0, {"train": 5, "val": 1}, ())
    assert (found.labels.masks, found.labels.tags_only, found.labels.tagged) == (0, 6, {"cat": 4, "dog": 3})
    assert (found.spec.channels, found.spec.bits) == (1, 16)
    assert found.sizes == {"8x8": 6}
    assert found.spec.pixel_counts is None
    assert found.spec.mean is not None
    assert 20_000 < found.spec.mean[0] < 45_000


def test_without_masks_images_are_checked_all_the_same(tmp_path: Path) -> None:
    write_unmasked(tmp_path, GOOD.replace("f,\n", ""))
    (tmp_path / "images/train/e.png").write_bytes(b"no image")
    (tmp_path / "images/val/v.png").write_bytes((tmp_path / "images/train/a.png").read_bytes())
    found = inspect(tmp_path)
    assert problem(found, "unreadable").files == ("images/train/e.png",)
    assert problem(found, "duplicate across splits").files == ("images/train/a.png", "images/val/v.png")
    assert problem(found, "neither tags nor mask").files == ("images/train/f.png",)
    assert sorted(found.spec.exclude) == ["train/a", "train/e"]
    assert (found.splits, found.labels.tags_only) == ({"train": 2, "val": 1}, 3)


def test_a_class_that_neither_tag_nor_mask_teaches_is_called_absent(tmp_path: Path) -> None:
    found = inspect(write_unmasked(tmp_path, GOOD.replace("dog", "cat")))
    absent = problem(found, "class absent")
    assert absent.message == "no train image is tagged dog: it cannot be learned"


def test_without_masks_bad_tags_are_fatal_and_say_why(tmp_path: Path) -> None:
    found = inspect(write_unmasked(tmp_path, "a,cta\n"))
    assert problem(found, "unknown tag").outcome == "fatal"
    (tmp_path / "tags.csv").unlink()
    found = inspect(tmp_path)
    assert {p.kind for p in found.fatal} == {"no pairs", "no tags"}


def test_where_nothing_is_said_of_images_and_tags_the_way_out_is_named(tmp_path: Path) -> None:
    (write_unmasked(tmp_path) / "dataset.yaml").unlink()
    with pytest.raises(DataError, match=r"Tags alone will do: name tags.csv as `tags` there"):
        inspect(tmp_path)


def test_masks_of_the_validation_images_alone_are_fine_too(tmp_path: Path) -> None:
    for file in (write(tmp_path) / "masks/train").iterdir():
        file.unlink()
    found = inspect(tmp_path)
    assert found.fatal == ()
    assert (found.splits["val"], found.labels.tags_only, found.spec.pixel_counts) == (1, 5, None)
