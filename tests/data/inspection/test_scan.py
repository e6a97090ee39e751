"""One read of a pair gives exact sums and counts, and never raises for what the files hold."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.inspection.scan import Job, failed_pair, scan_image, scan_mask, scan_pair
from perpixel.data.pairs import Pair


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_sums_and_squares_are_exact(tmp_path: Path, dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 5, 4), dtype=dtype)
    np.save(tmp_path / "a.npy", pixels)
    facts = scan_image(tmp_path / "a.npy")
    wide = pixels.astype(object).reshape(-1, 4)
    assert facts.sums == tuple(wide.sum(axis=0))
    assert facts.squares == tuple((wide**2).sum(axis=0))
    assert (facts.size, facts.channels, facts.bits) == ((7, 5), 4, 8 * np.dtype(dtype).itemsize)


def test_equal_files_have_equal_digests_and_others_do_not(tmp_path: Path) -> None:
    for name, level in (("a", 1), ("b", 1), ("c", 2)):
        Image.new("L", (4, 4), level).save(tmp_path / f"{name}.png")
    a, b, c = (scan_image(tmp_path / f"{name}.png").digest for name in "abc")
    assert a == b != c


def test_a_turned_photo_is_measured_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    facts = scan_image(tmp_path / "a.jpg")
    assert (facts.size, facts.orientation) == ((8, 4), 6)


def test_a_palette_mask_keeps_the_colours_that_occur(tmp_path: Path) -> None:
    mask = Image.frombytes("P", (2, 2), bytes([0, 0, 2, 2]))
    mask.putpalette([1, 2, 3, 4, 5, 6, 7, 8, 9])
    mask.save(tmp_path / "a.png")
    facts = scan_mask(tmp_path / "a.png")
    assert facts.palette == {0: (1, 2, 3), 2: (7, 8, 9)}
    assert not facts.colors


def test_grey_in_three_channels_is_ids(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (7, 7, 7, 0)).save(tmp_path / "a.png")
    facts = scan_mask(tmp_path / "a.png")
    assert (facts.colors, facts.grey, facts.alpha) == (False, True, True)
    assert facts.counts.of(7)[0] == 16


def test_what_cannot_be_read_leaves_its_reason(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    facts = scan_pair(Job(Pair("a", "train", tmp_path / "a.png", tmp_path / "b.png")))
    assert facts.image is not None
    assert facts.mask is None
    assert facts.mask_error == "the file is empty"
    gone = scan_pair(Job(Pair("a", "train", tmp_path / "a.png", tmp_path / "gone.png")))
    assert "No such file" in gone.mask_error


def test_a_pair_that_ends_its_process_is_said_to(tmp_path: Path) -> None:
    facts = failed_pair(Job(Pair("a", "train", tmp_path, tmp_path)))
    assert "ended the process" in facts.image_error
