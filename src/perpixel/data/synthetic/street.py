"""What stands still and fills the picture: sky, skyline, ground, rows of houses."""

from dataclasses import dataclass

import numpy as np

from perpixel.data.synthetic.canvas import BUILDING, PAVEMENT, ROAD, TREE, Canvas, Color
from perpixel.data.synthetic.setting import Camera, Light, pick

END = 110.0  # metres; the street is drawn so far

WALLS: tuple[Color, ...] = (
    (150, 84, 66), (178, 110, 84), (196, 178, 148), (214, 204, 184), (150, 148, 146), (120, 116, 116),
    (204, 170, 112), (176, 190, 190), (224, 218, 208), (134, 104, 88), (186, 148, 140), (108, 122, 134),
)  # fmt: skip
ROOFS: tuple[Color, ...] = ((116, 66, 54), (82, 80, 86), (98, 74, 64), (70, 76, 84))
SHOPS: tuple[Color, ...] = ((120, 40, 44), (36, 70, 84), (44, 84, 60), (60, 54, 60), (170, 120, 40))
GLASS: Color = (74, 88, 104)
LIT: Color = (250, 206, 120)


@dataclass(frozen=True)
class Street:
    """Where the road ends and the houses begin, in metres right of the camera.

    Args:
        left: Left kerb.
        right: Right kerb.
        left_wall: Line of the left houses.
        right_wall: Line of the right houses.
    """

    left: float
    right: float
    left_wall: float
    right_wall: float


def draw_street(rng: np.random.Generator) -> Street:
    """Draw a street; the camera drives in its right half."""
    half = rng.uniform(2.9, 4.4)
    centre = half * rng.uniform(-0.7, 0.1)
    left_walk, right_walk = rng.uniform(2.4, 6.5, 2)
    left, right = centre - half, centre + half
    return Street(left, right, left - left_walk, right + right_walk)


def paint_sky(canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator) -> None:
    """Paint the sky, perhaps the sun's glow, and a far skyline or hills."""
    height, width = canvas.size
    canvas.gradient(light.zenith, light.low_sky, camera.horizon + 1)
    if light.sun > 0.5 and rng.random() < 0.5:
        where = (width * (0.5 + 0.4 * light.side * rng.random()), camera.horizon * rng.uniform(0.05, 0.6))
        canvas.glow(where, width * rng.uniform(0.12, 0.25), (255, 244, 214), 0.7)
    x = -0.05 * width
    hills = rng.random() < 0.4
    tone = pick(WALLS, rng)
    while x < width:
        step = width * rng.uniform(0.04, 0.12)
        top = camera.horizon - height * rng.uniform(0.01, 0.11)
        if hills:
            radii = (step * 1.2, camera.horizon - top)
            canvas.ellipse((x, camera.horizon), radii, light.seen((70, 100, 66), END), TREE)
        else:
            box = [(x, top), (x + step, top), (x + step, camera.horizon + 1), (x, camera.horizon + 1)]
            canvas.polygon(box, light.seen(tone, 0.8 * END, rng.uniform(0.75, 1)), BUILDING)
        x += step


def paint_ground(canvas: Canvas, camera: Camera, street: Street, light: Light, rng: np.random.Generator) -> None:
    """Paint pavements and road in strips that fade with distance, then kerbs and markings."""
    near = max(0.3, 0.7 * camera.nearest(canvas.size[0]))
    asphalt, stone = (
        pick(((92, 92, 98), (112, 110, 110), (78, 80, 88)), rng),
        pick(((168, 160, 150), (150, 148, 148), (178, 160, 140), (134, 130, 130)), rng),
    )
    edges = np.geomspace(near, 6 * END, 26).tolist()
    for z1, z0 in zip(edges[:0:-1], edges[-2::-1], strict=True):
        _strip(canvas, camera, -3 * z1 - 20, 3 * z1 + 20, z0, z1, light.seen(stone, z0), PAVEMENT)
        _strip(canvas, camera, street.left, street.right, z0, z1, light.seen(asphalt, z0), ROAD)
        for kerb, side in ((street.left, -1), (street.right, 1)):
            inner, outer = sorted((kerb, kerb + 0.22 * side))
            _strip(canvas, camera, inner, outer, z0, z1, light.seen(stone, z0, 1.2), PAVEMENT)
    _paint_slabs(canvas, camera, street, light, stone, near)
    _paint_markings(canvas, camera, street, light, near, rng)


