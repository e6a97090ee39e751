"""Refine a file of anybody's probabilities with the image they belong to.

    IMAGE, turned as its EXIF says ──┐
                                     ├── CRF ── FILE.png   class ids with a palette
    PROBS.npz, PROBS.npy  (K, H, W) ─┘          FILE.npz   `probabilities`, float16, as `predict` writes them

A file is believed only after its header: what it says it holds must fit the image, and must be plain numbers.

Letters: K classes, H W pixels.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perpixel.crf.options import CrfOptions
from perpixel.crf.refine import refine_with
from perpixel.data.images import exif_orientation
from perpixel.data.palette import MAX_COLORS, Color, distinct_colors, save_index_png
from perpixel.errors import DataError, UsageError
from perpixel.inference.pixels import as_pixels
from perpixel.training.files import write_atomically

NAME = "probabilities"
MAX_BYTES = 2**34  # of probabilities, as float32, that one file may hold


@dataclass(frozen=True)
class Refined:
    """What the CRF made of an image.

    Args:
        probabilities: float32 (K, H, W).
        changed: Share of the pixels whose class is another now.
    """

    probabilities: NDArray[np.float32]
    changed: float

    @property
    def ids(self) -> NDArray[np.intp]:
        """The likeliest class of every pixel, (H, W)."""
        ids: NDArray[np.intp] = self.probabilities.argmax(0)
        return ids


def refine_file(image: Path, probabilities: Path, options: CrfOptions, logits: bool = False) -> Refined:
    """Refine the probabilities in a file.

    Args:
        image: The image they were predicted from; grey and 16 bits are taken too.
        probabilities: `.npz` or `.npy`, floating-point (K, H, W) at the image's own size, upright.
        options: For the CRF.
        logits: The file holds scores before softmax.

    Raises:
        DataError: A file cannot be read, is too large, or the two do not fit.
        UsageError: The numbers are no probabilities.
    """
    pixels = as_pixels(image, 3)
    given = read_probabilities(probabilities, pixels.shape[:2], _turned_hint(image))
    if logits:
        given = _softmax(given)
    refined = refine_with(given, pixels, options)
    return Refined(refined, float((refined.argmax(0) != given.argmax(0)).mean()))


def read_probabilities(path: Path, size: tuple[int, ...], hint: str = "") -> NDArray[np.float32]:
    """Read (K, H, W) as float32, after its header has been checked.

    Args:
        path: `.npy`, or `.npz` with `probabilities` or with one array alone.
        size: (H, W) that it must have.
        hint: Said where H and W are exchanged.

    Raises:
        DataError: No such file, damaged, not floating-point, too large, or of another size.
    """
    if not path.is_file():
        raise DataError(f"crf: expected a file of probabilities, found none at {path}. Check the path.")
    try:
        with _array_file(path) as file:
            shape, dtype = _header(path, file)
            _check(path, shape, dtype, size, hint)
            file.seek(0)
            values = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"crf: {path} cannot be read ({' '.join(str(error).split())}). Write it with np.savez_compressed(file, "
            "probabilities=…)."
        ) from None
    return np.ascontiguousarray(values, np.float32)


@contextmanager
def _array_file(path: Path) -> Iterator[IO[bytes]]:
    """Open the `.npy` that a path is, or the one in it."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if NAME not in names and len(names) != 1:
            raise DataError(
                f"crf: expected an array called {NAME} in {path}, got {', '.join(names[:9]) or 'none'}. Save it with "
                "np.savez_compressed(file, probabilities=…)."
            )
        with archive.open(f"{NAME if NAME in names else names[0]}.npy") as member:
            yield member


def _header(path: Path, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"crf: expected an array of plain numbers in {path}, got another format. Save float32.")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _check(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], size: tuple[int, ...], hint: str) -> None:
    """Refuse, before reading it, what is not (K, H, W) of the image."""
    if dtype.kind != "f":
        raise DataError(f"crf: expected floating-point numbers in {path}, got {dtype}. Save probabilities, not ids.")
    if len(shape) == 3 and shape[1:] == size and 4 * int(np.prod(shape, dtype=object)) <= MAX_BYTES and shape[0]:
        return
    height, width = size
    said = f"crf: expected probabilities (K, {height}, {width}) as the image's {height} × {width}, got {shape}"
    if len(shape) != 3:
        raise DataError(f"{said} in {path}. Save one image's (K, H, W).")
    if shape[:2] == size:
        raise DataError(f"{said} in {path}. Move the classes first: probabilities.transpose(2, 0, 1).")
    if shape[1:] == (width, height) and width != height:
        raise DataError(f"{said} in {path}. {hint or 'Height and width are exchanged: transpose(0, 2, 1).'}")
    if shape[1:] == size:
        raise DataError(f"{said} in {path}: more than {MAX_BYTES // 2**30} GiB, or none. Refine it in parts.")
    raise DataError(f"{said} in {path}. Resize one to the other's size, or is it another image's?")


def _turned_hint(image: Path) -> str:
    if exif_orientation(image) < 5:
        return ""
    return "The image's EXIF turns it by a quarter, as viewers show it: predict from the turned one."


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers: NDArray[np.float32] = np.exp(logits - logits.max(0))
    powers /= powers.sum(0)
    return powers


def save_refined(path: Path, refined: Refined, palette: list[Color] | None = None) -> None:
    """Write class ids, `.png`, or probabilities, `.npz`; a reader never finds half a file.

    Args:
        path: Where; its folder is made where it is missing.
        refined: What to write.
        palette: A colour for each class; None takes ours.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".png":
        save_index_png(path, refined.ids, palette or distinct_colors(len(refined.probabilities)))
    else:
        save_probabilities(path, refined.probabilities)


def save_probabilities(path: Path, probabilities: NDArray[np.float32]) -> None:
    """Write `probabilities` as float16, compressed, in one step."""

    def write(beside: Path) -> None:
        with beside.open("wb") as file:
            np.savez_compressed(file, probabilities=probabilities.astype(np.float16))

    write_atomically(path, write)


def check_place(path: Path, num_classes: int | None = None) -> None:
    """Refuse a file that could not hold what is to be written into it.

    Raises:
        UsageError: Neither `.png` nor `.npz`; a folder; or a PNG for more classes than a byte tells apart.
    """
    if path.suffix.lower() not in (".png", ".npz") or path.is_dir():
        raise UsageError(
            f"--out: expected a file that ends in .png, for class ids, or .npz, for probabilities, got {path}."
        )
    if num_classes is not None and num_classes > MAX_COLORS and path.suffix.lower() == ".png":
        raise UsageError(f"--out: expected at most {MAX_COLORS} classes for a .png, got {num_classes}. Use .npz.")


def palette_beside(probabilities: Path, num_classes: int) -> list[Color] | None:
    """Return the colours of the NAME.png or NAME.tif that `predict` wrote beside NAME.npz, if there is one."""
    levels = _palette(probabilities.with_suffix(".png")) or _palette(probabilities.with_suffix(".tif"))
    if levels is None or len(levels) < 3 * num_classes:
        return None
    return [(levels[i], levels[i + 1], levels[i + 2]) for i in range(0, 3 * num_classes, 3)]


def _palette(path: Path) -> list[int] | None:
    try:
        with Image.open(path) as image:
            return image.getpalette() if image.mode == "P" else None
    except (OSError, ValueError):
        return None
