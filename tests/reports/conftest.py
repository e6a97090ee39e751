"""A small data set, inspected."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.inspection import Inspection, inspect


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "cells"
    rng = np.random.default_rng(0)
    for number in range(10):
        split = "train" if number < 7 else "val"
        for side in ("images", "masks"):
            (root / side / split).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (24, 36, 3), dtype=np.uint8)
        ids = rng.integers(0, 2, (6, 9), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
        Image.fromarray(pixels).save(root / f"images/{split}/{number}.png")
        Image.fromarray(255 * ids).save(root / f"masks/{split}/{number}.png")
    (root / "classes.txt").write_text("membrane\ncell\n")
    return root


@pytest.fixture
def inspection(data: Path) -> Inspection:
    return inspect(data)
