"""Whatever an image is stored as, pixels come out as uint8 or uint16, (H, W, C), upright."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from perpixel.data import images
from perpixel.data.images import exif_orientation, image_size, list_images, read_pixels, turn_upright
from perpixel.errors import DataError

COLOR = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
GREY = COLOR[:, :, :1].copy()


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array.squeeze()).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_colour_comes_out_as_it_went_in(tmp_path: Path, suffix: str):
    options = {"lossless": True} if suffix == "webp" else {}
    np.testing.assert_array_equal(read_pixels(save(tmp_path / f"a.{suffix}", COLOR, **options)), COLOR)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm", "gif"])
def test_grey_has_one_channel(tmp_path: Path, suffix: str):
    pixels = read_pixels(save(tmp_path / f"a.{suffix}", GREY))
    np.testing.assert_array_equal(pixels[:, :, :1], GREY)


def test_grey_is_repeated_and_colour_reduced_where_channels_are_asked_for(tmp_path: Path):
    grey, color = save(tmp_path / "g.png", GREY), save(tmp_path / "c.png", COLOR)
    np.testing.assert_array_equal(read_pixels(grey, channels=3), np.repeat(GREY, 3, axis=2))
    reduced = read_pixels(color, channels=1)
    np.testing.assert_allclose(reduced[..., 0], np.asarray(Image.fromarray(COLOR).convert("L")), atol=1)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, suffix: str):
    deep = (GREY.astype(np.uint16) * 800).squeeze()
    pixels = read_pixels(save(tmp_path / f"a.{suffix}", deep))
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels[..., 0], deep)


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("LA", 1), ("RGBA", 3), ("P", 3), ("CMYK", 3), ("YCbCr", 3)])
def test_other_modes_become_grey_or_colour(tmp_path: Path, mode: str, channels: int):
    path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.fromarray(COLOR).convert(mode).save(path)
    assert read_pixels(path).shape == (4, 6, channels)


def test_four_channels_are_kept_where_four_are_asked_for(tmp_path: Path):
    four = np.arange(4 * 6 * 4, dtype=np.uint8).reshape(4, 6, 4)
    np.testing.assert_array_equal(read_pixels(save(tmp_path / "a.png", four), channels=4), four)


def test_a_transparent_palette_warns_nobody(tmp_path: Path):
    image = Image.fromarray(COLOR).convert("P")
    image.save(tmp_path / "a.png", transparency=bytes(range(4)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_pixels(tmp_path / "a.png").shape == (4, 6, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_arrays_may_have_any_number_of_channels(tmp_path: Path, dtype: type):
    np.save(tmp_path / "a.npy", np.full((4, 6, 7), 9, dtype))
    pixels = read_pixels(tmp_path / "a.npy")
    assert pixels.shape == (4, 6, 7)
    assert pixels.dtype == (np.uint8 if dtype is np.uint8 else np.uint16)
    assert image_size(tmp_path / "a.npy") == (4, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_photos_are_turned_upright(tmp_path: Path, orientation: int, suffix: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", COLOR, exif=exif, **options)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(read_pixels(path), upright)
    np.testing.assert_array_equal(turn_upright(COLOR, orientation), upright)
    assert image_size(path) == upright.shape[:2]
    assert exif_orientation(path) == orientation


def test_a_truncated_file_is_named(tmp_path: Path):
    packed = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(packed, "JPEG")
    (tmp_path / "a.jpg").write_bytes(packed.getvalue()[:-900])
    with pytest.raises(DataError, match=r"expected a whole image, cannot read .*a\.jpg \(image file is truncated"):
        read_pixels(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"or leave it out; in a data set, by `exclude` in dataset\.yaml"):
        read_pixels(tmp_path / "a.jpg")


def test_what_is_no_image_is_named(tmp_path: Path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(DataError, match=r"cannot read .*a\.png \(cannot identify image file"):
        read_pixels(tmp_path / "a.png")


def test_a_tiff_of_many_channels_says_what_to_save_instead(tmp_path: Path):
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0\0\0")
    with pytest.raises(DataError, match=r"a\.tif .*more than four channels, save it as \.npy"):
        read_pixels(tmp_path / "a.tif")


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"expected an image file, found none at .*gone\.png"):
        read_pixels(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"expected an array file, found none at .*gone\.npy"):
        read_pixels(tmp_path / "gone.npy")


def test_an_enormous_image_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 20)
    with pytest.raises(DataError, match=r"expected at most 20 pixels, got 4 × 6 in .*a\.png\. Cut it into tiles"):
        read_pixels(save(tmp_path / "a.png", COLOR))


def test_our_own_bound_holds_in_place_of_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    assert read_pixels(save(tmp_path / "a.png", COLOR)).shape == (4, 6, 3)
    assert Image.MAX_IMAGE_PIXELS == 5


def test_pickled_arrays_are_refused(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"cannot read .*a\.npy"):
        read_pixels(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2), np.float32), r"expected 8 or 16 bits a channel, got float32"),
        (np.full((2, 2), -1, np.int32), r"got int32 from -1 to -1 in .* Scale it to 0–65535"),
        (np.zeros(5, np.uint8), r"expected an array \(H, W\) or \(H, W, C\), got \(5,\)"),
        (np.zeros((0, 5), np.uint8), r"expected at least one pixel, got 0 × 5"),
    ],
)
def test_arrays_of_another_kind_say_what_was_expected(tmp_path: Path, array: np.ndarray, message: str):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=message):
        read_pixels(tmp_path / "a.npy")


def test_channels_that_cannot_be_made_say_how_to_go_on(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 7), np.uint8))
    with pytest.raises(DataError, match=r"expected 3 channels, got 7 in .*a\.npy\. Say `channels: 7`"):
        read_pixels(tmp_path / "a.npy", channels=3)


def test_a_folders_images_are_listed_in_order_without_hidden_ones(tmp_path: Path):
    for name in ("b.png", "sub/a.JPG", ".hidden.png", "__MACOSX/c.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["b.png", "a.JPG"]
    assert [path.name for path in list_images(tmp_path, recursive=False)] == ["b.png"]


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"list_images: expected a folder, found none at .*gone"):
        list_images(tmp_path / "gone")
