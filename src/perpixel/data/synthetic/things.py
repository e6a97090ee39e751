"""What stands in the street: trees, cars, people, poles. Each is painted at one distance."""

import math

import numpy as np

from perpixel.data.synthetic.canvas import CAR, PEDESTRIAN, POLE, TREE, Canvas, Color, Point
from perpixel.data.synthetic.setting import Camera, Light, pick

LEAVES: tuple[Color, ...] = ((62, 104, 52), (84, 122, 58), (52, 88, 56), (112, 124, 56), (168, 116, 48))
PAINTS: tuple[Color, ...] = (
    (178, 36, 38), (36, 66, 130), (208, 208, 206), (44, 46, 50), (136, 140, 146), (232, 230, 224),
    (24, 86, 72), (206, 160, 44), (92, 110, 128), (120, 52, 38),
)  # fmt: skip
CLOTHES: tuple[Color, ...] = (
    (172, 44, 52), (36, 58, 108), (42, 44, 48), (206, 200, 188), (60, 104, 84), (216, 150, 50), (122, 76, 130),
    (96, 122, 164), (110, 90, 72),
)  # fmt: skip
SKINS: tuple[Color, ...] = ((236, 196, 168), (206, 156, 122), (150, 104, 74), (94, 64, 48))
HAIRS: tuple[Color, ...] = ((36, 28, 24), (84, 58, 38), (150, 118, 70), (150, 148, 146))
IRON: Color = (34, 44, 46)
SIGNS: tuple[tuple[Color, Color], ...] = (
    ((196, 32, 38), (240, 240, 236)),
    ((30, 80, 170), (236, 238, 240)),
    ((240, 196, 40), (30, 30, 30)),
)


def paint_tree(canvas: Canvas, camera: Camera, light: Light, x: float, z: float, rng: np.random.Generator) -> None:
    """Paint a trunk and a crown of many clumps, brighter towards the sun."""
    height, spread = rng.uniform(4.5, 9), rng.uniform(1.3, 2.6)
    leaf, bark = pick(LEAVES, rng), pick(((84, 66, 50), (104, 92, 80)), rng)
    _ground_shadow(canvas, camera, light, x, z, 0.55 * spread)
    foot, fork = camera.see(x, 0, z), camera.see(x + rng.uniform(-0.2, 0.2), 0.55 * height, z)
    width = max(camera.size(rng.uniform(0.26, 0.42), z), min(canvas.size[0] / 72, 3))
    canvas.bar(foot, fork, width, light.seen(bark, z, 0.9), TREE)
    middle = 0.68 * height
    for i in range(26):
        turn, reach = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 1) ** 0.6 * (1 - 0.25 * (i > 18))
        across, up = math.cos(turn) * reach, math.sin(turn) * reach
        centre = camera.see(x + spread * across, middle + 0.32 * height * up, z)
        radius = camera.size(spread * rng.uniform(0.26, 0.46), z)
        bright = 0.86 + 0.02 * (i - 13) + 0.2 * up + 0.22 * light.sun * across * light.side
        canvas.ellipse(centre, (radius, 0.85 * radius), light.seen(leaf, z, bright), TREE)


def paint_hedge(canvas: Canvas, camera: Camera, light: Light, x: float, z: float, rng: np.random.Generator) -> None:
    """Paint a low hedge along the street, from `z` on."""
    leaf, length = pick(LEAVES[:4], rng), rng.uniform(4, 10)
    for step in np.linspace(z + length, z, 14).tolist():
        for up in (0.3, 0.75):
            radius = camera.size(rng.uniform(0.5, 0.7), step)
            bright = 0.75 + 0.35 * up + rng.uniform(-0.1, 0.1)
            canvas.ellipse(
                camera.see(x + rng.uniform(-0.15, 0.15), up, step), (radius, 0.8 * radius),
                light.seen(leaf, step, bright), TREE,
            )  # fmt: skip


