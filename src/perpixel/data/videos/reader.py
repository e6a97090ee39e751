"""Read a film frame by frame: one frame is in memory at a time, upright, in RGB.

Letters: H W pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from perpixel.data.images import check_size
from perpixel.data.videos.library import load_av
from perpixel.errors import DataError

USUAL_RATE = Fraction(25)  # frames a second, of a film that does not say
LOST = 0.98  # of the frames that a file says it has; below that it was cut


@dataclass(frozen=True)
class Frame:
    """One picture of a film.

    Args:
        index: From 0.
        pixels: uint8 (H, W, 3), RGB.
        time: When it is shown, in seconds from the start.
    """

    index: int
    pixels: NDArray[np.uint8]
    time: Fraction


class VideoReader:
    """An opened film; a context manager.

    Pictures are turned as the file says phones were held. Pixels that are not square stay as they are stored.

    Args:
        path: The file.

    Attributes:
        rate: Frames a second, on average.
        frames: How many there are, as the file says or as its length tells; 0 where nobody knows.

    Raises:
        UsageError: PyAV is not installed.
        DataError: No file, or no film.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise DataError(f"video: expected a file, found none at {path}. Check the path.")
        self._av = load_av()
        try:
            self._container = self._av.open(str(path), metadata_errors="ignore")
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise self._unreadable(error) from None
        if not self._container.streams.video:
            self.close()
            raise DataError(f"video: expected pictures, found none in {path}. Check the file, or leave it out.")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or USUAL_RATE)
        self.stated = int(self._stream.frames or 0)
        self.frames = self.stated or self._counted_by_length()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        return self.read()

    def read(self, first: int = 0) -> Iterator[Frame]:
        """Yield frames in the order in which they are shown; can be done once.

        Args:
            first: Frames before are decoded, as later ones need them, and left out.

        Raises:
            DataError: The file is damaged or was cut; all frames before that were yielded.
        """
        index = -1
        for index, picture in enumerate(self._decode()):
            if index >= first:
                yield Frame(index, self._pixels(picture), self._time(picture, index))
        if index < 0:
            raise DataError(f"video: expected pictures, found none that can be read in {self.path}. Leave it out.")
        if index + 1 < LOST * self.stated:
            raise DataError(
                f"video: expected {self.stated} frames, found {index + 1} in {self.path}: the file was cut. "
                "Restore it from its source, or use what was made of these."
            )

    def _decode(self) -> Iterator[Any]:
        count = 0
        try:
            for picture in self._container.decode(self._stream):
                yield picture
                count += 1
        except (self._av.FFmpegError, OSError) as error:
            raise self._unreadable(error, f" after frame {count}") from None

    def _pixels(self, picture: Any) -> NDArray[np.uint8]:
        check_size(self.path, picture.height, picture.width)
        pixels: NDArray[np.uint8] = picture.to_ndarray(format="rgb24")
        turns = round(getattr(picture, "rotation", 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels

    def _time(self, picture: Any, index: int) -> Fraction:
        if picture.pts is None or picture.time_base is None:
            return index / self.rate
        return Fraction(picture.pts * picture.time_base)

    def _counted_by_length(self) -> int:
        if self._container.duration is None:
            return 0
        return round(Fraction(self._container.duration, self._av.time_base) * self.rate)

    def _unreadable(self, error: BaseException, where: str = "") -> DataError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return DataError(
            f"video: expected a whole film, cannot read {self.path}{where} ({reason}). "
            "Restore it from its source, or leave it out."
        )
