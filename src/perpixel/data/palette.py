"""Class ids as colours: palettes, overlays with legends, and index PNGs that open in colour.

Letters: H W pixels, K classes.
"""

import math
import os
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from perpixel.data.masks import IGNORE
from perpixel.errors import UsageError

Color = tuple[int, int, int]
Palette = Sequence[Color]

IGNORE_COLOR: Color = (224, 224, 192)  # as Pascal VOC draws what it leaves unlabelled
MAX_COLORS = 256
LEGEND_WIDTH = 320  # at least, so that names can be read
LONGEST_ENLARGED = 2048  # pixels that the longer side of a small picture may grow to

# The first colours, chosen by eye to sit well together at half opacity; later ones are computed.
FIRST_COLORS: tuple[Color, ...] = (
    (66, 103, 210), (230, 85, 75), (242, 180, 52), (64, 176, 110), (150, 88, 190), (42, 187, 205),
    (240, 128, 178), (140, 110, 80), (176, 208, 62), (250, 140, 40), (20, 108, 112), (150, 36, 76),
)  # fmt: skip


@cache
def distinct_colors(count: int) -> tuple[Color, ...]:
    """Return colours that are easy to tell apart; fewer are always the first of more.

    Args:
        count: How many, 1 to 256.

    Returns: RGB, 0 to 255. Each further colour is the one farthest from all before it, in Oklab.
    Raises:
        UsageError: More than 256 are asked for.

    Source: Ottosson, "A perceptual color space for image processing", 2020 (Oklab).
    """
    if not 0 <= count <= MAX_COLORS:
        raise UsageError(f"distinct_colors: expected 0 to {MAX_COLORS} colours, got {count}. One byte holds no more.")
    if count <= len(FIRST_COLORS):
        return FIRST_COLORS[:count]
    levels = np.arange(16, 256, 21)
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _oklab(candidates)
    distance = np.full(len(lab), np.inf)
    for taken in _oklab(np.array([*FIRST_COLORS, (0, 0, 0), (255, 255, 255)])):
        distance = np.minimum(distance, ((lab - taken) ** 2).sum(1))
    colors = list(FIRST_COLORS)
    while len(colors) < count:
        farthest = int(distance.argmax())
        red, green, blue = candidates[farthest].tolist()
        colors.append((red, green, blue))
        distance = np.minimum(distance, ((lab - lab[farthest]) ** 2).sum(1))
    return tuple(colors)


def _oklab(colors: NDArray[Any]) -> NDArray[np.float64]:
    """Convert sRGB (…, 3), 0 to 255, to Oklab, where distances are about those that people see."""
    encoded = colors / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    lab: NDArray[np.float64] = np.cbrt(linear @ to_cones.T) @ to_lab.T
    return lab


def colorize(prediction: NDArray[Any], palette: Palette) -> NDArray[np.uint8]:
    """Paint each pixel in its class's colour.

    Args:
        prediction: Class ids (H, W); IGNORE is painted in IGNORE_COLOR.
        palette: One colour a class.

    Returns: uint8 (H, W, 3).
    Raises:
        UsageError: An id has no colour.
    """
    return _lookup(palette)[_ids(prediction, palette)]


def _lookup(palette: Palette) -> NDArray[np.uint8]:
    table = np.zeros((MAX_COLORS, 3), np.uint8)
    table[: len(palette)] = np.asarray(palette, np.uint8).reshape(-1, 3)
    if len(palette) <= IGNORE:
        table[IGNORE] = IGNORE_COLOR
    return table


def _ids(prediction: NDArray[Any], palette: Palette) -> NDArray[np.uint8]:
    """Return the ids as bytes, each with a colour."""
    if prediction.ndim != 2 or not np.issubdtype(prediction.dtype, np.integer):
        raise UsageError(
            f"palette: expected integer ids of shape (H, W), got {prediction.shape} in {prediction.dtype}. "
            "Give one image's class ids."
        )
    strange = (prediction < 0) | ((prediction >= len(palette)) & (prediction != IGNORE))
    if strange.any():
        raise UsageError(
            f"palette: expected ids within 0..{len(palette) - 1} or {IGNORE}, got {prediction[strange][0]}. "
            "Give a colour for each class."
        )
    return prediction.astype(np.uint8)


