"""perpixel.data.palette: colours that can be told apart, and PNGs that keep their ids."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from perpixel.data.masks import IGNORE
from perpixel.data.palette import (
    IGNORE_COLOR,
    colorize,
    displayable,
    distinct_colors,
    legend,
    overlay,
    overlay_with_legend,
    save_index_png,
)
from perpixel.errors import UsageError

PALETTE = ((10, 20, 30), (200, 100, 0), (0, 0, 255))
IDS = np.array([[0, 1, 2], [2, 1, IGNORE]], np.uint8)
PIXELS = np.full((2, 3, 3), 100, np.uint8)


@settings(deadline=None)
@given(st.integers(0, 256))
def test_colours_are_all_different_and_fewer_are_the_first_of_more(count: int) -> None:
    colors = distinct_colors(count)
    assert len(set(colors)) == count
    assert distinct_colors(256)[:count] == colors


def test_the_first_thirty_colours_are_far_apart() -> None:
    colors = np.array(distinct_colors(30), float)
    distances = np.sqrt(((colors[:, None] - colors) ** 2).sum(-1)) + 999 * np.eye(30)
    assert distances.min() > 40


def test_more_colours_than_a_byte_counts_are_refused() -> None:
    with pytest.raises(UsageError, match="0 to 256 colours, got 257"):
        distinct_colors(257)


def test_each_id_gets_its_colour_and_ignored_pixels_their_own() -> None:
    painted = colorize(IDS, PALETTE)
    assert painted.dtype == np.uint8
    assert painted[0].tolist() == [list(color) for color in PALETTE]
    assert painted[1, 2].tolist() == list(IGNORE_COLOR)


@pytest.mark.parametrize("stranger", [3, -1, 254])
def test_an_id_without_a_colour_is_refused(stranger: int) -> None:
    with pytest.raises(UsageError, match=rf"within 0\.\.2 or 255, got {stranger}"):
        colorize(np.array([[0, stranger]]), PALETTE)


def test_probabilities_are_refused() -> None:
    with pytest.raises(UsageError, match=r"integer ids of shape \(H, W\)"):
        colorize(np.zeros((2, 2)), PALETTE)


def test_an_overlay_mixes_image_and_colour_by_its_opacity() -> None:
    flat = np.ones((4, 4), np.int64)
    shown = np.asarray(overlay(np.full((4, 4, 3), 100, np.uint8), flat, PALETTE, opacity=0.25))
    assert (shown == [125, 100, 75]).all()


def test_an_overlay_shows_the_image_alone_where_nothing_is_known_or_nothing_is_laid() -> None:
    assert np.asarray(overlay(PIXELS, IDS, PALETTE))[1, 2].tolist() == [100, 100, 100]
    assert (np.asarray(overlay(PIXELS, IDS, PALETTE, opacity=0)) == 100).all()


def test_full_opacity_shows_the_colours_alone() -> None:
    known = np.where(IDS == IGNORE, 0, IDS)
    assert np.array_equal(np.asarray(overlay(PIXELS, known, PALETTE, opacity=1)), colorize(known, PALETTE))


def test_an_overlay_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match=r"got \(2, 3, 3\) and \(2, 2\)"):
        overlay(PIXELS, IDS[:, :2], PALETTE)


def test_an_opacity_in_percent_is_refused() -> None:
    with pytest.raises(UsageError, match="from 0 to 1, got 50"):
        overlay(PIXELS, IDS, PALETTE, opacity=50)


def test_sixteen_bits_are_stretched_to_what_eyes_can_see() -> None:
    """A 12-bit camera in a 16-bit file would be almost black."""
    ramp = np.linspace(1000, 4095, 100 * 100).astype(np.uint16).reshape(100, 100, 1)
    shown = displayable(ramp)
    assert shown.shape == (100, 100, 3)
    assert (shown.min(), shown.max()) == (0, 255)
    assert shown.mean() == pytest.approx(127.5, abs=2)


def test_a_flat_sixteen_bit_image_is_shown_without_dividing_by_zero() -> None:
    assert (displayable(np.full((4, 4, 1), 500, np.uint16)) == 0).all()


@pytest.mark.parametrize(("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (5, [0, 1, 2])])
def test_any_number_of_channels_can_be_shown(channels: int, shown: list[int]) -> None:
    pixels = np.broadcast_to(np.arange(channels, dtype=np.uint8), (2, 2, channels))
    assert displayable(pixels)[0, 0].tolist() == shown


def test_a_legend_names_only_what_occurs_and_keeps_the_picture_on_top() -> None:
    pixels = np.full((100, 400, 3), 100, np.uint8)
    ids = np.zeros((100, 400), np.uint8)
    one = overlay_with_legend(pixels, ids, PALETTE, ("a", "b", "c"))
    assert one.width == 400
    assert 100 < one.height < 160
    assert np.array_equal(np.asarray(one)[:100], np.asarray(overlay(pixels, ids, PALETTE)))
    swatches = {tuple(color) for color in np.asarray(one)[100:].reshape(-1, 3).tolist()}
    assert PALETTE[0] in swatches
    assert PALETTE[1] not in swatches


def test_a_small_picture_is_enlarged_so_that_its_legend_can_be_read() -> None:
    assert overlay_with_legend(PIXELS, IDS, PALETTE, ("a", "b", "c")).width >= 320


@pytest.mark.parametrize("size", [(5000, 1), (1, 5000)])
def test_a_thin_picture_is_not_enlarged_beyond_reason(size: tuple[int, int]) -> None:
    """One column of 5000 pixels, 320 times as large, would be 512 million."""
    picture = overlay_with_legend(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8), PALETTE, ("a", "b", "c"))
    assert picture.width >= 320
    assert picture.width * picture.height < 5_000_000


def test_a_long_legend_takes_more_lines_and_not_more_width() -> None:
    strip = legend([(f"class {i}", color) for i, color in enumerate(distinct_colors(40))], 200)
    assert strip.width == 200
    assert strip.height > 200


def test_an_index_png_keeps_its_ids_and_opens_in_colour(tmp_path: Path) -> None:
    save_index_png(tmp_path / "a.png", IDS.astype(np.int64), PALETTE)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), IDS)
        assert np.array_equal(np.asarray(image.convert("RGB")), colorize(IDS, PALETTE))


def test_an_index_png_replaces_its_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")
    save_index_png(path, IDS, PALETTE)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    if os.name == "posix":
        (tmp_path / "b").touch()
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_index_png(path, IDS, PALETTE)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
