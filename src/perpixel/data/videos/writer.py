"""Write films: pieces of some frames each, and pieces joined to one file without encoding anything again.

    ids        FFV1, grey: nothing is lost, a pixel's value is its class id
    pictures   H.264 where FFmpeg has it, else MPEG-4: any player shows it

A piece stands for itself, whatever was before it, so a film made of pieces is the same however often it was
interrupted. Frames keep the times of the film that they were made from.

Letters: H W pixels.
"""

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perpixel.data.videos.library import load_av

Kind = Literal["ids", "pictures"]

TICK = Fraction(1, 90_000)  # seconds: what times are rounded to, as in MPEG
H264 = {"crf": "18", "preset": "veryfast", "bf": "0"}  # no frame refers to later ones, so pieces can follow each other
MPEG4 = {"qscale": "3", "bf": "0"}


def encode_piece(kind: Kind, frames: Sequence[NDArray[np.uint8]], times: Sequence[Fraction], rate: Fraction) -> bytes:
    """Return some frames as a film of their own, in FFmpeg's container NUT.

    Args:
        kind: What they are.
        frames: (H, W) ids or (H, W, 3) RGB, all of one size.
        times: When each is shown, in seconds, ascending.
        rate: Frames a second, for players that ask.
    """
    av = load_av()
    prepared = list(frames) if kind == "ids" else [_even(frame) for frame in frames]
    codec, pixels, options = _codec(av, kind)
    held = io.BytesIO()
    with av.open(held, "w", format="nut") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = prepared[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = TICK
        for frame, time in zip(prepared, _ascending(times), strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="gray" if kind == "ids" else "rgb24")
            picture.pts, picture.time_base = time, TICK
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return held.getvalue()


def join_pieces(pieces: Iterable[bytes], target: Path, container: Literal["matroska", "mp4"]) -> None:
    """Write pieces one after the other as one film.

    Args:
        pieces: From `encode_piece`, of one kind and one size; one is in memory at a time.
        target: The file.
        container: Matroska takes ids; MP4 is what players and browsers know.
    """
    av = load_av()
    options = {"fflags": "bitexact"}  # no random number, no date: the same pieces give the same file
    if container == "mp4":
        options["movflags"] = "faststart"
    with av.open(str(target), "w", format=container, options=options) as joined:
        stream: Any = None
        last: int | None = None
        for piece in pieces:
            with av.open(io.BytesIO(piece)) as part:
                if stream is None:
                    stream = joined.add_stream_from_template(part.streams.video[0])
                for packet in part.demux(part.streams.video[0]):
                    if packet.pts is None:  # it only says that nothing follows
                        continue
                    if last is not None and packet.pts <= last:  # a film whose clock jumps back
                        packet.pts = last + 1
                    packet.dts = last = packet.pts  # frames are stored in the order in which they are shown
                    packet.stream = stream
                    joined.mux(packet)


def _codec(av: Any, kind: Kind) -> tuple[str, str, dict[str, str]]:
    if kind == "ids":
        return "ffv1", "gray", {}
    if "libx264" in av.codecs_available:
        return "libx264", "yuv420p", H264
    return "mpeg4", "yuv420p", MPEG4


def _even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the last row and column where there is an odd number: colour is stored for two by two pixels."""
    rows, columns = frame.shape[0] % 2, frame.shape[1] % 2
    return np.pad(frame, ((0, rows), (0, columns), (0, 0)), mode="edge") if rows or columns else frame


def _ascending(times: Sequence[Fraction]) -> list[int]:
    """Return times in ticks, each later than the one before."""
    ticks: list[int] = []
    for time in times:
        tick = round(time / TICK)
        ticks.append(max(tick, ticks[-1] + 1) if ticks else tick)
    return ticks
