"""Files of probabilities are believed only as far as they fit the image."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.crf.options import CrfOptions
from perpixel.errors import DataError, UsageError
from perpixel.inference.options import Options
from perpixel.runs.crf import refine
from perpixel.runs.crf.refine import Refined, check_place, palette_beside, read_probabilities, refine_file, save_refined
from tests.labelled import draw, segmenter

SIZE = (6, 8)


def maps(num_classes: int = 3, size: tuple[int, int] = SIZE, dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(0).random((num_classes, *size)) + 0.1
    return (values / values.sum(0)).astype(dtype)


def write_image(path: Path, size: tuple[int, int] = SIZE, orientation: int = 1) -> Path:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the CRF by one that changes nothing."""
    monkeypatch.setattr(refine, "refine_with", lambda given, pixels, options: given)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["p.npz", "p.npy"])
def test_any_floating_point_file_is_read_as_float32(tmp_path: Path, name: str, dtype: str) -> None:
    given = maps(dtype=dtype)
    if name == "p.npz":
        np.savez_compressed(tmp_path / name, probabilities=given)
    else:
        np.save(tmp_path / name, np.asfortranarray(given))
    read = read_probabilities(tmp_path / name, SIZE)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, given.astype(np.float32))


def test_of_several_arrays_the_one_called_probabilities_is_taken_and_of_one_that_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", other=np.zeros(3), probabilities=maps())
    np.savez(tmp_path / "one.npz", scores=maps())
    np.testing.assert_array_equal(
        read_probabilities(tmp_path / "two.npz", SIZE), read_probabilities(tmp_path / "one.npz", SIZE)
    )
    np.savez(tmp_path / "neither.npz", a=maps(), b=maps())
    with pytest.raises(DataError, match=r"called probabilities in .*neither\.npz, got a, b"):
        read_probabilities(tmp_path / "neither.npz", SIZE)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (maps().transpose(1, 2, 0), "Move the classes first"),
        (maps(size=SIZE[::-1]), "exchanged"),
        (maps(size=(3, 4)), "Resize one to the other"),
        (maps()[0], "one image's"),
        (maps()[:0], "or none"),
        (maps().argmax(0)[None], "not ids"),
        (np.array([{"a": 1}], dtype=object), "not ids"),
    ],
)
def test_what_is_not_one_images_probabilities_is_refused_with_the_way_out(
    tmp_path: Path, values: np.ndarray, said: str
) -> None:
    np.savez(tmp_path / "p.npz", probabilities=values)
    with pytest.raises(DataError, match=said):
        read_probabilities(tmp_path / "p.npz", SIZE)


def test_a_header_that_promises_too_much_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**40, *SIZE)})
    (tmp_path / "p.npy").write_bytes(header.getvalue())
    with pytest.raises(DataError, match="more than 16 GiB"):
        read_probabilities(tmp_path / "p.npy", SIZE)


@pytest.mark.parametrize("cut", [3, 40, 200])
def test_a_damaged_file_is_named(tmp_path: Path, cut: int) -> None:
    np.save(tmp_path / "p.npy", maps())
    (tmp_path / "p.npy").write_bytes((tmp_path / "p.npy").read_bytes()[:cut])
    with pytest.raises(DataError, match=r"p\.npy cannot be read"):
        read_probabilities(tmp_path / "p.npy", SIZE)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("probabilities.npy", b"\x93NUMPY\x01\x00 nothing")
    with pytest.raises(DataError, match=r"p\.npz cannot be read"):
        read_probabilities(tmp_path / "p.npz", SIZE)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found none at"):
        read_probabilities(tmp_path / "p.npz", SIZE)


@pytest.mark.usefixtures("untouched")
def test_the_image_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    """A photo stored lying, 6 × 8, stands at 8 × 6, and so must its probabilities."""
    image = write_image(tmp_path / "photo.jpg", orientation=6)
    np.savez(tmp_path / "standing.npz", probabilities=maps(size=SIZE[::-1]))
    np.savez(tmp_path / "lying.npz", probabilities=maps())
    assert refine_file(image, tmp_path / "standing.npz", CrfOptions()).ids.shape == (8, 6)
    with pytest.raises(DataError, match="EXIF turns it by a quarter"):
        refine_file(image, tmp_path / "lying.npz", CrfOptions())


@pytest.mark.usefixtures("untouched")
def test_logits_go_through_a_softmax(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.log(maps()) + 7)
    refined = refine_file(write_image(tmp_path / "i.png"), tmp_path / "p.npy", CrfOptions(), logits=True)
    np.testing.assert_allclose(refined.probabilities, maps(), rtol=1e-5)


def test_what_changed_is_the_share_of_other_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = maps()
    monkeypatch.setattr(refine, "refine_with", lambda p, pixels, options: np.roll(p, 1, axis=0))
    np.save(tmp_path / "p.npy", given)
    assert refine_file(write_image(tmp_path / "i.png"), tmp_path / "p.npy", CrfOptions()).changed == 1.0


def test_ids_take_the_colours_of_the_prediction_beside_the_probabilities(tmp_path: Path) -> None:
    colors = [(1, 2, 3), (40, 50, 60), (7, 8, 9)]
    refined = Refined(maps(), 0.0)
    save_refined(tmp_path / "photo.png", refined, colors)
    assert palette_beside(tmp_path / "photo.npz", 3) == colors
    with Image.open(tmp_path / "photo.png") as image:
        image.save(tmp_path / "map.tif")
    assert palette_beside(tmp_path / "map.npz", 3) == colors
    assert palette_beside(tmp_path / "other.npz", 3) is None
    with Image.open(tmp_path / "photo.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), refined.ids)


def test_probabilities_are_written_as_predict_writes_them(tmp_path: Path) -> None:
    save_refined(tmp_path / "new" / "p.npz", Refined(maps(), 0.0))
    with np.load(tmp_path / "new" / "p.npz") as stored:
        assert stored["probabilities"].dtype == np.float16
        np.testing.assert_array_equal(stored["probabilities"], maps().astype(np.float16))


def test_places_that_could_not_hold_the_result_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.png"):
        check_place(tmp_path / "p.jpg")
    with pytest.raises(UsageError, match=r"at most 256 classes .* Use \.npz"):
        check_place(tmp_path / "p.png", 257)
    check_place(tmp_path / "p.npz", 257)


def test_a_file_refined_is_what_predict_would_have_refined_itself(tmp_path: Path) -> None:
    """All that differs is float16 in the file."""
    pixels = np.asarray(Image.fromarray(draw(3)[0]).resize((48, 36), Image.Resampling.BILINEAR))
    Image.fromarray(pixels).save(tmp_path / "i.png")
    network, crf = segmenter(), CrfOptions(bilateral=(3, 10, 20))
    save_refined(tmp_path / "p.npz", Refined(network.predict(pixels).probabilities, 0.0))
    ours = refine_file(tmp_path / "i.png", tmp_path / "p.npz", crf)
    theirs = network.predict(pixels, Options(crf=crf))
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=5e-3)
    assert (ours.ids == theirs.prediction).mean() > 0.99