def paint_car(
    canvas: Canvas, camera: Camera, light: Light, x: float, z: float, ahead: bool, rng: np.random.Generator
) -> None:
    """Paint a car along the street, as a body and a cabin with the end and the side that can be seen.

    Args:
        canvas: Drawn on.
        camera: Seen from.
        light: Seen in.
        x: Its middle, in metres right of the camera.
        z: Its near end, in metres ahead.
        ahead: It shows its tail; otherwise its front.
        rng: Draws its make and colour.
    """
    paint, half = pick(PAINTS, rng), rng.uniform(0.84, 0.96)
    length, waist, roof = rng.uniform(3.8, 4.8), rng.uniform(0.85, 1.0), rng.uniform(1.4, 1.75)
    far, clear = z + length, 0.22
    shade = [camera.see(x + dx, 0, dz) for dx, dz in
             ((-half - 0.15, z - 0.2), (half + 0.15, z - 0.2), (half + 0.15, far), (-half - 0.15, far))]  # fmt: skip
    canvas.shade(shade, 0.55)
    bend = camera.bend * z * z
    side = -1 if x + bend > 0 else 1  # the side of the car that faces the camera's axis
    flank = x + side * half
    if abs(x + bend) > half:
        _paint_flank(canvas, camera, light, flank, side, (z, far), (clear, waist, roof), paint)
    tapered = half - 0.16
    box = [(-half, clear), (half, clear), (half, waist), (-half, waist)]
    # the glass leans: the roof begins a little farther away than the boot or the bonnet does
    set_back = 0.35 if ahead else 1.2
    deck = [
        (x - half, waist, z),
        (x + half, waist, z),
        (x + half, waist, z + set_back),
        (x - half, waist, z + set_back),
    ]
    canvas.polygon((camera.see(*p) for p in deck), light.seen(paint, z, 1.15), CAR)
    cabin = [(x - half + 0.04, waist, z + set_back * 0.7), (x + half - 0.04, waist, z + set_back * 0.7),
             (x + tapered, roof, z + set_back + 0.35), (x - tapered, roof, z + set_back + 0.35)]  # fmt: skip
    top = [(x - tapered, roof, z + set_back + 0.35), (x + tapered, roof, z + set_back + 0.35),
           (x + tapered, roof, far - 0.9), (x - tapered, roof, far - 0.9)]  # fmt: skip
    canvas.polygon((camera.see(*p) for p in top), light.seen(paint, z, 1.2), CAR)
    canvas.polygon((camera.see(*p) for p in cabin), light.seen(paint, z, 0.9), CAR)
    canvas.polygon(_shrunk([camera.see(*p) for p in cabin], 0.84), light.seen((52, 62, 74), z), None)
    for wheel in (-1, 1):
        foot, width = camera.see(x + wheel * (half - 0.2), 0.2, z + 0.1), camera.size(0.13, z)
        canvas.ellipse(foot, (width, 1.6 * width), light.seen((26, 26, 28), z), CAR)
    canvas.polygon((camera.see(x + dx, y, z) for dx, y in box), light.seen(paint, z, light.facing(0)), CAR)
    _paint_face(canvas, camera, light, x, z, half, waist, ahead)


def _paint_face(
    canvas: Canvas, camera: Camera, light: Light, x: float, z: float, half: float, waist: float, ahead: bool
) -> None:
    """Paint bumper, plate and lamps."""
    bumper = [(-half, 0.22), (half, 0.22), (half, 0.42), (-half, 0.42)]
    canvas.polygon((camera.see(x + dx, y, z) for dx, y in bumper), light.seen((52, 54, 58), z), None)
    plate = [(-0.26, 0.44), (0.26, 0.44), (0.26, 0.56), (-0.26, 0.56)]
    canvas.polygon((camera.see(x + dx, y, z) for dx, y in plate), light.seen((228, 226, 206), z), None)
    lamp: Color = (214, 40, 36) if ahead else (250, 246, 224)
    for wing in (-1, 1):
        outer, inner = wing * (half - 0.03), wing * (half - 0.36)
        box = [(outer, waist - 0.32), (inner, waist - 0.3), (inner, waist - 0.12), (outer, waist - 0.08)]
        canvas.polygon((camera.see(x + dx, y, z) for dx, y in box), light.seen(lamp, z, 1.05), None)


