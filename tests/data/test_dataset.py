"""Opening a data set, and reading its pairs."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.dataset import Dataset, open_dataset
from perpixel.data.masks import IGNORE
from perpixel.data.spec import DatasetSpec
from perpixel.errors import DataError

MASK = np.array([[0, 1, 255], [1, 1, 0]], np.uint8)


def save(path: Path, array: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def write(root: Path, names: str = "abc", yaml: str = "", mask: np.ndarray = MASK) -> Path:
    for name in names:
        save(root / "images" / f"{name}.png", np.full((*mask.shape[:2], 3), ord(name), np.uint8))
        save(root / "masks" / f"{name}.png", mask)
    (root / "dataset.yaml").write_text("classes: [sky, road]\nignore: [255]\nsplits: {val: 0.3}\n" + yaml)
    return root


def test_a_folder_its_file_and_the_spec_are_the_same_data_set(tmp_path: Path):
    by_folder, by_file = open_dataset(write(tmp_path)), open_dataset(tmp_path / "dataset.yaml")
    assert by_folder.spec == by_file.spec
    assert by_folder.listing == by_file.listing
    assert (by_folder.classes, by_folder.num_classes, by_folder.channels) == (("sky", "road"), 2, 3)
    assert by_folder.splits == ("train", "val")
    assert len(by_folder.palette) == 2


def test_a_pair_is_read_as_pixels_and_class_ids(tmp_path: Path):
    data = open_dataset(write(tmp_path))
    pair = data.pairs("train")[0]
    pixels, target = data.read(pair)
    assert pixels.shape == (2, 3, 3)
    assert (pixels == ord(pair.name)).all()
    assert target.tolist() == [[0, 1, IGNORE], [1, 1, 0]]


def test_a_folder_without_a_word_is_inspected(tmp_path: Path):
    write(tmp_path, "abcd", mask=np.array([[0, 255, 255], [0, 0, 255]], np.uint8))
    (tmp_path / "dataset.yaml").unlink()
    for data in (open_dataset(tmp_path), open_dataset(tmp_path / "images", tmp_path / "masks")):
        assert data.num_classes == 2
        assert data.read(data.pairs("train")[0])[1].tolist() == [[0, 1, 1], [0, 0, 1]]


def test_a_folder_of_annotation_files_is_opened_too(tmp_path: Path):
    for name in "ab":
        save(tmp_path / f"{name}.png", np.full((4, 4, 3), ord(name), np.uint8))
        shape = {"label": "cat", "points": [[0, 0], [2, 4]], "shape_type": "rectangle"}
        (tmp_path / f"{name}.json").write_text(json.dumps({"shapes": [shape], "imagePath": f"{name}.png"}))
    data = open_dataset(tmp_path)
    assert data.classes == ("background", "cat")
    assert data.read(data.pairs("val")[0])[1].tolist() == [[1, 1, 0, 0]] * 4


def test_excluded_pairs_are_left_out(tmp_path: Path):
    data = open_dataset(write(tmp_path, "abcdefghij"))
    first = data.pairs("train")[0]
    without = Dataset(data.spec.model_copy(update={"exclude": (first.id,)}), data.root)
    assert [pair.name for pair in data.pairs("train")[1:]] == [pair.name for pair in without.pairs("train")]
    assert data.fingerprint() != without.fingerprint()


def test_the_fingerprint_is_the_datas_not_the_places(tmp_path: Path):
    one, other = open_dataset(write(tmp_path / "one")), open_dataset(write(tmp_path / "other"))
    assert one.fingerprint() == other.fingerprint()
    (tmp_path / "other" / "images" / "b.png").write_bytes(b"another size")
    assert one.fingerprint() != open_dataset(tmp_path / "other").fingerprint()


def test_an_unknown_split_names_the_known_ones(tmp_path: Path):
    with pytest.raises(DataError, match=r"got 'vall'\. Did you mean 'val'\? Known: train, val\."):
        open_dataset(write(tmp_path)).pairs("vall")


def test_sizes_that_differ_are_named_with_a_way_out(tmp_path: Path):
    write(tmp_path, "a")
    save(tmp_path / "images" / "a.png", np.zeros((5, 5, 3), np.uint8))
    data = open_dataset(tmp_path)
    message = r"expected a mask of 5 × 5 pixels like its image, got 2 × 3 in .*a\.png\. .*`exclude: \[train/a\]`"
    with pytest.raises(DataError, match=message):
        data.read(data.pairs("train")[0])


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_drawn_on_the_unrotated_photo_is_turned_with_it(tmp_path: Path, orientation: int):
    write(tmp_path, "a")
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / "images" / "a.png", np.repeat(MASK[:, :, None], 3, axis=2), exif=exif)
    data = open_dataset(tmp_path)
    pixels, target = data.read(data.pairs("train")[0])
    assert pixels.shape == (3, 2, 3)
    np.testing.assert_array_equal(pixels[..., 0], target)


def test_eight_bit_images_among_sixteen_bit_ones_are_scaled(tmp_path: Path):
    data = open_dataset(write(tmp_path, "a", yaml="bits: 16\n"))
    pixels = data.read_pixels(data.pairs("train")[0])
    assert pixels.dtype == np.uint16
    assert (pixels == ord("a") * 257).all()


def test_sixteen_bit_images_where_eight_are_promised_are_refused(tmp_path: Path):
    write(tmp_path, "a")
    save(tmp_path / "images" / "a.png", np.zeros((2, 3), np.uint16))
    data = open_dataset(tmp_path)
    with pytest.raises(DataError, match=r"expected 8 bits a channel, got 16 in .*a\.png\. Say `bits: 16`"):
        data.read_pixels(data.pairs("train")[0])


def test_images_and_masks_may_lie_elsewhere(tmp_path: Path):
    write(tmp_path / "data", "a")
    (tmp_path / "yaml").mkdir()
    path = tmp_path / "yaml" / "d.yaml"
    where = {"images": str(tmp_path / "data" / "images"), "masks": "../data/masks"}
    DatasetSpec(classes=("a", "b"), ignore=(255,), **where).save(path)
    data = open_dataset(path)
    assert data.read(data.pairs("train")[0])[1].shape == (2, 3)


def test_a_mask_that_lies_is_named(tmp_path: Path):
    write(tmp_path, "a", mask=np.full((2, 3), 7, np.uint8))
    data = open_dataset(tmp_path)
    with pytest.raises(DataError, match=r"a\.png holds 7 \(6 pixels\), neither a class nor ignored"):
        data.read(data.pairs("train")[0])


def test_nothing_at_all_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"expected a folder, found nothing at .*gone"):
        open_dataset(tmp_path / "gone")
    with pytest.raises(DataError, match=r"expected one folder, or IMAGES MASKS, got 3 paths"):
        open_dataset(tmp_path, tmp_path, tmp_path)
