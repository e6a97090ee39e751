"""Films are read upright and frame by frame, and written in pieces that join."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

av = pytest.importorskip("av")

from perpixel.data.videos.library import is_video_name  # noqa: E402
from perpixel.data.videos.reader import VideoReader  # noqa: E402
from perpixel.data.videos.writer import encode_piece, join_pieces  # noqa: E402
from perpixel.errors import DataError  # noqa: E402
from tests.films import RATE, read_ids, write_film  # noqa: E402
from tests.labelled import draw  # noqa: E402


def test_a_film_is_its_frames_in_order_with_their_times(tmp_path: Path) -> None:
    with VideoReader(write_film(tmp_path / "a.mkv")) as film:
        frames = list(film)
        assert film.rate == RATE
        assert film.frames in (6, 7, 8)  # Matroska rounds its length
    assert [frame.index for frame in frames] == list(range(7))
    assert all(np.array_equal(frame.pixels, draw(frame.index)[0]) for frame in frames)
    assert [float(frame.time) for frame in frames] == pytest.approx([i / 24 for i in range(7)], abs=1e-3)


def test_reading_from_a_frame_on_gives_the_same_frames(tmp_path: Path) -> None:
    with VideoReader(write_film(tmp_path / "a.mp4")) as film:
        rest = list(film.read(first=5))
    assert [frame.index for frame in rest] == [5, 6]
    assert np.array_equal(rest[0].pixels, draw(5)[0])


@pytest.mark.parametrize(("turn", "quarters"), [(90, 1), (-90, 3), (180, 2)])
def test_a_film_from_a_phone_held_upright_is_turned(tmp_path: Path, turn: int, quarters: int) -> None:
    """FFmpeg's av_display_rotation_get: counter-clockwise degrees, to be applied to the stored picture."""
    with VideoReader(write_film(tmp_path / "a.mp4", turn=turn)) as film:
        frame = next(iter(film))
    assert np.array_equal(frame.pixels, np.rot90(draw(0)[0], quarters))


def test_what_is_no_film_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"a\.mp4"):
        VideoReader(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="found none"):
        VideoReader(tmp_path / "b.mp4")


def test_a_film_that_was_cut_gives_its_frames_and_then_says_so(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", frames=20)
    cut = tmp_path / "cut.mp4"
    whole = path.read_bytes()
    moov = whole.index(b"moov") - 4
    start, stop = whole.index(b"mdat") + 4, moov
    keep = start + (stop - start) // 2
    cut.write_bytes(whole[:keep] + bytes(stop - keep) + whole[moov:])
    seen = []
    with VideoReader(cut) as film, pytest.raises(DataError, match=r"cut\.mp4"):
        seen.extend(frame.index for frame in film)
    assert 5 <= len(seen) <= 15


def test_pieces_joined_hold_every_id_and_every_time(tmp_path: Path) -> None:
    ids = [draw(seed, (11, 15))[1] * 100 for seed in range(9)]
    times = [Fraction(index, 24) + Fraction(index == 8, 3) for index in range(9)]  # the last one comes late
    pieces = [encode_piece("ids", ids[i : i + 4], times[i : i + 4], RATE) for i in (0, 4, 8)]
    join_pieces(iter(pieces), tmp_path / "joined.mkv", "matroska")
    assert all(np.array_equal(one, other) for one, other in zip(read_ids(tmp_path / "joined.mkv"), ids, strict=True))
    with VideoReader(tmp_path / "joined.mkv") as film:
        assert [float(frame.time) for frame in film] == pytest.approx([float(time) for time in times], abs=2e-3)


def test_pictures_of_odd_sizes_are_written_and_look_the_same(tmp_path: Path) -> None:
    smooth = np.linspace(0, 255, 33 * 47 * 3).reshape(33, 47, 3).astype(np.uint8)
    pieces = [encode_piece("pictures", [smooth] * 3, [Fraction(i, 24) for i in range(n, n + 3)], RATE) for n in (0, 3)]
    join_pieces(pieces, tmp_path / "joined.mp4", "mp4")
    with VideoReader(tmp_path / "joined.mp4") as film:
        frames = list(film)
    assert len(frames) == 6
    assert frames[0].pixels.shape == (34, 48, 3)
    assert np.abs(frames[5].pixels[:33, :47].astype(int) - smooth).mean() < 8


@pytest.mark.parametrize("count", [*range(1, 10), 64])
@pytest.mark.parametrize("kind", ["ids", "pictures"])
def test_a_piece_of_any_length_keeps_every_frame(tmp_path: Path, kind: Literal["ids", "pictures"], count: int) -> None:
    """NUT's reader leaves out when to decode a frame for some lengths and not for others."""
    frames = [draw(seed)[0 if kind == "pictures" else 1] for seed in range(count)]
    piece = encode_piece(kind, frames, [Fraction(i, 24) for i in range(count)], RATE)
    join_pieces([piece, piece], tmp_path / "joined", "mp4" if kind == "pictures" else "matroska")
    with VideoReader(tmp_path / "joined") as film:
        assert len(list(film)) == 2 * count


def test_a_clock_that_jumps_back_does_not_stop_joining(tmp_path: Path) -> None:
    pieces = [
        encode_piece("ids", [draw(0)[1]] * 2, [start, start + Fraction(1, 24)], RATE)
        for start in (Fraction(5), Fraction(0))
    ]
    join_pieces(pieces, tmp_path / "joined.mkv", "matroska")
    assert len(read_ids(tmp_path / "joined.mkv")) == 4


def test_films_are_told_by_their_names() -> None:
    assert is_video_name("a.MP4")
    assert not is_video_name("a.png")
    assert not is_video_name(".a.mp4")