def _strip(
    canvas: Canvas, camera: Camera, x0: float, x1: float, z0: float, z1: float, color: Color, label: int | None
) -> None:
    corners = [camera.see(x0, 0, z0), camera.see(x1, 0, z0), camera.see(x1, 0, z1), camera.see(x0, 0, z1)]
    canvas.polygon(corners, color, label)


def _paint_slabs(canvas: Canvas, camera: Camera, street: Street, light: Light, stone: Color, near: float) -> None:
    """Draw the joints between paving slabs."""
    for kerb, wall in ((street.left - 0.2, street.left_wall), (street.right + 0.2, street.right_wall)):
        for z in np.arange(max(near, 1.0), 16.0, 1.5).tolist():
            _strip(canvas, camera, min(kerb, wall), max(kerb, wall), z, z + 0.07, light.seen(stone, z, 0.86), None)


def _paint_markings(
    canvas: Canvas, camera: Camera, street: Street, light: Light, near: float, rng: np.random.Generator
) -> None:
    """Draw repairs, a dashed line, perhaps lines at the kerbs and a crossing."""
    for _ in range(int(rng.integers(0, 4))):
        x, z = rng.uniform(street.left, street.right - 1), rng.uniform(near, 25)
        x1 = min(street.right, x + rng.uniform(0.6, 2.5))
        _strip(
            canvas, camera, x, x1, z, z + rng.uniform(1, 5), light.seen((74, 74, 78), z, rng.uniform(0.8, 1.3)), None
        )
    middle, white = (street.left + street.right) / 2, (226, 226, 220)
    for z in np.arange(near + rng.uniform(0, 3), 70, 6).tolist():
        _strip(canvas, camera, middle - 0.09, middle + 0.09, z, z + 2.6, light.seen(white, z), None)
    if rng.random() < 0.5:
        color = pick(((226, 226, 220), (220, 186, 60)), rng)
        for x in (street.left + 0.3, street.right - 0.42):
            for z0, z1 in ((near, 3.0), (3.0, 8.0), (8.0, 25.0), (25.0, 70.0)):
                if z1 > z0:
                    _strip(canvas, camera, x, x + 0.12, z0, z1, light.seen(color, z0), None)
    if rng.random() < 0.35:
        z = rng.uniform(5, 16)
        for x in np.arange(street.left + 0.4, street.right - 0.6, 1.0).tolist():
            _strip(canvas, camera, x, x + 0.5, z, z + 3, light.seen(white, z), None)


def paint_houses(canvas: Canvas, camera: Camera, street: Street, light: Light, rng: np.random.Generator) -> None:
    """Paint both rows of houses from far to near, and their shadow on the ground."""
    for side, wall in ((-1, street.left_wall), (1, street.right_wall)):
        houses: list[tuple[float, float, float]] = []
        z, usual = rng.uniform(-4, 6), rng.uniform(6, 15)
        while z < END:
            length = rng.uniform(7, 18)
            if rng.random() > 0.16:
                houses.append((z, z + length, float(np.clip(usual * rng.uniform(0.6, 1.5), 4, 24))))
            z += length + (rng.uniform(1, 7) if rng.random() < 0.2 else 0)
        for z0, z1, height in reversed(houses):
            if light.sun > 0.2 and side == light.side:
                _paint_shadow(canvas, camera, wall, side, (max(z0, 1), z1), height, light.sun)
            _House(canvas, camera, light, wall, side, (z0, z1), height).paint(rng)


def _paint_shadow(
    canvas: Canvas, camera: Camera, wall: float, side: int, span: tuple[float, float], height: float, sun: float
) -> None:
    reach = wall - side * height * 0.55
    lean = height * 0.15
    corners = [(wall, span[0]), (wall, span[1]), (reach, span[1] + lean), (reach, span[0] + lean)]
    canvas.shade((camera.see(x, 0, z) for x, z in corners), 0.42 * sun)


