"""perpixel.data.synthetic.setting: the camera's geometry and the light's arithmetic."""

import numpy as np
import pytest

from perpixel.data.synthetic.setting import HOURS, Camera, draw_camera, draw_light, vary

CAMERA = Camera(horizon=50, vanishing=80, focal=100, height=2, bend=0)


def test_the_ground_meets_the_horizon_far_away() -> None:
    assert CAMERA.see(0, 0, 1e9) == pytest.approx((80, 50), abs=1e-3)


def test_what_is_as_high_as_the_camera_lies_on_the_horizon() -> None:
    assert CAMERA.see(3, 2, 7)[1] == 50


def test_lengths_shrink_with_distance() -> None:
    assert CAMERA.size(2, 10) == 20
    assert CAMERA.see(1, 0, 10)[0] - CAMERA.see(0, 0, 10)[0] == CAMERA.size(1, 10)


def test_the_nearest_ground_lies_at_the_lower_edge() -> None:
    assert CAMERA.see(0, 0, CAMERA.nearest(120))[1] == pytest.approx(120)


def test_a_bend_moves_far_things_more() -> None:
    bent = Camera(50, 80, 100, 2, bend=0.001)
    assert bent.see(0, 0, 10)[0] - 80 == pytest.approx(1)
    assert bent.see(0, 0, 20)[0] - 80 == pytest.approx(2)


@pytest.mark.parametrize("seed", range(20))
def test_distance_fades_every_colour_into_the_sky(seed: int) -> None:
    light = draw_light(np.random.default_rng(seed))
    assert light.seen((10, 200, 30), 1e6) == light.low_sky
    near, far = (np.array(light.seen((0, 0, 0), z)) for z in (1, 50))
    assert (far >= near).all()


def test_walls_towards_the_sun_are_brighter() -> None:
    lights = [draw_light(np.random.default_rng(seed)) for seed in range(30)]
    sunny = [light for light in lights if light.sun]
    assert sunny
    assert all(light.facing(light.side) > light.facing(0) > light.facing(-light.side) for light in sunny)


def test_every_hour_comes_up() -> None:
    skies = {draw_light(np.random.default_rng(seed)).lamps for seed in range(100)}
    assert skies == {hour[4] for hour in HOURS}


@pytest.mark.parametrize("size", [(16, 16), (128, 160), (500, 90)])
def test_the_camera_looks_into_the_picture(size: tuple[int, int]) -> None:
    camera = draw_camera(size, np.random.default_rng(0))
    assert 0 < camera.horizon < size[0] / 2 + 1
    assert 0 < camera.vanishing < size[1]


def test_varied_colours_stay_colours() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        assert all(0 <= value <= 255 for value in vary((0, 128, 255), 60, rng))
