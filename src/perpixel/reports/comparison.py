"""Runs side by side, as a table and as a picture.

image    truth    run A    run B          a row for each image; a caption above each column
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.table import Table
from rich.text import Text

from perpixel.data.dataset import Dataset, Pair
from perpixel.data.palette import colorize, displayable
from perpixel.reports.contact_sheet import GAP, INK, MARGIN, PAPER
from perpixel.runs.compare import Compared

HEIGHT = 160  # of a picture in a row
WIDEST = 4 * HEIGHT  # what would be wider is shown lower
CAPTION = 30
LETTERS = 15


def comparison_table(rows: Sequence[Compared]) -> Table:
    """Return one line a run; the mean IoU of classes with and without masks apart, where there are such.

    It fits into 80 columns with names of up to a dozen letters.
    """
    apart = any(row.unmasked for row in rows)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold")
    table.add_column("network", overflow="fold", min_width=max(len(row.model) for row in rows))
    headings = ["masks", "tags", "mean IoU", "accuracy", *(["with masks", "without"] * apart)]
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, row in zip(_names(rows), rows, strict=True):
        scores = row.evaluation.scores
        values = [scores.mean_iou, scores.pixel_accuracy]
        values += [row.mean_iou(row.masked), row.mean_iou(row.unmasked)] * apart
        shares = ["n/a" if value is None else f"{100 * value:.1f} %" for value in values]
        counts = ["n/a" if count is None else f"{count:,}" for count in (row.masks, row.tags)]
        table.add_row(Text(name), row.model, *counts, *shares)
    return table


def comparison_picture(rows: Sequence[Compared], dataset: Dataset, pairs: Sequence[Pair]) -> Image.Image:
    """Draw each image, its truth and what every run predicts."""
    colors = dataset.palette
    columns: list[tuple[str, list[NDArray[np.uint8]]]] = [("image", []), ("truth", [])]
    for pair in pairs:
        pixels, target = dataset.read(pair)
        columns[0][1].append(displayable(pixels))
        columns[1][1].append(colorize(target, colors))
    for name, row in zip(_names(rows), rows, strict=True):
        columns.append((name, [colorize(found, colors) for found in row.predictions]))
    return drawn_columns(columns)


def _names(rows: Sequence[Compared]) -> list[str]:
    """Return what the runs are called: by their directories' names, or by their paths where two have one name."""
    names = [row.run.resolve().name for row in rows]
    return names if len(set(names)) == len(names) else [str(row.run) for row in rows]


def drawn_columns(columns: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]]) -> Image.Image:
    """Draw captioned columns of RGB pictures, uint8 (H, W, 3), at one height; very wide ones lower."""
    shrunk = [[_fitted(picture) for picture in pictures] for _, pictures in columns]
    font = ImageFont.load_default(size=LETTERS)
    widths = [
        max([int(font.getlength(caption)), *(picture.width for picture in pictures)])
        for (caption, _), pictures in zip(columns, shrunk, strict=True)
    ]
    rows = len(shrunk[0])
    size = (2 * MARGIN + sum(widths) + GAP * (len(widths) - 1), 2 * MARGIN + CAPTION + rows * (HEIGHT + GAP) - GAP)
    sheet = Image.new("RGB", size, PAPER)
    pen, left = ImageDraw.Draw(sheet), MARGIN
    for (caption, _), pictures, width in zip(columns, shrunk, widths, strict=True):
        pen.text((left, MARGIN), caption, fill=INK, font=font)
        for number, picture in enumerate(pictures):
            sheet.paste(picture, (left, MARGIN + CAPTION + number * (HEIGHT + GAP)))
        left += width + GAP
    return sheet


def _fitted(picture: NDArray[np.uint8]) -> Image.Image:
    height, width = picture.shape[:2]
    factor = min(HEIGHT / height, WIDEST / width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return Image.fromarray(picture).resize(size, Image.Resampling.NEAREST)