@dataclass(frozen=True)
class _House:
    """One house: a front along the street, and the end that looks at the camera.

    Args:
        wall: Its front, in metres right of the camera.
        side: −1 left of the street, +1 right.
        span: Where the front begins and ends, in metres ahead.
        height: Of the front, in metres.
    """

    canvas: Canvas
    camera: Camera
    light: Light
    wall: float
    side: int
    span: tuple[float, float]
    height: float

    def paint(self, rng: np.random.Generator) -> None:
        """Paint the house."""
        color, roof = pick(WALLS, rng), pick(ROOFS, rng)
        shop = pick(SHOPS, rng) if rng.random() < 0.45 else None
        storey, bay = rng.uniform(2.8, 3.5), rng.uniform(2.2, 3.6)
        gable = rng.uniform(1.5, 3.0) if rng.random() < 0.4 else 0.0
        start, end = self.span
        if start > 1.5:
            self._paint_end(color, roof, gable)
        start = max(start, 0.35)
        self._front(start, end, 0, self.height, color, 1.0, BUILDING)
        self._paint_roof(start, end, roof, gable)
        self._front(start, end, 0, 0.5, color, 0.75, None)
        self._paint_windows(start, end, storey, bay, shop is not None, rng)
        if shop is not None:
            self._paint_shop(start, end, shop, rng)

    def _front(
        self, z0: float, z1: float, low: float, high: float, color: Color, factor: float, label: int | None
    ) -> None:
        """Paint a part of the front."""
        seen = self.light.seen(color, (z0 + min(z1, z0 + 8)) / 2, factor * self.light.facing(-self.side))
        corners = [(z0, low), (z1, low), (z1, high), (z0, high)]
        self.canvas.polygon((self.camera.see(self.wall, y, z) for z, y in corners), seen, label)

    def _paint_end(self, color: Color, roof: Color, gable: float) -> None:
        z, back = self.span[0], self.wall + 11 * self.side
        outline = [(self.wall, 0.0), (self.wall, self.height), (back, self.height), (back, 0.0)]
        if gable:
            outline.insert(2, ((self.wall + back) / 2, self.height + gable))
        seen = self.light.seen(color, z, 0.86 * self.light.facing(0))
        self.canvas.polygon((self.camera.see(x, y, z) for x, y in outline), seen, BUILDING)

    def _paint_roof(self, z0: float, z1: float, roof: Color, gable: float) -> None:
        """Paint a pitched roof's slope, or a flat one's cornice."""
        if not gable:
            self._front(z0, z1, self.height - 0.35, self.height, roof, 1.15, None)
            return
        ridge = self.wall + 5.5 * self.side
        corners = [
            (self.wall, self.height, z0), (self.wall, self.height, z1),
            (ridge, self.height + gable, z1), (ridge, self.height + gable, z0),
        ]  # fmt: skip
        seen = self.light.seen(roof, z0 + 2, self.light.facing(-self.side))
        self.canvas.polygon((self.camera.see(*corner) for corner in corners), seen, BUILDING)

    def _paint_windows(
        self, z0: float, z1: float, storey: float, bay: float, shop: bool, rng: np.random.Generator
    ) -> None:
        """Paint rows of windows, each a pane in a frame; leave out those too small to see."""
        bays = max(1, int((self.span[1] - self.span[0]) / bay))
        pitch = (self.span[1] - self.span[0]) / bays
        floors = range(1 if shop else 0, int(self.height / storey))
        for i in range(bays):
            left = self.span[0] + (i + 0.28) * pitch
            right = left + 0.46 * pitch
            if left < z0 or self.camera.size(1.5, left) < 3:
                continue
            for floor in floors:
                low = floor * storey + 0.9
                pane = LIT if rng.random() < self.light.lamps else GLASS
                glare = 1.0 if pane is LIT else 0.75 + 0.7 * rng.random()
                self._front(left - 0.08, right + 0.08, low - 0.12, low + 1.62, (206, 200, 190), 0.9, None)
                self._front(left, right, low, low + 1.5, pane, glare, None)

    def _paint_shop(self, z0: float, z1: float, shop: Color, rng: np.random.Generator) -> None:
        """Paint a shop's panes and its board."""
        pane: Color = LIT if rng.random() < self.light.lamps + 0.1 else (56, 64, 74)
        self._front(z0 + 0.3, z1 - 0.3, 0.4, 2.5, pane, 1.0, None)
        self._front(z0 + 0.1, z1 - 0.1, 2.5, 3.1, shop, 1.1, None)
        for z in np.arange(z0 + 2, z1 - 0.3, 2.4).tolist():
            self._front(z, z + 0.2, 0.2, 2.5, shop, 0.8, None)