def _paint_flank(
    canvas: Canvas, camera: Camera, light: Light, flank: float, side: int,
    span: tuple[float, float], heights: tuple[float, float, float], paint: Color,
) -> None:  # fmt: skip
    """Paint the side of a car: body, windows, wheels."""
    (z, far), (clear, waist, roof) = span, heights
    bright = light.facing(side) * 0.95

    def fill(points: list[Point], color: Color, factor: float, label: int | None) -> None:
        canvas.polygon((camera.see(flank, y, d) for d, y in points), light.seen(color, z, factor), label)

    fill([(z, clear), (far, clear), (far, waist), (z, waist)], paint, bright, CAR)
    inner = flank - side * 0.16
    glass = [(flank, waist, z + 0.5), (flank, waist, far - 0.9), (inner, roof, far - 1.5), (inner, roof, z + 0.9)]
    canvas.polygon((camera.see(*p) for p in glass), light.seen(paint, z, bright * 0.9), CAR)
    canvas.polygon(_shrunk([camera.see(*p) for p in glass], 0.82), light.seen((46, 56, 68), z), None)
    for centre in (z + 0.75, far - 0.8):
        rim = [(centre + 0.33 * math.cos(a), 0.33 + 0.33 * math.sin(a)) for a in np.linspace(0, 6, 14).tolist()]
        fill(rim, (28, 28, 30), 1.0, CAR)
        hub = [(centre + 0.17 * math.cos(a), 0.33 + 0.17 * math.sin(a)) for a in np.linspace(0, 6, 9).tolist()]
        fill(hub, (150, 150, 154), 1.0, None)


def paint_pedestrian(
    canvas: Canvas, camera: Camera, light: Light, x: float, z: float, rng: np.random.Generator
) -> None:
    """Paint somebody walking."""
    tall, stride = rng.uniform(1.5, 1.9), rng.uniform(0.05, 0.3)
    top, trousers = pick(CLOTHES, rng), pick(CLOTHES, rng, 20)
    skin, hair = pick(SKINS, rng), pick(HAIRS, rng)
    _ground_shadow(canvas, camera, light, x, z, 0.28)
    hip, shoulder = 0.5 * tall, 0.83 * tall
    slim = max(1.0, min(canvas.size[0] / 18, 7) / camera.size(0.5, z))  # those far off stay wide enough to see

    def at(dx: float, y: float) -> Point:
        return camera.see(x + dx * slim, y, z)

    limb = camera.size(0.17 * slim, z)
    for way, factor in ((-1, 0.85), (1, 1.0)):
        canvas.bar(at(0.07 * way, hip), at(stride * way, 0.04), limb, light.seen(trousers, z, factor), PEDESTRIAN)
        shoe = at(stride * way, 0.05)
        canvas.ellipse(shoe, (0.7 * limb, 0.45 * limb), light.seen((40, 36, 34), z), PEDESTRIAN)
    swing = 0.5 * stride
    for way in (-1, 1):
        arm = light.seen(top, z, 0.82)
        canvas.bar(at(0.2 * way, shoulder - 0.04), at(0.25 * way - swing, hip), 0.7 * limb, arm, PEDESTRIAN)
    torso = [at(-0.15, hip - 0.1), at(0.15, hip - 0.1), at(0.22, shoulder), at(0.1, shoulder + 0.06),
             at(-0.1, shoulder + 0.06), at(-0.22, shoulder)]  # fmt: skip
    canvas.polygon(torso, light.seen(top, z, 1.0), PEDESTRIAN)
    if rng.random() < 0.3:
        bag = [at(0.1, hip + 0.1), at(0.3, hip + 0.1), at(0.3, hip + 0.42), at(0.1, hip + 0.42)]
        canvas.polygon(bag, light.seen(pick(CLOTHES, rng), z), PEDESTRIAN)
    head = camera.size(0.115 * slim, z)
    canvas.ellipse(at(0, 0.93 * tall), (head, 1.2 * head), light.seen(hair, z), PEDESTRIAN)
    canvas.ellipse(at(0.01, 0.915 * tall), (0.85 * head, 0.95 * head), light.seen(skin, z), PEDESTRIAN)