def displayable(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels as people can look at them: uint8 (H, W, 3).

    Eight bits stay as they are. Sixteen are stretched so that the darkest and brightest hundredth are black
    and white. One or two channels show the first, in grey; more than three show the first three.
    """
    shown = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    if shown.dtype == np.uint8:
        return np.ascontiguousarray(shown)
    dark, bright = np.percentile(shown[::2, ::2], (1, 99)) if shown.size else (0.0, 1.0)
    stretched = (shown.astype(np.float32) - dark) * (255 / max(bright - dark, 1))
    return np.rint(stretched).clip(0, 255).astype(np.uint8)


def overlay(pixels: NDArray[Any], prediction: NDArray[Any], palette: Palette, opacity: float = 0.5) -> Image.Image:
    """Lay the classes' colours over an image, and draw the borders between them.

    Args:
        pixels: uint8 or uint16, (H, W, C).
        prediction: Class ids (H, W) of the same size; IGNORE shows the image alone.
        palette: One colour a class.
        opacity: 0 shows the image, 1 the colours.

    Returns: An RGB picture of the image's size.
    Raises:
        UsageError: Sizes differ, an id has no colour, or the opacity is no fraction.
    """
    _check(pixels, prediction, opacity)
    ids = _ids(prediction, palette)
    share = np.where(_borders(ids), (1 + 2 * opacity) / 3 if opacity else 0, opacity).astype(np.float32)
    share[ids == IGNORE] = 0
    base, paint = displayable(pixels).astype(np.float32), _lookup(palette)[ids]
    mixed = base + share[..., None] * (paint - base)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def _borders(ids: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark pixels whose right or lower neighbour is of another class."""
    marked = np.zeros(ids.shape, np.bool_)
    marked[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    marked[:-1] |= ids[:-1] != ids[1:]
    return marked


def _check(pixels: NDArray[Any], prediction: NDArray[Any], opacity: float) -> None:
    if pixels.ndim != 3 or pixels.shape[:2] != prediction.shape:
        raise UsageError(
            f"overlay: expected pixels (H, W, C) and ids (H, W) of one size, got {pixels.shape} and "
            f"{prediction.shape}. Predict at the image's own size."
        )
    if not 0 <= opacity <= 1:
        raise UsageError(f"overlay: expected an opacity from 0 to 1, got {opacity}. Say e.g. 0.5.")


def overlay_with_legend(
    pixels: NDArray[Any],
    prediction: NDArray[Any],
    palette: Palette,
    classes: Sequence[str],
    opacity: float = 0.5,
) -> Image.Image:
    """Lay colours over an image and name those that occur, below it; small images are enlarged, unless very long.

    Args:
        pixels: uint8 or uint16, (H, W, C).
        prediction: Class ids (H, W) of the same size.
        palette: One colour a class.
        classes: One name a class.
        opacity: 0 shows the image, 1 the colours.

    Returns: An RGB picture, at least as wide as the image.
    """
    _check(pixels, prediction, opacity)
    times = max(1, min(math.ceil(LEGEND_WIDTH / prediction.shape[1]), LONGEST_ENLARGED // max(prediction.shape)))
    size = (prediction.shape[1] * times, prediction.shape[0] * times)
    larger = np.asarray(Image.fromarray(displayable(pixels)).resize(size, Image.Resampling.BICUBIC))
    ids = _ids(prediction, palette).repeat(times, 0).repeat(times, 1)
    picture = overlay(larger, ids, palette, opacity)
    names = legend(_entries(prediction, palette, classes), max(picture.width, LEGEND_WIDTH))
    joined = Image.new("RGB", (names.width, picture.height + names.height), "white")
    joined.paste(picture, (0, 0))
    joined.paste(names, (0, picture.height))
    return joined


def _entries(prediction: NDArray[Any], palette: Palette, classes: Sequence[str]) -> list[tuple[str, Color, float]]:
    """Return name, colour and share of each class that occurs, the largest first."""
    counts = np.bincount(prediction.ravel(), minlength=len(palette))[: len(palette)]
    shares = counts / max(prediction.size, 1)
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda c: -counts[c])
    return [(classes[c], palette[c], float(shares[c])) for c in order]


def legend(
    entries: Iterable[tuple[str, Color] | tuple[str, Color, float]], width: int, text_size: int | None = None
) -> Image.Image:
    """Draw swatches with names, in as many lines as the width needs.

    Args:
        entries: (name, colour) or (name, colour, share of the picture).
        width: Of the strip, in pixels.
        text_size: Height of the letters, in pixels; None fits it to the width.

    Returns: An RGB strip, dark on white.
    """
    size = text_size or min(28, max(12, width // 42))
    font = ImageFont.load_default(size=size)
    gap, swatch, line = size // 2, size, round(size * 1.7)
    places: list[tuple[int, int, str, Color]] = []
    left, top = gap, gap
    for name, color, *share in entries:
        label = name + (f"  {_percent(share[0])}" if share else "")
        needed = swatch + gap + math.ceil(font.getlength(label)) + 2 * gap
        if left > gap and left + needed - gap > width:
            left, top = gap, top + line
        places.append((left, top, label, color))
        left += needed
    strip = Image.new("RGB", (width, top + line), "white")
    draw = ImageDraw.Draw(strip)
    for x, y, label, color in places:
        draw.rounded_rectangle((x, y, x + swatch, y + swatch), swatch // 4, fill=color, outline=_darker(color))
        draw.text((x + swatch + gap, y + swatch / 2), label, fill=(45, 45, 52), font=font, anchor="lm")
    return strip


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.0995 else f"{max(share, 0.001):.1%}"


def _darker(color: Color) -> Color:
    red, green, blue = (value * 3 // 4 for value in color)
    return red, green, blue


def index_image(prediction: NDArray[Any], palette: Palette) -> Image.Image:
    """Return class ids (H, W) as a one-byte image that viewers show in the palette's colours."""
    image = Image.fromarray(_ids(prediction, palette))
    image.putpalette(_lookup(palette).tobytes())
    return image


def save_index_png(path: Path | str, prediction: NDArray[Any], palette: Palette) -> None:
    """Write ids as a one-byte PNG that viewers show in the palette's colours.

    The file is replaced at once: a reader finds the old one or the new one, never half of it.

    Args:
        path: Where; its folder exists.
        prediction: Class ids (H, W).
        palette: One colour a class.
    """
    image, path = index_image(prediction, palette), Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            image.save(file, format="PNG")
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@cache
def _umask() -> int:
    """Return the permissions that new files leave out; mkstemp's are for the owner only."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
