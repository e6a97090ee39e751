"""A film is labelled frame by frame, and a killed process loses little."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")

from perpixel.data.videos.reader import VideoReader
from perpixel.errors import DataError, UsageError
from perpixel.inference.options import Options
from perpixel.runs.predicting import video
from perpixel.runs.predicting.video import VideoResult, predict_video
from tests.films import read_ids, write_film
from tests.labelled import draw, segmenter


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "PIECE", 3)


def predict(film: Path, out: Path, **more: object) -> VideoResult:
    return predict_video(segmenter(), film, out / "a.mkv", picture=out / "a.overlay.mp4", **more)  # type: ignore[arg-type]


def test_every_frame_is_labelled_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    result = predict(write_film(tmp_path / "a.mp4"), tmp_path / "out")
    assert (result.size, result.frames, result.damage) == ((12, 16), 7, "")
    for seed, ids in enumerate(read_ids(tmp_path / "out/a.mkv")):
        assert np.array_equal(ids, draw(seed)[1])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mkv", "a.overlay.mp4"]


def test_the_overlay_has_as_many_frames_of_the_same_size(tmp_path: Path) -> None:
    predict(write_film(tmp_path / "a.mp4"), tmp_path / "out")
    with VideoReader(tmp_path / "out/a.overlay.mp4") as film:
        frames = list(film)
    assert [frame.pixels.shape for frame in frames] == [(12, 16, 3)] * 7


def test_every_nth_frame_is_an_image_with_a_palette_too(tmp_path: Path) -> None:
    predict(write_film(tmp_path / "a.mp4"), tmp_path / "out", every=3)
    stills = sorted((tmp_path / "out/a").iterdir())
    assert [path.name for path in stills] == ["0000000.png", "0000003.png", "0000006.png"]
    with Image.open(stills[1]) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), draw(3)[1])


@pytest.mark.parametrize(("stop", "kept"), [(1, 0), (4, 3), (6, 3)])
def test_an_interrupted_film_is_completed_and_equals_an_uninterrupted_one(tmp_path: Path, stop: int, kept: int) -> None:
    film = write_film(tmp_path / "a.mp4")

    def interrupt(done: int, total: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    predict(film, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        predict(film, tmp_path / "out", advance=interrupt)
    assert not (tmp_path / "out/a.mkv").exists()
    assert predict(film, tmp_path / "out").resumed == kept
    for name in ("a.mkv", "a.overlay.mp4"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mkv", "a.overlay.mp4"]


def test_a_film_half_made_otherwise_is_not_continued(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4")

    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(film, tmp_path / "out", advance=interrupt)
    assert predict(film, tmp_path / "out", options=Options(flip=True)).resumed == 0


def test_of_a_damaged_film_what_lies_before_the_damage_is_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = VideoReader._decode

    def broken(self: VideoReader):  # type: ignore[no-untyped-def]
        for index, picture in enumerate(decode(self)):
            if index == 5:
                raise DataError("a.mp4: damaged after frame 5")
            yield picture

    monkeypatch.setattr(VideoReader, "_decode", broken)
    result = predict(write_film(tmp_path / "a.mp4"), tmp_path / "out")
    assert result.frames == 5
    assert "damaged after frame 5" in result.damage
    assert len(read_ids(tmp_path / "out/a.mkv")) == 5


def test_two_processes_do_not_make_the_same_film(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4")

    def again(done: int, total: int) -> None:
        with pytest.raises(UsageError, match="another process"):
            predict(film, tmp_path / "out")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(film, tmp_path / "out", advance=again)
