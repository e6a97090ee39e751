"""Masks made by hand, and the evidence that a scan of them would gather."""

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from perpixel.data.inspection.histogram import Held, add_all, count_values
from perpixel.data.inspection.verdict import Evidence


def _evidence_of(masks: list[np.ndarray], **about: Any) -> Evidence:
    counts = [count_values(mask, lossy=about.get("lossy", False)) for mask in masks]
    names = tuple(f"{index:04d}.png" for index in range(len(masks)))
    return Evidence(add_all(counts), names, tuple(Held.of(count) for count in counts), **about)


def _stripes(ids: list[int], width: int = 12, dtype: Any = np.uint8) -> np.ndarray:
    """Return a mask with a vertical stripe an id."""
    return np.repeat(np.array(ids, dtype), width)[None].repeat(24, axis=0)


def _discs(background: Any, disc: Any, mode: str, seed: int = 0, smooth: bool = True) -> Image.Image:
    """Return two discs, drawn eight times as large and shrunk where edges are to be smooth."""
    rng = np.random.default_rng(seed)
    large = Image.new(mode, (8 * 96, 8 * 64), background)
    for x, y in rng.uniform(20, 44, (2, 2)) * 8 + [[0, 0], [256, 0]]:
        ImageDraw.Draw(large).ellipse((x - 100, y - 100, x + 100, y + 100), fill=disc)
    return large.resize((96, 64), Image.Resampling.BOX if smooth else Image.Resampling.NEAREST)


@pytest.fixture
def evidence_of() -> Any:
    return _evidence_of


@pytest.fixture
def stripes() -> Any:
    return _stripes


@pytest.fixture
def discs() -> Any:
    return _discs
