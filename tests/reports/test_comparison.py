"""Pictures in columns."""

import numpy as np

from perpixel.reports.comparison import CAPTION, HEIGHT, drawn_columns
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
