"""Pictures in columns."""

import numpy as np

from perpixel.reports.comparison import CAPTION, HEIGHT, WIDEST, drawn_columns
from perpixel.reports.contact_sheet import GAP, MARGIN


def test_every_picture_stands_in_its_column_at_one_height() -> None:
    red, blue = np.zeros((20, 40, 3), np.uint8), np.zeros((80, 160, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    sheet = drawn_columns([("image", [red, red]), ("truth", [blue, blue])])
    assert sheet.height == 2 * MARGIN + CAPTION + 2 * HEIGHT + GAP
    top, width = MARGIN + CAPTION + HEIGHT // 2, 2 * HEIGHT
    for row in range(2):
        y = top + row * (HEIGHT + GAP)
        assert sheet.getpixel((MARGIN + width // 2, y)) == (255, 0, 0)
        assert sheet.getpixel((MARGIN + width + GAP + width // 2, y)) == (0, 0, 255)


def test_a_strip_does_not_make_the_sheet_as_wide_as_itself() -> None:
    strip = np.full((8, 30_000, 3), 9, np.uint8)
    sheet = drawn_columns([("image", [strip]), ("truth", [strip])])
    assert sheet.size == (2 * MARGIN + 2 * WIDEST + GAP, 2 * MARGIN + CAPTION + HEIGHT)
    assert sheet.getpixel((MARGIN + WIDEST - 1, MARGIN + CAPTION)) == (9, 9, 9)
