"""One street scene, composed from far to near.

Everything is drawn from one seed, on a canvas that holds colour and class together, so the mask is exact.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from perpixel.data.synthetic.canvas import UNLABELLED, Canvas
from perpixel.data.synthetic.setting import Camera, Light, draw_camera, draw_light
from perpixel.data.synthetic.street import Street, draw_street, paint_ground, paint_houses, paint_sky
from perpixel.data.synthetic.surface import add_clouds, add_grain, photograph
from perpixel.data.synthetic.things import (
    paint_car,
    paint_hedge,
    paint_lamp,
    paint_pedestrian,
    paint_sign,
    paint_tree,
)
from perpixel.errors import UsageError

Pixels = NDArray[np.uint8]
Target = NDArray[np.uint8]
Thing = tuple[float, Callable[[], None]]

SMALLEST = 16


def scene(seed: int | tuple[int, ...], image_size: tuple[int, int]) -> tuple[Pixels, Target]:
    """Draw one street scene.

    Args:
        seed: Non-negative; the same seed and size give the same scene in every process.
        image_size: (H, W), each at least 16.

    Returns: RGB pixels, uint8 (H, W, 3), and class ids, uint8 (H, W): indices into CLASSES, and 255 on
        the bonnet of the car that carries the camera, where it shows.
    Raises:
        UsageError: The size is too small.
    """
    check_size(image_size)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    camera, light, street = draw_camera(image_size, rng), draw_light(rng), draw_street(rng)
    canvas = Canvas(image_size)
    paint_sky(canvas, camera, light, rng)
    paint_ground(canvas, camera, street, light, rng)
    paint_houses(canvas, camera, street, light, rng)
    for _, paint in sorted(_things(canvas, camera, street, light, rng), key=lambda thing: -thing[0]):
        paint()
    if rng.random() < 0.4:
        _paint_bonnet(canvas, rng)
    colors, ids = canvas.finish()
    colors = add_clouds(colors, ids, camera, light, rng)
    return photograph(add_grain(colors, ids, rng), rng), ids


def check_size(image_size: tuple[int, int]) -> None:
    """Refuse sizes at which nothing could be recognised."""
    if min(image_size) < SMALLEST:
        raise UsageError(
            f"scene: expected an image of at least {SMALLEST}×{SMALLEST} pixels, got {tuple(image_size)}. "
            "Give (H, W), e.g. (128, 160)."
        )


def _things(canvas: Canvas, camera: Camera, street: Street, light: Light, rng: np.random.Generator) -> list[Thing]:
    """Place everything that stands in the street, each with its distance."""
    return [
        *_greenery(canvas, camera, street, light, rng),
        *_poles(canvas, camera, street, light, rng),
        *_cars(canvas, camera, street, light, rng),
        *_people(canvas, camera, street, light, rng),
    ]


def _greenery(canvas: Canvas, camera: Camera, street: Street, light: Light, rng: np.random.Generator) -> list[Thing]:
    things: list[Thing] = []
    for side, kerb, wall in _sides(street):
        if rng.random() < 0.65:
            gap, z = rng.uniform(6, 12), rng.uniform(5, 12)
            while z < 55:
                x = kerb + side * rng.uniform(0.6, 1.2)
                things.append((z, _later(paint_tree, canvas, camera, light, x, z, rng)))
                z += gap * rng.uniform(0.7, 1.6)
        if rng.random() < 0.35:
            z = rng.uniform(4, 20)
            x = wall - side * 0.5
            things.append((z, _later(paint_hedge, canvas, camera, light, x, z, rng)))
    return things


def _poles(canvas: Canvas, camera: Camera, street: Street, light: Light, rng: np.random.Generator) -> list[Thing]:
    things: list[Thing] = []
    for side, kerb, _ in _sides(street):
        if rng.random() < 0.75:
            gap, z = rng.uniform(10, 16), rng.uniform(4, 11)
            while z < 28:
                things.append((z, _later(paint_lamp, canvas, camera, light, kerb + 0.45 * side, z, side)))
                z += gap
        for _ in range(int(rng.integers(0, 3))):
            x, z = kerb + side * rng.uniform(0.4, 0.9), rng.uniform(4, 15)
            things.append((z, _later(paint_sign, canvas, camera, light, x, z, rng)))
    return things


def _cars(canvas: Canvas, camera: Camera, street: Street, light: Light, rng: np.random.Generator) -> list[Thing]:
    """Place parked cars at the kerbs and moving ones in both lanes, never one inside another."""
    things: list[Thing] = []
    middle = (street.left + street.right) / 2
    lanes = [
        (street.left + 1.1, rng.uniform(0.1, 0.7), False), (street.right - 1.1, rng.uniform(0.1, 0.7), True),
        ((street.left + middle) / 2 + 0.7, 0.4, False), ((middle + street.right) / 2 - 0.7, 0.4, True),
    ]  # fmt: skip
    wide = street.right - street.left > 7.6
    for x, chance, ahead in lanes if wide else lanes[:2]:
        z = rng.uniform(5, 14)
        while z < 38:
            if rng.random() < chance:
                things.append((z, _later(paint_car, canvas, camera, light, x, z, ahead, rng)))
            z += rng.uniform(5.6, 11)
    return things


def _people(canvas: Canvas, camera: Camera, street: Street, light: Light, rng: np.random.Generator) -> list[Thing]:
    things: list[Thing] = []
    for side, kerb, wall in _sides(street):
        for _ in range(int(rng.integers(1, 5))):
            x, z = kerb + (wall - kerb) * rng.uniform(0.15, 0.85), float(rng.uniform(3.5, 10))
            for mate in range(1 + int(rng.random() < 0.3)):
                place = x - 0.55 * side * mate
                things.append((z + 0.1 * mate, _later(paint_pedestrian, canvas, camera, light, place, z, rng)))
    if rng.random() < 0.45:
        x, z = rng.uniform(street.left + 1, street.right - 1), rng.uniform(4.5, 10)
        things.append((z, _later(paint_pedestrian, canvas, camera, light, x, z, rng)))
    return things


def _sides(street: Street) -> tuple[tuple[int, float, float], tuple[int, float, float]]:
    """Return side, kerb and wall, left and right."""
    return (-1, street.left, street.left_wall), (1, street.right, street.right_wall)


def _later(paint: Callable[..., None], *arguments: object) -> Callable[[], None]:
    return lambda: paint(*arguments)


def _paint_bonnet(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint the bonnet of the camera's own car: nothing that a network should learn to name."""
    height, width = canvas.size
    rise, middle = height * rng.uniform(0.04, 0.1), width * rng.uniform(0.45, 0.55)
    tone = int(rng.integers(26, 70))
    for step in range(5):
        share = 1 - 0.16 * step
        color = (tone + 8 * step, tone + 9 * step, tone + 12 * step)
        canvas.ellipse((middle, height + 1), (0.62 * width * share, rise * share), color, UNLABELLED)
