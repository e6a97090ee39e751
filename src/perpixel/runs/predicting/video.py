"""Predict a film frame by frame, in constant memory: read, labelled, encoded in pieces, joined at the end.

    OUT/NAME.mkv             class ids, nothing lost: a pixel's value is its class id
        NAME.overlay.mp4     the classes' colours over the film, without its sound
        NAME/0000000.png     the class ids of every n-th frame, with the data set's palette

A killed process leaves the pieces that are whole; the next one goes on with the frame after them, and the result is
the same.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.palette import index_image, overlay
from perpixel.data.videos.reader import Frame, VideoReader
from perpixel.data.videos.writer import encode_piece, join_pieces
from perpixel.errors import DataError
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.pixels import fit
from perpixel.inference.seams import Seams
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.predicting.outputs import replace
from perpixel.runs.predicting.record import without_runs
from perpixel.runs.predicting.unfinished import Unfinished

PIECE = 64  # frames: what a killed process loses at most
PIECE_BYTES = 256 * 10**6  # of frames that wait to be encoded

Advance = Callable[[int, int], None]


@dataclass
class VideoResult:
    """What became of a film.

    Attributes:
        size: (H, W) in pixels.
        frames: How many were labelled, in all.
        resumed: How many of them by an earlier process.
        damage: Why it ended before its end; empty where it did not.
        seams: How tiles agreed, of the frames done now.
    """

    size: tuple[int, int] = (0, 0)
    frames: int = 0
    resumed: int = 0
    damage: str = ""
    seams: Seams = field(default_factory=Seams)

    def to_json(self) -> dict[str, Any]:
        """Return what is recorded of it."""
        seams = {"seams": self.seams.to_json()} if self.seams else {}
        return {"size": list(self.size), "frames": self.frames} | seams


@dataclass
class _Piece:
    """Frames that are labelled but not yet encoded."""

    ids: list[NDArray[np.uint8]] = field(default_factory=list)
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    times: list[Fraction] = field(default_factory=list)

    @property
    def full(self) -> bool:
        held = sum(frame.nbytes for frame in (*self.ids, *self.pictures))
        return len(self.ids) >= PIECE or held >= PIECE_BYTES


def predict_video(
    segmenter: Segmenter,
    source: Path,
    target: Path,
    options: Options = DEFAULT,
    *,
    picture: Path | None = None,
    every: int = 0,
    made_by: dict[str, Any] | None = None,
    ways: Mapping[str, str] | None = None,
    advance: Advance | None = None,
) -> VideoResult:
    """Label every pixel of every frame.

    Args:
        segmenter: The trained network.
        source: The film.
        target: The `.mkv` of class ids; its folder is made.
        options: How to predict each frame. Frames know nothing of each other.
        picture: Also write the classes' colours over the film, as this `.mp4`.
        every: Also write the class ids of frames 0, `every`, 2·`every`, … as images, in a folder beside `target`.
        made_by: What identifies the network, so that a half-made prediction by another is not continued.
        ways: Which way each layer is to be computed, if the network is not prepared yet; see `Segmenter.expect`.
        advance: Told (frames done, frames in all, 0 where nobody knows).

    Returns: What was made; of a damaged film, what lies before the damage.
    Raises:
        UsageError: PyAV is missing, or another process is predicting the same film.
        DataError: No film, or not one frame of it can be read.
    """
    with VideoReader(source) as film:
        target.parent.mkdir(parents=True, exist_ok=True)
        how = {**(made_by or {}), **_how(segmenter, source, options, picture is not None, every)}
        with Unfinished(target, how) as unfinished:
            job = _Job(segmenter, film, unfinished, options, picture is not None, every, target.with_suffix(""))
            result = job.run(ways, advance or (lambda done, total: None))
            _join(unfinished, target, picture)
            unfinished.discard()
    return result


def _how(segmenter: Segmenter, source: Path, options: Options, drawn: bool, every: int) -> dict[str, Any]:
    """Return what decides the contents, as plain values."""
    told = source.stat()
    return {
        "source": [str(source.resolve()), told.st_size, told.st_mtime_ns],
        "options": without_runs(options.to_json()),
        "classes": list(segmenter.classes),
        "drawn": drawn,
        "every": every,
        "piece": PIECE,
    }


def _join(unfinished: Unfinished, target: Path, picture: Path | None) -> None:
    """Make films of the pieces, the ids last: where they are, all is."""
    if picture is not None:
        beside = unfinished.folder / "result.mp4"
        join_pieces(unfinished.read_tiles(slice(1, 2)), beside, "mp4")
        os.replace(beside, picture)
    beside = unfinished.folder / "result.mkv"
    join_pieces(unfinished.read_tiles(slice(0, 1)), beside, "matroska")
    os.replace(beside, target)


class _Job:
    """One film, and what is wanted of it."""

    def __init__(
        self,
        segmenter: Segmenter,
        film: VideoReader,
        unfinished: Unfinished,
        options: Options,
        drawn: bool,
        every: int,
        stills: Path,
    ) -> None:
        self.segmenter, self.film, self.unfinished, self.options = segmenter, film, unfinished, options
        self.drawn, self.every, self.stills = drawn, every, stills

    def run(self, ways: Mapping[str, str] | None, advance: Advance) -> VideoResult:
        """Do all frames that are not done yet."""
        first = self.unfinished.rows
        result = VideoResult(frames=first, resumed=first)
        if self.segmenter.ways is None:
            self.segmenter.expect(self.film.frames or PIECE, self.unfinished.ways or ways)
        piece = _Piece()
        try:
            for frame in self.film.read(max(first - 1, 0)):
                if result.size == (0, 0):
                    result.size = (frame.pixels.shape[0], frame.pixels.shape[1])
                if frame.index < first:  # was read for its size alone
                    continue
                self._check(frame, result)
                self._label(frame, piece, result.seams)
                result.frames += 1
                advance(result.frames, max(self.film.frames, result.frames))
                if piece.full:
                    piece = self._keep(piece, result.frames)
        except DataError as error:
            if not result.frames:
                raise
            result.damage = str(error)
        if piece.ids:
            self._keep(piece, result.frames)
        return result

    def _check(self, frame: Frame, result: VideoResult) -> None:
        if frame.pixels.shape[:2] != result.size:
            height, width = result.size
            raise DataError(
                f"video: expected frames of {height} × {width} pixels, frame {frame.index} of {self.film.path} has "
                f"{frame.pixels.shape[0]} × {frame.pixels.shape[1]}. Cut the film there, and predict both parts."
            )

    def _label(self, frame: Frame, piece: _Piece, seams: Seams) -> None:
        """Predict a frame, and add it to the piece."""
        segmenter = self.segmenter
        pixels = fit(frame.pixels, segmenter.channels, segmenter.bits, str(self.film.path))
        ids = segmenter.ids(pixels, self.options, seams)
        if self.unfinished.ways is None and segmenter.ways is not None:
            self.unfinished.note_ways(segmenter.ways)
        piece.ids.append(ids)
        piece.times.append(frame.time)
        if self.drawn:
            piece.pictures.append(np.asarray(overlay(frame.pixels, ids, segmenter.palette)))
        if self.every and frame.index % self.every == 0:
            self.stills.mkdir(exist_ok=True)
            still = index_image(ids, segmenter.palette)
            replace(self.stills / f"{frame.index:07}.png", lambda beside: still.save(beside, "PNG"))

    def _keep(self, piece: _Piece, frames: int) -> _Piece:
        """Encode a piece and journal it; return an empty one."""
        encoded = [encode_piece("ids", piece.ids, piece.times, self.film.rate)]
        if self.drawn:
            encoded.append(encode_piece("pictures", piece.pictures, piece.times, self.film.rate))
        self.unfinished.add(frames, encoded)
        return _Piece()
