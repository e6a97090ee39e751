"""Every way in which data goes wrong is found, named with file, reason and fix, and mended where it can be."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.dataset import Dataset, open_dataset
from perpixel.data.inspection import Inspection, inspect
from perpixel.errors import DataError

SIZE = (24, 32)


def photo(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def mask(seed: int, size: tuple[int, int] = SIZE, ids: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """Return blocks of four by four, every id at least once."""
    blocks = np.random.default_rng(seed).integers(0, len(ids), (size[0] // 4, size[1] // 4))
    blocks.flat[: len(ids)] = range(len(ids))
    return np.array(ids, np.uint8)[blocks.repeat(4, axis=0).repeat(4, axis=1)]


def save(array: np.ndarray, path: Path, **options: object) -> None:
    Image.fromarray(array).save(path, **options)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Make a clean data set: six training pairs, three validation pairs, ids 0 to 2."""
    root = tmp_path / "street"
    for number in range(9):
        split = "train" if number < 6 else "val"
        for side in ("images", "masks"):
            (root / side / split).mkdir(parents=True, exist_ok=True)
        photo(number).save(root / f"images/{split}/{number}.png")
        save(mask(number), root / f"masks/{split}/{number}.png")
    return root


def test_clean_data_has_no_problem(data: Path) -> None:
    found = inspect(data)
    assert found.problems == ()
    assert found.splits == {"train": 6, "val": 3}
    assert found.sizes == {"24x32": 9}
    assert (found.encoding, [share.value for share in found.classes]) == ("index", [0, 1, 2])
    assert sum(share.share for share in found.classes) == pytest.approx(1)


def forget_mask(data: Path) -> None:
    (data / "masks/train/2.png").unlink()


def forget_image(data: Path) -> None:
    (data / "images/val/7.png").unlink()


def shrink_mask(data: Path) -> None:
    save(mask(1, (12, 16)), data / "masks/train/1.png")


def stray_value(data: Path) -> None:
    array = mask(3)
    array[5, 5] = 77
    save(array, data / "masks/train/3.png")


def all_ignored(data: Path) -> None:
    for number in range(6):
        array = mask(number)
        array[0, :] = 255
        save(array, data / f"masks/train/{number}.png")
    save(np.full(SIZE, 255, np.uint8), data / "masks/train/4.png")


def one_class_only(data: Path) -> None:
    save(np.zeros(SIZE, np.uint8), data / "masks/train/4.png")


def truncate_image(data: Path) -> None:
    path = data / "images/train/0.png"
    path.write_bytes(path.read_bytes()[:300])


def text_for_mask(data: Path) -> None:
    (data / "masks/train/0.png").write_text("not an image")


def empty_file(data: Path) -> None:
    (data / "masks/val/8.png").write_bytes(b"")


