"""Levels far apart are found under noise; ids close together are not taken for noise."""

import io

import numpy as np
import pytest
from PIL import Image

from perpixel.data.inspection.histogram import count_values
from perpixel.data.inspection.levels import find_levels


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
def test_0_and_255_survive_any_jpeg(discs, quality: int) -> None:
    file = io.BytesIO()
    discs(0, 255, "L").save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        assert find_levels(count_values(np.asarray(image), lossy=True), lossy=True) == [0, 255]


def test_smooth_edges_are_between_the_levels(discs) -> None:
    assert find_levels(count_values(np.asarray(discs(0, 200, "L"))), lossy=False) == [0, 200]


def test_ids_are_no_levels(stripes) -> None:
    assert find_levels(count_values(stripes([0, 3, 1, 9])), lossy=False) == []