def paint_lamp(canvas: Canvas, camera: Camera, light: Light, x: float, z: float, side: int) -> None:
    """Paint a street lamp whose arm reaches over the road; `side` is where it stands."""
    metal, width = light.seen(IRON, z), _thickness(canvas, camera, 0.2, z)
    top = camera.see(x, 6.2, z)
    arm = camera.see(x - 1.7 * side, 6.6, z)
    canvas.bar(camera.see(x, 0, z), camera.see(x, 1.0, z), 1.4 * width, metal, POLE)
    canvas.bar(camera.see(x, 0, z), top, width, metal, POLE)
    canvas.bar(top, arm, 0.8 * width, metal, POLE)
    head: Color = (255, 224, 150) if light.lamps > 0.2 else IRON
    canvas.ellipse(arm, (camera.size(0.42, z) + 1, 0.7 * width), light.seen(head, z, 1.1), POLE)
    if light.lamps > 0.2:
        canvas.glow(arm, camera.size(1.5, z), (255, 214, 140), 0.5)


def paint_sign(canvas: Canvas, camera: Camera, light: Light, x: float, z: float, rng: np.random.Generator) -> None:
    """Paint a traffic sign or a traffic light on its pole; all of it is POLE."""
    width, metal = _thickness(canvas, camera, 0.15, z), light.seen(IRON, z)
    height = rng.uniform(2.5, 3.1)
    canvas.bar(camera.see(x, 0, z), camera.see(x, height, z), width, metal, POLE)
    radius = max(camera.size(0.42, z), 1.3 * width)
    column, row = camera.see(x, height, z)
    outer, inner = (light.seen(color, z) for color in SIGNS[int(rng.integers(len(SIGNS)))])
    shape = int(rng.integers(4))
    if shape == 3:
        _paint_traffic_light(canvas, light, (column, row), radius, z, rng)
    elif shape == 2:
        canvas.ellipse((column, row), (radius, radius), outer, POLE)
        canvas.ellipse((column, row), (0.62 * radius, 0.62 * radius), inner, POLE)
    else:
        corners = 3 if shape else 4
        turn = math.pi / 2 if shape else math.pi / 4
        outline = [
            (column + 1.15 * radius * math.cos(turn + i * math.tau / corners),
             row - 1.15 * radius * math.sin(turn + i * math.tau / corners))
            for i in range(corners)
        ]  # fmt: skip
        canvas.polygon(outline, outer, POLE)
        canvas.polygon(_shrunk(outline, 0.55), inner, POLE)


def _paint_traffic_light(
    canvas: Canvas, light: Light, centre: Point, radius: float, z: float, rng: np.random.Generator
) -> None:
    (column, row), on = centre, int(rng.integers(3))
    half, high = 0.62 * radius, 1.5 * radius
    box = [
        (column - half, row - high),
        (column + half, row - high),
        (column + half, row + high),
        (column - half, row + high),
    ]
    canvas.polygon(box, light.seen((34, 36, 36), z), POLE)
    lamps: tuple[Color, ...] = ((255, 60, 48), (255, 190, 60), (70, 240, 140))
    for i, color in enumerate(lamps):
        seen = color if i == on else light.seen((62, 60, 54), z)
        canvas.ellipse((column, row + (i - 1) * 0.95 * radius), (0.38 * radius, 0.38 * radius), seen, POLE)


def _thickness(canvas: Canvas, camera: Camera, metres: float, z: float) -> float:
    """Return a pole's width in pixels; far ones stay wide enough to be seen."""
    return max(camera.size(metres, z), min(canvas.size[0] / 38, 3.4))


def _ground_shadow(canvas: Canvas, camera: Camera, light: Light, x: float, z: float, spread: float) -> None:
    """Paint a shadow that falls away from the sun, or a faint one under clouds."""
    away = -light.side * spread * (1.2 if light.sun > 0.2 else 0)
    along = min(0.8 * spread, 0.4 * z)
    column, near, far = (camera.see(x + away, 0, z + dz) for dz in (0, -along, along))
    radii = (camera.size(1.3 * spread, z), max((near[1] - far[1]) / 2, 0.6))
    canvas.shade_ellipse((column[0], (near[1] + far[1]) / 2), radii, 0.18 + 0.3 * light.sun)


def _shrunk(points: list[Point], share: float) -> list[Point]:
    """Draw corners in towards their middle."""
    x, y = (sum(p[i] for p in points) / len(points) for i in (0, 1))
    return [(x + share * (px - x), y + share * (py - y)) for px, py in points]
