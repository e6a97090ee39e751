"""perpixel.data.synthetic.surface: texture that stays within its class."""

import numpy as np

from perpixel.data.synthetic.canvas import ROAD, SKY, TREE
from perpixel.data.synthetic.setting import draw_camera, draw_light
from perpixel.data.synthetic.surface import add_clouds, add_grain, photograph

SIZE = (48, 64)


def test_grain_keeps_a_surfaces_mean_and_spares_the_sky() -> None:
    ids = np.full(SIZE, ROAD, np.uint8)
    ids[:24] = SKY
    grained = add_grain(np.full((*SIZE, 3), 100, np.float32), ids, np.random.default_rng(0))
    assert (grained[:24] == 100).all()
    assert abs(grained[24:].mean() - 100) < 5
    assert grained[24:].std() > 1


def test_leaves_are_rougher_than_asphalt() -> None:
    flat = np.full((*SIZE, 3), 100, np.float32)
    rough, smooth = (
        add_grain(flat, np.full(SIZE, label, np.uint8), np.random.default_rng(0)).std() for label in (TREE, ROAD)
    )
    assert rough > 1.5 * smooth


def test_clouds_are_only_in_the_sky() -> None:
    rng = np.random.default_rng(0)
    colors = np.full((*SIZE, 3), 60, np.float32)
    ids = np.full(SIZE, ROAD, np.uint8)
    ids[:20] = SKY
    clouded = add_clouds(colors, ids, draw_camera(SIZE, rng), draw_light(rng), rng)
    assert (clouded[20:] == 60).all()
    assert (clouded[:20] != 60).any()


def test_a_photograph_is_darker_in_its_corners_and_noisy() -> None:
    pixels = photograph(np.full((*SIZE, 3), 200, np.float32), np.random.default_rng(0))
    assert pixels.dtype == np.uint8
    assert pixels[:8, :8].mean() < pixels[20:28, 28:36].mean()
    assert pixels[20:28, 28:36].std() > 1
