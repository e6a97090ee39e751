"""A page of overlays, which shows whether the masks lie on what they name.

    +--------------------------------------+
    | name                 pairs, encoding |
    | ■ sky 16 %  ■ road 32 %  …           |   the legend, commonest class first
    | +-------+ +-------+ +-------+        |
    | |overlay| |overlay| |overlay|        |   pairs of every split, spread over its names,
    | +-------+ +-------+ +-------+        |   those worth a look first
    |  train/01  train/09  val/03          |
    +--------------------------------------+

Pixels are read one pair at a time, and shrunk before they are coloured.
"""

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from perpixel.data.dataset import Dataset, Pair
from perpixel.data.inspection import Inspection
from perpixel.data.masks import IGNORE
from perpixel.data.palette import Color, displayable, legend, overlay
from perpixel.errors import DataError

INK, FAINT, PAPER, LINE = (38, 40, 48), (118, 122, 134), (255, 255, 255), (226, 228, 234)
MARGIN, GAP, CAPTION, TITLE = 36, 18, 26, 30
PAGE = 1400  # pixels wide
OPACITY = 0.55
KINDS_TO_LOOK_AT = ("EXIF rotation", "empty mask")


@dataclass(frozen=True)
class Grid:
    """Cells of one size: `columns` across, each holding a picture of (height, width)."""

    columns: int
    height: int
    width: int

    def corner(self, index: int, top: int) -> tuple[int, int]:
        """Return (x, y) of a cell's upper left corner."""
        row, column = divmod(index, self.columns)
        return MARGIN + column * (self.width + GAP), top + row * (self.height + CAPTION + GAP)

    def extent(self, count: int) -> int:
        """Return how high so many cells are together."""
        return math.ceil(count / self.columns) * (self.height + CAPTION + GAP)


def draw_contact_sheet(inspection: Inspection, count: int = 12) -> Image.Image:
    """Draw overlays of some pairs, with the legend.

    Args:
        inspection: Of data without fatal problems.
        count: Pairs to show, at most.

    Raises:
        DataError: The data has fatal problems.
    """
    dataset = Dataset(inspection.spec, inspection.root)
    pairs = choose_pairs(inspection, count)
    grid = _plan(inspection, len(pairs))
    names = legend(_entries(inspection, dataset.palette), PAGE - 2 * MARGIN + 16, text_size=19)
    top = MARGIN + TITLE + 16 + names.height + GAP
    sheet = Image.new("RGB", (PAGE, top + grid.extent(len(pairs)) + MARGIN - GAP), PAPER)
    _write_title(sheet, inspection)
    sheet.paste(names, (MARGIN - 9, MARGIN + TITLE + 8))
    for index, pair in enumerate(pairs):
        _draw_cell(sheet, grid, grid.corner(index, top), dataset, pair)
    return sheet


def save_contact_sheet(inspection: Inspection, path: Path | str, count: int = 12) -> Path:
    """Draw the sheet and write it as PNG, replacing the file in one step."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = draw_contact_sheet(inspection, count)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            sheet.save(file, format="PNG")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def choose_pairs(inspection: Inspection, count: int) -> list[Pair]:
    """Return pairs worth a look, then pairs of every split in its proportion, spread over its names."""
    doubtful = {file for p in inspection.problems if p.kind in KINDS_TO_LOOK_AT for file in p.files}
    used = inspection.used
    chosen = [
        p for p in used if _below(p.image, inspection.root) in doubtful or _below(p.mask, inspection.root) in doubtful
    ]
    chosen = _spread(chosen, count // 3)
    for split, size in inspection.splits.items():
        share = max(1, round((count - count // 3) * size / max(1, len(used)))) if size else 0
        chosen += _spread([pair for pair in used if pair.split == split and pair not in chosen], share)
    left = [pair for pair in used if pair not in chosen]
    chosen = (chosen + _spread(left, max(0, count - len(chosen))))[:count]
    order = {pair.id: index for index, pair in enumerate(used)}
    return sorted(chosen, key=lambda pair: order[pair.id])


def _spread(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """Return `count` pairs at equal distances."""
    if len(pairs) <= count:
        return list(pairs)
    return [pairs[int((index + 0.5) * len(pairs) / count)] for index in range(count)]


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _plan(inspection: Inspection, count: int) -> Grid:
    """Return a grid that suits the commonest shape: as many columns as keep pictures large."""
    height, width = map(int, next(iter(inspection.sizes), "3x4").split("x"))
    aspect = min(2.5, max(0.4, width / height))
    columns = min(max(1, count), 3 if aspect > 1.8 else 5 if aspect < 0.7 else 4)
    cell = (PAGE - 2 * MARGIN - (columns - 1) * GAP) // columns
    cell = min(cell, 420)
    return Grid(columns, round(cell / aspect), cell)


def _entries(inspection: Inspection, palette: Sequence[Color]) -> list[tuple[str, Color, float]]:
    """Return the legend: classes by share, then what is ignored."""
    pixels = sum(share.pixels for share in inspection.classes) + inspection.ignored
    rows = zip(inspection.classes, palette, strict=True)
    entries = [(c.name, color, c.pixels / max(1, pixels)) for c, color in rows]
    entries.sort(key=lambda entry: -entry[2])
    shown = entries[:48]
    if inspection.ignored:
        shown.append(("ignored (not coloured)", PAPER, inspection.ignored / max(1, pixels)))
    return shown


def _write_title(sheet: Image.Image, inspection: Inspection) -> None:
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(size=TITLE), ImageFont.load_default(size=18)
    draw.text((MARGIN, MARGIN + TITLE / 2), inspection.spec.name, INK, large, anchor="lm")
    splits = ", ".join(f"{count} {split}" for split, count in inspection.splits.items())
    facts = f"{splits} · {len(inspection.classes)} classes · {inspection.encoding} masks"
    draw.text((PAGE - MARGIN, MARGIN + TITLE / 2), facts, FAINT, small, anchor="rm")


def _draw_cell(sheet: Image.Image, grid: Grid, corner: tuple[int, int], dataset: Dataset, pair: Pair) -> None:
    x, y = corner
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((x, y, x + grid.width - 1, y + grid.height - 1), fill=(246, 247, 250))
    try:
        picture = _overlay_within(dataset, pair, grid)
        at = (x + (grid.width - picture.width) // 2, y + (grid.height - picture.height) // 2)
        sheet.paste(picture, at)
    except DataError as error:
        draw.text((x + 10, y + 10), str(error)[:60], INK, ImageFont.load_default(size=12))
    draw.rectangle((x, y, x + grid.width - 1, y + grid.height - 1), outline=LINE)
    font = ImageFont.load_default(size=15)
    draw.text((x + 1, y + grid.height + 7), _shorten(pair.id, font, grid.width), FAINT, font)


def _overlay_within(dataset: Dataset, pair: Pair, grid: Grid) -> Image.Image:
    """Return the overlay, shrunk or enlarged to fit a cell."""
    pixels, target = dataset.read(pair)
    height, width = target.shape
    factor = min(grid.width / width, grid.height / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = Image.fromarray(displayable(pixels)).resize(size, Image.Resampling.BICUBIC)
    ids = Image.fromarray(target).resize(size, Image.Resampling.NEAREST)
    assert dataset.num_classes <= IGNORE
    return overlay(np.asarray(image), np.asarray(ids), dataset.palette, OPACITY)


def _shorten(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """Return the text, its middle left out where it is too long."""
    kept = len(text)
    shown = text
    while font.getlength(shown) > width and kept > 4:
        kept -= 1
        shown = f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
    return shown
