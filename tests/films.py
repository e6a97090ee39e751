"""Films small enough for a test, every pixel stored as it is."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.labelled import draw

RATE = Fraction(24)


def write_film(path: Path, frames: int = 7, size: tuple[int, int] = (12, 16), turn: int = 0) -> Path:
    """Write frames that `tests.labelled.draw` draws, one after the other, in Matroska or MP4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        in_mp4 = path.suffix == ".mp4"
        stream = container.add_stream("png" if in_mp4 else "ffv1", rate=RATE)
        stream.height, stream.width = size
        stream.pix_fmt = "rgb24" if in_mp4 else "bgr0"
        if turn:
            stream.set_display_rotation(turn)
        for seed in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draw(seed, size)[0], format="rgb24")))
        container.mux(stream.encode())
    return path


def read_ids(path: Path) -> list[np.ndarray]:
    """Return the class ids of a film of ids."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
