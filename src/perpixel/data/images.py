"""Read images as arrays of pixels, whatever they are stored as, within stated bounds.

Letters: H W pixels, C channels. Pixels are uint8 or uint16, (H, W, C), EXIF rotation applied.
"""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perpixel.errors import DataError

Pixels = NDArray[np.uint8 | np.uint16]

MAX_PIXELS = 2**28  # 16384 × 16384: what one image may decode to
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".npy"}
)
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")

_ORIENTATION = 0x0112  # the EXIF tag
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
_TIFF = (".tif", ".tiff")
_LIMIT = threading.Lock()


def read_pixels(path: Path | str, *, channels: int | None = None) -> Pixels:
    """Read an image as (H, W, C), uint8 or uint16.

    Colour of 16 bits a channel in PNG or TIFF is read as its upper 8 bits, as Pillow does; `.npy` keeps all 16.

    Args:
        path: An image file, or a `.npy` array of shape (H, W) or (H, W, C).
        channels: How many to return: grey is repeated, colour is reduced to luminance. None keeps the
            file's own: 1 for grey, 3 for colour; an alpha channel is left out.

    Raises:
        DataError: No file, not an image, truncated, too large, or not convertible to `channels`.
    """
    path = Path(path)
    pixels = _read_array(path) if path.suffix.lower() == ".npy" else _read_image(path, channels)
    return pixels if channels is None else convert_channels(pixels, channels, str(path))


def image_size(path: Path | str) -> tuple[int, int]:
    """Return (H, W) as `read_pixels` would give them, from the header alone."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        height, width = _map_array(path).shape[:2]
        return int(height), int(width)
    with open_image(path) as image:
        width, height = image.size
        swapped = image.format != "TIFF" and _orientation(image) >= 5  # TIFF reports the turned size itself
    return (width, height) if swapped else (height, width)


def list_images(folder: Path | str, *, recursive: bool = True) -> list[Path]:
    """Return the image files of a folder, sorted; hidden ones are left out.

    Raises:
        DataError: There is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"list_images: expected a folder, found none at {folder}. Check the path.")
    return [folder / name for name in image_names(folder, recursive=recursive)]


def image_names(folder: Path, *, recursive: bool = True) -> list[str]:
    """Return the image files of a folder as paths below it, with slashes, sorted; hidden ones are left out."""
    found: list[str] = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))] if recursive else []
        below = os.path.relpath(path, folder).replace(os.sep, "/")
        start = "" if below == "." else f"{below}/"
        found.extend(start + name for name in names if is_image_name(name))
    return sorted(found)


def is_image_name(name: str) -> bool:
    """Say whether a file name looks like an image that can be read."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def exif_orientation(path: Path | str) -> int:
    """Return the EXIF orientation, 1 to 8; 1 is upright."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return 1
    with open_image(path) as image:
        return _orientation(image)


def turn_upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an array (H, W, …) the way EXIF asks for.

    Source: Exif 2.32, tag 0x0112 (JEITA CP-3451).
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def open_image(path: Path) -> Image.Image:
    """Open an image file and check its header; pixels are decoded later.

    Raises:
        DataError: No file, not an image, or larger than `MAX_PIXELS`.
    """
    if not path.is_file():
        raise DataError(f"images: expected an image file, found none at {path}. Check the path.")
    try:
        image = _open_unlimited(path)
    except Exception as error:  # decoders raise anything
        raise DataError(_unreadable(path, error)) from error
    try:
        check_size(path, image.size[1], image.size[0])
    except DataError:
        image.close()
        raise
    return image


def check_size(path: Path, height: int, width: int) -> None:
    """Raise `DataError` where an image is too large to decode, or empty."""
    if height * width > MAX_PIXELS:
        raise DataError(
            f"images: expected at most {MAX_PIXELS:,} pixels, got {height} × {width} in {path}. "
            "Cut it into tiles, or make it smaller."
        )
    if height < 1 or width < 1:
        raise DataError(f"images: expected at least one pixel, got {height} × {width} in {path}. Leave it out.")


def decode_image(path: Path) -> tuple[Image.Image, int]:
    """Decode an image file wholly; return it with the EXIF orientation that is still to be applied."""
    with open_image(path) as image:
        try:
            orientation = 1 if image.format == "TIFF" else _orientation(image)  # TIFF turns itself
            image.load()
        except Exception as error:
            raise DataError(_unreadable(path, error)) from error
        return image, orientation


def convert_channels(pixels: Pixels, channels: int, name: str) -> Pixels:
    """Return (H, W, `channels`): grey repeated, or colour reduced to luminance.

    Raises:
        DataError: There is no sensible way.
    """
    found = pixels.shape[2]
    if found == channels:
        return pixels
    if found == 1:
        return np.repeat(pixels, channels, axis=2)
    if found == 3 and channels == 1:
        return _luminance(pixels)
    if found == 4 and channels == 3:
        return np.ascontiguousarray(pixels[:, :, :3])
    raise DataError(
        f"images: expected {channels} channels, got {found} in {name}. "
        f"Say `channels: {found}` in dataset.yaml if every image has {found}, or leave this one out."
    )


def _luminance(pixels: Pixels) -> Pixels:
    """Source: ITU-R BT.601."""
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(grey)[:, :, None].astype(pixels.dtype)


def _read_image(path: Path, channels: int | None) -> Pixels:
    image, orientation = decode_image(path)
    pixels = _to_array(image, path, keep_alpha=channels == 4)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return turn_upright(pixels, orientation) if orientation != 1 else pixels


def _to_array(image: Image.Image, path: Path, *, keep_alpha: bool) -> Pixels:
    if image.mode in _SIXTEEN_BITS:
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("I", "F"):
        return _to_sixteen_bits(np.asarray(image), path)
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))
    if image.mode in ("RGBA", "RGBX", "CMYK") and keep_alpha:
        return np.asarray(image)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def _to_sixteen_bits(values: NDArray[Any], path: Path) -> NDArray[np.uint16]:
    if values.dtype.kind not in "iu" or values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise DataError(
            f"images: expected 8 or 16 bits a channel, got {values.dtype} from {values.min()} to {values.max()} "
            f"in {path}. Scale it to 0–65535 and save it as 16-bit PNG or .npy."
        )
    return values.astype(np.uint16)


def _read_array(path: Path) -> Pixels:
    array = np.array(_map_array(path))
    if array.ndim == 2:
        array = array[:, :, None]
    return array if array.dtype == np.uint8 else _to_sixteen_bits(array, path)


def _map_array(path: Path) -> NDArray[Any]:
    """Open a `.npy` without reading it; never unpickles."""
    if not path.is_file():
        raise DataError(f"images: expected an array file, found none at {path}. Check the path.")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise DataError(_unreadable(path, error)) from error
    if array.ndim not in (2, 3):
        raise DataError(f"images: expected an array (H, W) or (H, W, C), got {array.shape} in {path}.")
    check_size(path, array.shape[0], array.shape[1])
    return array


def _open_unlimited(path: Path) -> Image.Image:
    """Open with our own bound in place of Pillow's, which warns or refuses by a process-wide number."""
    with _LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _unreadable(path: Path, error: BaseException) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    many = "If it is a TIFF of more than four channels, save it as .npy. " if path.suffix.lower() in _TIFF else ""
    return (
        f"images: expected a whole image, cannot read {path} ({reason}). "
        f"{many}Restore it from its source, or leave it out; in a data set, by `exclude` in dataset.yaml."
    )
