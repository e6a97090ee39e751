"""Read one pair of files once, and keep what the verdicts need: a few numbers and its counts."""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from perpixel.data.annotations import read_drawn
from perpixel.data.images import exif_orientation, open_image, read_pixels
from perpixel.data.inspection.histogram import Histogram, count_values
from perpixel.data.inspection.names import Color
from perpixel.data.masks import read_stored
from perpixel.data.pairs import Pair, Picture
from perpixel.errors import DataError

Facts = TypeVar("Facts")
Size = tuple[int, int]
CRASHED = "reading it ended the process: too large for the memory, or it crashes the decoder"


@dataclass(frozen=True)
class ImageFacts:
    """What an image file holds.

    Args:
        size: (H, W), upright.
        channels: Without alpha.
        bits: 8 or 16.
        alpha: Whether the file has an alpha channel.
        orientation: EXIF; 1 is upright.
        sums: Sum of each channel's values.
        squares: Sum of each channel's squared values.
        digest: Of the file's bytes.
    """

    size: Size
    channels: int
    bits: int
    alpha: bool
    orientation: int
    sums: tuple[int, ...]
    squares: tuple[int, ...]
    digest: bytes


@dataclass(frozen=True)
class MaskFacts:
    """What a mask file holds.

    Args:
        size: (H, W), upright.
        colors: Whether it stores colours; grey saved as colour is not.
        grey: Whether it stores grey values in three channels.
        bits: 8, or more where a value needs it.
        alpha: Whether the file has an alpha channel.
        lossy: Whether it is a JPEG.
        palette: Colour of each index that occurs.
        counts: Of stored values; colours packed.
    """

    size: Size
    colors: bool
    grey: bool
    bits: int
    alpha: bool
    lossy: bool
    palette: dict[int, Color]
    counts: Histogram


@dataclass(frozen=True)
class PairFacts:
    """What a pair holds; a file that cannot be read leaves its reason instead."""

    image: ImageFacts | None = None
    mask: MaskFacts | None = None
    image_error: str = ""
    mask_error: str = ""


@dataclass(frozen=True)
class Job:
    """A pair to read; `meanings` of labels where its mask is drawn from annotations of that encoding.

    An image without a mask is read like a pair whose mask says nothing.
    """

    pair: Picture
    encoding: str = "index"
    meanings: Mapping[str, int] | None = None


def scan_pair(job: Job) -> PairFacts:
    """Read an image and its mask; never raises for what the files hold."""
    pair = job.pair
    image_facts, image_error = _attempt(lambda: scan_image(pair.image), pair.image)
    if not isinstance(pair, Pair):
        return PairFacts(image_facts, silent(image_facts.size) if image_facts else None, image_error)
    read = scan_mask if job.meanings is None else partial(_scan_drawn, job)
    mask_facts, mask_error = _attempt(lambda: read(pair.mask), pair.mask)
    return PairFacts(image_facts, mask_facts, image_error, mask_error)


def silent(size: Size) -> MaskFacts:
    """Return the facts of a mask that is not there."""
    return MaskFacts(size, False, False, 8, False, False, {}, Histogram.empty())


def scan_picture(picture: Picture) -> str:
    """Read an image that has no mask; return why it cannot be, or nothing."""
    return _attempt(lambda: scan_image(picture.image), picture.image)[1]


def failed_picture(_: Picture) -> str:
    """Return the reason for an image that ended the process that read it."""
    return CRASHED


def failed_pair(_: Job) -> PairFacts:
    """Return the facts of a pair that ended the process that read it."""
    return PairFacts(image_error=CRASHED, mask_error=CRASHED)


def _attempt(scan: Callable[[], Facts], path: Path) -> tuple[Facts | None, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn of oddities that do not matter here
            return (None, "the file is empty") if path.stat().st_size == 0 else (scan(), "")
    except DataError as error:
        return None, str(error)
    except MemoryError:
        return None, "too large for the memory"
    except Exception as error:  # one odd file must not end the scan of twenty thousand
        return None, f"{type(error).__name__}: {error}"


def scan_image(path: Path) -> ImageFacts:
    """Read an image, and sum its channels exactly."""
    pixels = read_pixels(path)
    sums, squares = _sum_channels(pixels)
    return ImageFacts(
        size=(pixels.shape[0], pixels.shape[1]),
        channels=pixels.shape[2],
        bits=8 * pixels.itemsize,
        alpha=_header(path)[1],
        orientation=exif_orientation(path),
        sums=sums,
        squares=squares,
        digest=digest(path),
    )


def scan_mask(path: Path) -> MaskFacts:
    """Read a mask, and count its values."""
    stored = read_stored(path)
    form, alpha, palette = _header(path)
    grey = stored.ndim == 3 and _is_grey(stored)
    stored = stored[..., 0] if grey else stored[..., :3] if stored.ndim == 3 else stored
    lossy = form == "JPEG"
    counts = count_values(stored.view(np.uint8) if stored.dtype == np.bool_ else stored, lossy=lossy)
    return MaskFacts(
        size=(stored.shape[0], stored.shape[1]),
        colors=stored.ndim == 3,
        grey=grey,
        bits=8 if stored.ndim == 3 or int(counts.values[-1]) < 256 else 16,
        alpha=alpha,
        lossy=lossy,
        palette={int(v): palette[v] for v in counts.values if v in palette},
        counts=counts,
    )


def _scan_drawn(job: Job, _: Path) -> MaskFacts:
    """Draw a mask from its annotations, and count its class ids."""
    assert job.meanings is not None
    assert isinstance(job.pair, Pair)
    drawn = read_drawn(job.pair, job.encoding, job.meanings)
    return MaskFacts(
        size=(drawn.shape[0], drawn.shape[1]),
        colors=False,
        grey=False,
        bits=8,
        alpha=False,
        lossy=False,
        palette={},
        counts=count_values(drawn),
    )


def digest(path: Path) -> bytes:
    """Return sixteen bytes that stand for a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def _header(path: Path) -> tuple[str, bool, dict[int, Color]]:
    """Return (format, has alpha, palette) of an image file; an array file has neither."""
    if path.suffix.lower() == ".npy":
        return "npy", False, {}
    with open_image(path) as image:
        alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa")
        palette = image.getpalette() if image.mode == "P" else None
        colors = palette or []
        triples = {i // 3: (colors[i], colors[i + 1], colors[i + 2]) for i in range(0, len(colors) - 2, 3)}
        return image.format or "", alpha, triples


def _is_grey(stored: NDArray[Any]) -> bool:
    return bool((stored[..., 0] == stored[..., 1]).all() and (stored[..., 0] == stored[..., 2]).all())


def _sum_channels(pixels: NDArray[Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the exact sums of values and of squares; 64 bits hold 2**28 squares of sixteen bits."""
    sums, squares = [], []
    for channel in range(pixels.shape[2]):
        counts = np.bincount(pixels[..., channel].ravel())
        levels = np.arange(len(counts), dtype=np.uint64)
        counts = counts.astype(np.uint64)
        sums.append(int((levels * counts).sum()))
        squares.append(int((levels * levels * counts).sum()))
    return tuple(sums), tuple(squares)
