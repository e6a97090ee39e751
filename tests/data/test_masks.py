"""From stored values to class ids and back."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from perpixel.data.masks import IGNORE, MaskCoding, read_stored
from perpixel.data.spec import DatasetSpec
from perpixel.errors import DataError


def coding(**spec: object) -> MaskCoding:
    return MaskCoding.from_spec(DatasetSpec.parse(spec))


def save(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)
    return path


def test_a_palette_mask_gives_its_indices(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 1], [2, 255]], np.uint8))
    image.putpalette([128, 0, 0] * 256)
    image.save(tmp_path / "a.png", transparency=0)
    assert read_stored(tmp_path / "a.png").tolist() == [[0, 1], [2, 255]]


def test_a_palette_mask_gives_its_colours_where_colours_are_asked_for(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.save(tmp_path / "a.png")
    assert read_stored(tmp_path / "a.png", colors=True).tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_a_one_bit_mask_gives_0_and_1(tmp_path: Path):
    path = save(tmp_path / "a.png", np.array([[False, True]]))
    stored = read_stored(path)
    assert stored.tolist() == [[0, 1]]
    assert stored.dtype == np.uint8


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_kept(tmp_path: Path, suffix: str):
    path = save(tmp_path / f"a.{suffix}", np.array([[0, 300, 26001]], np.uint16))
    assert read_stored(path).tolist() == [[0, 300, 26001]]


def test_thirty_two_bit_instances_are_kept(tmp_path: Path):
    path = save(tmp_path / "a.tif", np.array([[0, 100_000]], np.int32))
    assert read_stored(path).tolist() == [[0, 100_000]]


@pytest.mark.parametrize(("shape", "expected"), [((2, 3, 4), (2, 3, 3)), ((2, 3, 2), (2, 3))])
def test_alpha_is_left_out(tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]):
    path = save(tmp_path / "a.png", np.full(shape, 9, np.uint8))
    assert read_stored(path).shape == expected


def test_an_array_file_is_a_mask_too(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([[0, 300]], np.int64))
    assert read_stored(tmp_path / "a.npy").tolist() == [[0, 300]]


def test_ids_are_class_ids_without_further_word():
    target = coding(classes=["a", "b"], ignore=[255]).decode(np.array([[0, 1, 255]], np.uint8))
    assert target.tolist() == [[0, 1, IGNORE]]
    assert target.dtype == np.uint8


def test_255_is_a_class_where_the_spec_says_so():
    binary = coding(classes=["membrane", "cell"], mask_values={0: "membrane", 255: "cell"}, encoding="binary")
    stored = np.array([[0, 255]], np.uint8)
    target = binary.decode(stored)
    assert target.tolist() == [[0, 1]]
    np.testing.assert_array_equal(binary.encode(target), stored)


def test_ids_with_gaps_beyond_one_byte_are_mapped_and_come_back():
    wide = coding(classes=["a", "b"], mask_values={1: "a", 3000: "b", 7: None})
    target = wide.decode(np.array([[1, 3000, 7]], np.uint16))
    assert target.tolist() == [[0, 1, IGNORE]]
    assert wide.encode(np.array([[0, 1]])).tolist() == [[1, 3000]]
    assert wide.encode(np.array([[0, 1]])).dtype == np.uint16


def test_an_unknown_value_names_file_value_count_classes_and_fix():
    message = (
        r"masks: 0007\.png holds 255 \(2 pixels\), neither a class nor ignored\. Classes: 0, 1, ignored: 9\. "
        r"If 255 means nothing, say `ignore: \[255\]` in dataset\.yaml; "
        r"if it is a class, say which: `mask_values: \{…, 255: name\}`\."
    )
    with pytest.raises(DataError, match=message):
        coding(classes=["a", "b"], ignore=[9]).decode(np.array([[0, 255, 255]], np.uint8), "0007.png")


def test_many_unknown_values_are_counted_not_all_named():
    with pytest.raises(DataError, match=r"and 246 more, .* Classes: 0, 1\."):
        coding(classes=["a", "b"]).decode(np.arange(256, dtype=np.uint8)[None])


def test_values_beyond_16_bits_are_refused_with_a_hint_at_instances():
    with pytest.raises(DataError, match=r"values from 0 to 65535, got 0 to 70000 in x\.tif.*`encoding: instance`"):
        coding(classes=["a", "b"]).decode(np.array([[0, 70_000]]), "x.tif")


def test_grey_saved_as_colour_is_grey():
    stored = np.zeros((1, 2, 3), np.uint8)
    stored[0, 1] = 1
    assert coding(classes=["a", "b"]).decode(stored).tolist() == [[0, 1]]


def test_colours_where_ids_are_expected_say_how_to_go_on():
    stored = np.array([[[1, 2, 3]]], np.uint8)
    with pytest.raises(DataError, match=r"expected one value a pixel, got colours in a\.png\. Say `encoding: rgb`"):
        coding(classes=["a", "b"]).decode(stored, "a.png")


RGB = {
    "classes": ["road", "car"],
    "colors": [[128, 64, 128], [0, 0, 142]],
    "encoding": "rgb",
    "ignore": [[0, 0, 0]],
}


def test_colours_are_classes_and_come_back():
    stored = np.array([[[128, 64, 128], [0, 0, 142], [0, 0, 0]]], np.uint8)
    street = coding(**RGB)
    assert street.decode(stored).tolist() == [[0, 1, IGNORE]]
    np.testing.assert_array_equal(street.encode(np.array([[0, 1]])), stored[:, :2])


def test_several_colours_may_be_one_class():
    more = coding(**RGB, mask_values={"0,0,70": "car", "#ffffff": None})
    stored = np.array([[[0, 0, 70], [255, 255, 255], [0, 0, 142]]], np.uint8)
    assert more.decode(stored).tolist() == [[1, IGNORE, 1]]
    assert more.encode(np.array([[1]])).tolist() == [[[0, 0, 142]]]


def test_an_unknown_colour_is_named_with_its_fix():
    message = (
        r"a\.png holds \(1, 2, 3\) \(1 pixels\).*Classes: \(0, 0, 142\), \(128, 64, 128\), ignored: \(0, 0, 0\)\. "
        r".*`ignore: \[\[1, 2, 3\]\]`.*`color_tolerance: 30`"
    )
    with pytest.raises(DataError, match=message):
        coding(**RGB).decode(np.array([[[1, 2, 3]]], np.uint8), "a.png")


def test_noise_around_a_colour_is_the_nearest_class_and_what_is_far_is_ignored():
    stored = np.array([[[131, 60, 127], [2, 3, 140], [3, 2, 1], [255, 255, 0]]], np.uint8)
    assert coding(**RGB, color_tolerance=30).decode(stored).tolist() == [[0, 1, IGNORE, IGNORE]]


def test_jpeg_noise_around_0_and_255_is_mended(tmp_path: Path):
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    Image.fromarray(mask).save(tmp_path / "a.jpg", quality=60)
    binary = coding(classes=["a", "b"], mask_values={0: "a", 255: "b"}, encoding="binary", color_tolerance=127)
    target = binary.decode(read_stored(tmp_path / "a.jpg"))
    assert (target == mask // 255).mean() > 0.99


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=20), st.integers(1, 200))
def test_the_nearest_colour_is_what_a_naive_loop_finds(colors: list[tuple[int, int, int]], tolerance: int):
    street = coding(**RGB, color_tolerance=tolerance)
    known = [((0, 0, 0), IGNORE), ((128, 64, 128), 0), ((0, 0, 142), 1)]
    for color, found in zip(colors, street.decode(np.array([colors], np.uint8))[0], strict=True):
        distances = [sum((a - b) ** 2 for a, b in zip(color, k, strict=True)) for k, _ in known]
        near = [known[i][1] for i, d in enumerate(distances) if d == min(distances)]
        assert found in (near if min(distances) <= tolerance**2 else [IGNORE])


def test_every_instance_is_an_object_where_the_classes_are_background_and_object():
    cells = coding(classes=["background", "cell"], encoding="instance")
    assert cells.decode(np.array([[0, 1, 255, 70_000]])).tolist() == [[0, 1, 1, 1]]


def test_coloured_instances_are_objects_on_black():
    cells = coding(classes=["background", "cell"], encoding="instance")
    assert cells.decode(np.array([[[0, 0, 0], [9, 200, 3]]], np.uint8)).tolist() == [[0, 1]]


def test_instances_may_carry_their_class_in_the_thousands():
    """Cityscapes: 26003 is the fourth car; 7 is road, which has no instances."""
    street = coding(classes=["road", "car"], mask_values={7: "road", 26: "car", 0: None}, encoding="instance")
    assert street.decode(np.array([[7, 26003, 26, 0]], np.uint16)).tolist() == [[0, 1, 1, IGNORE]]


def test_encoding_refuses_ids_that_are_no_class():
    with pytest.raises(DataError, match=r"encode: expected ids 0\.\.1, got 0\.\.255"):
        coding(classes=["a", "b"]).encode(np.array([[0, 255]]))


def test_a_coding_travels_to_another_process_without_its_tables():
    street = coding(**RGB)
    street.decode(np.zeros((2, 2, 3), np.uint8))
    assert len(pickle.dumps(street)) < 2000
    assert pickle.loads(pickle.dumps(street)) == street


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=255, unique=True))
def test_decoding_is_the_inverse_of_encoding(values: list[int]):
    names = [f"c{i}" for i in range(len(values))]
    some = coding(classes=names, mask_values=dict(zip(values, names, strict=True)))
    prediction = np.arange(len(values))[None]
    np.testing.assert_array_equal(some.decode(some.encode(prediction)), prediction)
