"""What a drawing lacks: clouds, grain of surfaces, and the camera's own faults.

Letters: H W pixels.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from perpixel.data.synthetic.canvas import BUILDING, CLASSES, PAVEMENT, ROAD, SKY, TREE
from perpixel.data.synthetic.setting import Camera, Light

# How much fine and coarse noise changes each class's brightness, as fractions.
FINE = {TREE: 0.17, ROAD: 0.05, PAVEMENT: 0.05, BUILDING: 0.035}
COARSE = {TREE: 0.16, ROAD: 0.09, PAVEMENT: 0.1, BUILDING: 0.08}

Colors = NDArray[np.float32]


def add_grain(colors: Colors, ids: NDArray[np.uint8], rng: np.random.Generator) -> Colors:
    """Vary the brightness of every surface."""
    size = (ids.shape[0], ids.shape[1])
    fine = smooth_noise(size, 1.6, rng)
    coarse = 0.6 * smooth_noise(size, 8, rng) + 0.4 * smooth_noise(size, 24, rng)
    change = 1 + _table(FINE, 0.02)[ids] * fine + _table(COARSE, 0.03)[ids] * coarse
    change[ids == SKY] = 1
    return colors * change[..., None].astype(np.float32)


def add_clouds(
    colors: Colors, ids: NDArray[np.uint8], camera: Camera, light: Light, rng: np.random.Generator
) -> Colors:
    """Lay clouds over the sky, flatter towards the horizon."""
    size = (ids.shape[0], ids.shape[1])
    noise = sum(
        weight * smooth_noise(size, size[1] / divisor, rng, stretch=2.4)
        for divisor, weight in ((3, 0.55), (7, 0.3), (16, 0.15))
    )
    cover = np.clip((noise - 0.9 + 1.6 * light.clouds) * 0.9, 0, 0.85)
    fade = np.clip((camera.horizon - np.arange(size[0])) / max(0.4 * camera.horizon, 1), 0, 1)[:, None]
    share = np.where(ids == SKY, cover * (0.25 + 0.75 * fade), 0)[..., None]
    white = np.minimum(np.array(light.low_sky) * (1.04 if light.sun else 0.98) + (12 if light.sun else -14), 255)
    mixed: Colors = (colors + share * (white - colors)).astype(np.float32)
    return mixed


def photograph(colors: Colors, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what a modest camera makes of it: soft, darker in its corners, noisy."""
    height, width = colors.shape[:2]
    rows = np.linspace(-1, 1, height)[:, None] ** 2
    columns = np.linspace(-1, 1, width)[None, :] ** 2
    dimmed = colors * (1 - rng.uniform(0.03, 0.12) * (rows + columns))[..., None]
    soft = Image.fromarray(dimmed.clip(0, 255).astype(np.uint8))
    soft = soft.filter(ImageFilter.GaussianBlur(rng.uniform(0.15, 0.5) * max(1.0, height / 240)))
    noise = rng.standard_normal(colors.shape, dtype=np.float32) * np.float32(rng.uniform(1.0, 4.0))
    pixels: NDArray[np.uint8] = np.rint(np.asarray(soft) + noise).clip(0, 255).astype(np.uint8)
    return pixels


def _table(shares: dict[int, float], other: float) -> NDArray[np.float32]:
    """Return one strength an id; the unlabelled ones have `other` too."""
    table = np.full(256, other, np.float32)
    for label in range(len(CLASSES)):
        table[label] = shares.get(label, other)
    return table


def smooth_noise(
    size: tuple[int, int], grain: float, rng: np.random.Generator, stretch: float = 1.0
) -> NDArray[np.float32]:
    """Return noise of mean 0 within about ±1, whose grains are so many pixels high (and `stretch` times wide)."""
    rows = max(2, round(size[0] / grain) + 2)
    columns = max(2, round(size[1] / (grain * stretch)) + 2)
    small = Image.fromarray((2 * rng.random((rows, columns), dtype=np.float32) - 1).astype(np.float32))
    return np.asarray(small.resize((size[1], size[0]), Image.Resampling.BICUBIC))