def turn_photo(data: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (data / "images/train/5.png").unlink()
    photo(5).save(data / "images/train/5.jpg", exif=exif)


def upside_down(data: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    (data / "images/train/5.png").unlink()
    photo(5).save(data / "images/train/5.jpg", exif=exif)


def transparent_image(data: Path) -> None:
    photo(2).convert("RGBA").save(data / "images/train/2.png")


def same_in_both(data: Path) -> None:
    shutil.copy(data / "images/train/2.png", data / "images/val/8.png")


def same_twice(data: Path) -> None:
    shutil.copy(data / "images/train/2.png", data / "images/train/3.png")


def never_in_val(data: Path) -> None:
    for number in (6, 7, 8):
        save(mask(number, ids=(0, 1)), data / f"masks/val/{number}.png")


def never_in_train(data: Path) -> None:
    for number in range(6):
        save(mask(number, ids=(0, 1)), data / f"masks/train/{number}.png")


def grey_among_colour(data: Path) -> None:
    photo(1).convert("L").save(data / "images/train/1.png")


def two_images_one_name(data: Path) -> None:
    photo(1).save(data / "images/train/1.jpg")


def all_alike(data: Path) -> None:
    for path in data.glob("masks/*/*.png"):
        save(np.zeros(SIZE, np.uint8), path)


Case = tuple[Callable[[Path], None], str, str, str, tuple[str, ...]]
CASES: list[Case] = [
    (forget_mask, "no partner", "left out", "the image has no mask", ("images/train/2.png",)),
    (forget_image, "no partner", "left out", "the mask has no image", ("masks/val/7.png",)),
    (shrink_mask, "size differs", "left out", "the image is 24x32, its mask 12x16",
     ("images/train/1.png", "masks/train/1.png")),
    (stray_value, "value outside classes", "mended",
     "value 77 is outside the classes (1 pixels, 0.01%): all other masks hold 0 to 2", ("masks/train/3.png",)),
    (all_ignored, "empty mask", "left out", "every pixel is ignored: nothing to learn from", ("masks/train/4.png",)),
    (one_class_only, "empty mask", "notice", "only class_0 in the whole mask", ("masks/train/4.png",)),
    (truncate_image, "unreadable", "left out", "cannot be read: ", ("images/train/0.png",)),
    (text_for_mask, "unreadable", "left out", "cannot be read: it is no image", ("masks/train/0.png",)),
    (empty_file, "unreadable", "left out", "cannot be read: the file is empty", ("masks/val/8.png",)),
    (turn_photo, "EXIF rotation", "mended", "the photo is turned by its EXIF tag, the mask is not",
     ("images/train/5.jpg", "masks/train/5.png")),
    (upside_down, "EXIF rotation", "notice", "the mask's size does not tell whether it is",
     ("images/train/5.jpg", "masks/train/5.png")),
    (transparent_image, "alpha channel", "mended", "the image has alpha", ("images/train/2.png",)),
    (same_in_both, "duplicate across splits", "left out", "the same image in train and val: scores would be too good",
     ("images/train/2.png", "images/val/8.png")),
    (same_twice, "duplicate", "notice", "the same image 2 times in one split",
     ("images/train/2.png", "images/train/3.png")),
    (never_in_val, "class absent", "notice", "no val mask holds class_2: its score will be n/a", ()),
    (never_in_train, "class absent", "notice", "no train mask holds class_2: it cannot be learned", ()),
    (grey_among_colour, "channels differ", "mended", "grey among images of 3 channels", ("images/train/1.png",)),
    (two_images_one_name, "name clash", "left out", "several files for one name",
     ("images/train/1.jpg", "images/train/1.png", "masks/train/1.png")),
    (all_alike, "one class", "fatal", "all masks hold 0 only: there is nothing to tell apart",
     tuple(f"masks/{'train' if n < 6 else 'val'}/{n}.png" for n in range(9))),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "kind", "outcome", "message", "files"), CASES, ids=[c[0].__name__ for c in CASES])
def test_a_problem_is_named_with_file_reason_and_fix(
    data: Path, spoil: Callable[[Path], None], kind: str, outcome: str, message: str, files: tuple[str, ...]
) -> None:
    spoil(data)
    (problem,) = inspect(data).problems
    assert (problem.kind, problem.outcome, problem.files) == (kind, outcome, files)
    assert message in problem.message
    assert problem.fix.endswith(".")


@pytest.mark.parametrize("spoil", [c[0] for c in CASES if c[2] != "fatal"], ids=lambda spoil: spoil.__name__)
def test_what_is_proposed_can_be_read_to_the_last_pair(data: Path, spoil: Callable[[Path], None]) -> None:
    spoil(data)
    found = inspect(data)
    opened = Dataset(found.spec, found.root)
    read = [opened.read(pair) for split in opened.splits for pair in opened.pairs(split)]
    assert len(read) == found.pairs
    assert found.spec.pixel_counts == tuple(
        sum(int((opened.read_target(pair) == index).sum()) for pair in opened.pairs("train"))
        for index in range(opened.num_classes)
    )


def test_fatal_problems_are_refused_and_all_named(data: Path) -> None:
    all_alike(data)
    forget_image(data)
    with pytest.raises(DataError, match="there is nothing to tell apart") as refused:
        open_dataset(data)
    assert len(refused.value.problems) == 2


def write_jpeg_masks(data: Path) -> None:
    colors = np.array([[0, 0, 0], [200, 30, 30], [30, 30, 200]], np.uint8)
    for path in data.glob("masks/*/*.png"):
        blocks = mask(int(path.stem)).repeat(4, axis=0).repeat(4, axis=1)
        photo(int(path.stem), blocks.shape).save(data / "images" / path.parent.name / path.name)
        save(colors[blocks], path.with_suffix(".jpg"), quality=90)
        path.unlink()


def write_values(*values: int) -> Callable[[Path], None]:
    def write(data: Path) -> None:
        for path in data.glob("masks/*/*.png"):
            save(mask(int(path.stem), ids=values), path)

    return write


def write_deep(data: Path) -> None:
    for path in data.glob("masks/*/*.png"):
        save(np.array([100, 2000, 40000], np.uint16)[mask(int(path.stem))], path)


def write_rgba(data: Path) -> None:
    colors = np.array([[0, 0, 0, 255], [200, 30, 30, 255], [30, 30, 200, 255]], np.uint8)
    for path in data.glob("masks/*/*.png"):
        save(colors[mask(int(path.stem))], path)


def write_palette(data: Path) -> None:
    for path in data.glob("masks/*/*.png"):
        indexed = Image.frombytes("P", SIZE[::-1], mask(int(path.stem)).tobytes())
        indexed.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
        indexed.save(path)


def write_grey_as_colour(data: Path) -> None:
    for path in data.glob("masks/*/*.png"):
        save(mask(int(path.stem), ids=(0, 127, 255))[..., None].repeat(3, axis=2), path)


MENDED: list[tuple[Callable[[Path], None], str, list[object], set[str]]] = [
    (write_values(0, 255), "binary", [0, 255], {"255 is a class"}),
    (write_values(1, 2, 3), "index", [1, 2, 3], {"ids start at 1"}),
    (write_values(0, 5, 9), "index", [0, 5, 9], {"gaps in the ids"}),
    (write_deep, "index", [100, 2000, 40000], {"gaps in the ids"}),
    (write_rgba, "rgb", [[0, 0, 0], [30, 30, 200], [200, 30, 30]], {"alpha channel"}),
    (write_palette, "palette", [0, 1, 2], set()),
    (write_grey_as_colour, "index", [0, 127, 255], {"gaps in the ids"}),
    (write_jpeg_masks, "rgb", [], {"jpeg mask"}),
]


@pytest.mark.parametrize(("write", "encoding", "values", "kinds"), MENDED)
def test_what_masks_store_is_mapped_and_the_mapping_can_be_inverted(
    data: Path, write: Callable[[Path], None], encoding: str, values: list[object], kinds: set[str]
) -> None:
    write(data)
    found = inspect(data)
    assert {problem.kind for problem in found.problems} == kinds
    assert not found.left_out
    assert found.encoding == encoding
    assert len(found.classes) == (2 if encoding == "binary" else 3)
    assert not values or [share.value for share in found.classes] == values
    opened = Dataset(found.spec, found.root)
    target = opened.read_target(opened.pairs("train")[0])
    assert (opened.coding.decode(opened.coding.encode(np.where(target == 255, 0, target)))[target != 255]
            == target[target != 255]).all()  # fmt: skip


def test_a_palette_gives_the_colours(data: Path) -> None:
    write_palette(data)
    assert inspect(data).spec.colors == ((10, 20, 30), (40, 50, 60), (70, 80, 90))


def test_mean_and_deviation_are_those_of_the_training_pixels(data: Path) -> None:
    grey_among_colour(data)
    opened = open_dataset(data)
    pixels = np.concatenate([opened.read_pixels(pair).reshape(-1, 3) for pair in opened.pairs("train")])
    assert opened.spec.mean == pytest.approx(pixels.mean(axis=0), abs=1e-3)
    assert opened.spec.std == pytest.approx(pixels.std(axis=0), abs=1e-3)


def test_a_written_dataset_yaml_is_checked_as_it_says(data: Path) -> None:
    inspect(data).spec.save(data / "dataset.yaml")
    stray_value(data)
    (problem,) = inspect(data).problems
    assert problem.message == "value 77 is neither a class nor ignored in dataset.yaml"
    assert inspect(data).spec.exclude == ("train/3",)


def test_names_beside_the_data_are_used(data: Path) -> None:
    (data / "classes.txt").write_text("sky\nroad\ncar\n")
    assert inspect(data).spec.classes == ("sky", "road", "car")


def test_without_one_usable_pair_everything_that_is_wrong_is_said(data: Path) -> None:
    for path in data.glob("masks/*/*.png"):
        path.write_bytes(b"")
    found = inspect(data)
    assert [problem.kind for problem in found.problems] == ["no pairs", "unreadable"]
    with pytest.raises(DataError, match="not one pair can be used"):
        found.spec  # noqa: B018


@pytest.mark.parametrize(("split", "outcome"), [("train", "fatal"), ("val", "notice")])
def test_a_split_without_a_usable_pair_is_named(data: Path, split: str, outcome: str) -> None:
    for path in data.glob(f"masks/{split}/*.png"):
        path.write_bytes(b"")
    problem = next(problem for problem in inspect(data).problems if problem.kind == "no pairs")
    assert (problem.message, problem.outcome) == (f"not one pair of {split} can be used", outcome)


def test_processes_find_what_one_finds(data: Path) -> None:
    for number in range(10, 60):
        photo(number).save(data / f"images/train/{number}.png")
        save(mask(number), data / f"masks/train/{number}.png")
    truncate_image(data)
    steps: list[tuple[int, int]] = []
    one, several = inspect(data, workers=0), inspect(data, workers=2, progress=lambda *step: steps.append(step))
    assert _plain(one) == _plain(several)
    assert steps[-1] == (59, 59)


def test_the_json_is_the_contracts(data: Path) -> None:
    shrink_mask(data)
    report = inspect(data).to_json()
    assert report["pairs"] == 8
    assert report["splits"] == {"train": 5, "val": 3}
    assert set(report["classes"][0]) == {"name", "value", "pixels", "share", "images"}
    assert {"kind", "files", "message", "fix"} <= set(report["problems"][0])


def _plain(found: Inspection) -> object:
    return found.to_json(), found.spec.to_yaml()


def test_sixteen_bit_images_among_eight(data: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, SIZE, dtype=np.uint16)
    for path in data.glob("images/*/*.png"):
        save(deep if path.stem == "3" else np.asarray(Image.open(path).convert("L")), path)
    opened = open_dataset(data)
    assert (opened.channels, opened.spec.bits) == (1, 16)
    pixels = np.concatenate([opened.read_pixels(pair).ravel() for pair in opened.pairs("train")]).astype(np.float64)
    assert opened.spec.mean == pytest.approx((pixels.mean(),), abs=1e-3)
    assert opened.spec.std == pytest.approx((pixels.std(),), abs=1e-3)


def test_images_and_masks_as_two_folders(data: Path) -> None:
    found = inspect(data / "images", data / "masks")
    assert found.pairs == 9
    assert io.StringIO(found.spec.to_yaml()).read().count("{split}") == 2


def test_coco_polygons_are_drawn_and_counted(tmp_path: Path) -> None:
    root = tmp_path / "shapes"
    (root / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(5):
        photo(number).save(root / f"images/{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": SIZE[0], "width": SIZE[1]})
        square = [[4, 4, 12, 4, 12, 12, 4, 12]]
        annotations.append({"id": number, "image_id": number, "category_id": 7, "segmentation": square, "iscrowd": 0})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "cat"}]}
    (root / "annotations.json").write_text(json.dumps(document))
    found = inspect(root)
    assert (found.encoding, found.spec.classes) == ("coco", ("background", "cat"))
    assert [share.images for share in found.classes] == [5, 5]
    assert found.classes[1].pixels == pytest.approx(5 * 64, rel=0.3)
    assert not found.problems
    opened = Dataset(found.spec, found.root)
    assert int((opened.read_target(opened.pairs("train")[0]) == 1).sum()) * 5 == found.classes[1].pixels
