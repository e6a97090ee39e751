"""Where a scene is seen from, and in what light: drawn once for each scene.

The ground is flat. Positions are (x, y, z) in metres: right of the camera's axis, above the ground, ahead.
"""

import math
from dataclasses import dataclass

import numpy as np

from perpixel.data.synthetic.canvas import Color, Point

Tint = tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera above a road that may bend.

    Args:
        horizon: Row of the horizon, in pixels.
        vanishing: Column at which straight lines ahead meet, in pixels.
        focal: Focal length, in pixels.
        height: Above the ground, in metres.
        bend: Sideways shift of the street, in metres at one metre ahead; grows with the square.
    """

    horizon: float
    vanishing: float
    focal: float
    height: float
    bend: float

    def see(self, x: float, y: float, z: float) -> Point:
        """Project a position to (column, row)."""
        scale = self.focal / z
        return self.vanishing + scale * (x + self.bend * z * z), self.horizon + scale * (self.height - y)

    def size(self, metres: float, z: float) -> float:
        """Return how many pixels a length takes at a distance."""
        return metres * self.focal / z

    def nearest(self, rows: int) -> float:
        """Return the distance of the ground at the picture's lower edge."""
        return self.focal * self.height / max(rows - self.horizon, 1.0)


@dataclass(frozen=True)
class Light:
    """The hour and the weather.

    Args:
        zenith: Colour of the sky overhead.
        low_sky: Colour of the sky at the horizon; distance fades into it.
        ambient: Factor of every surface's colour.
        sun: 0 under clouds, 1 in hard sunshine: depth of shadows, contrast of faces.
        side: −1 where the sun stands left, +1 where right.
        sight: Distance over which colours fade to a third, in metres.
        clouds: 0 clear to 1 covered.
        lamps: Share of windows that are lit.
    """

    zenith: Color
    low_sky: Color
    ambient: Tint
    sun: float
    side: int
    sight: float
    clouds: float
    lamps: float

    def seen(self, color: tuple[float, float, float], z: float, factor: float = 1.0) -> Color:
        """Return a surface's colour as it looks from `z` metres away."""
        clear = math.exp(-z / self.sight)
        gain, haze = clear * factor, 1 - clear
        (red, green, blue), tint, far = color, self.ambient, self.low_sky
        return (
            min(255, int(red * gain * tint[0] + far[0] * haze)),
            min(255, int(green * gain * tint[1] + far[1] * haze)),
            min(255, int(blue * gain * tint[2] + far[2] * haze)),
        )

    def facing(self, side: int) -> float:
        """Return the brightness of a wall that looks left (−1), right (+1) or at the camera (0)."""
        return 1 + self.sun * (-0.08 if side == 0 else 0.12 if side == self.side else -0.38)


# zenith, low sky, ambient, sun, lamps
HOURS: tuple[tuple[Color, Color, Tint, float, float], ...] = (
    ((72, 130, 205), (190, 215, 235), (1.02, 1.00, 0.96), 0.9, 0.0),  # noon
    ((96, 150, 214), (214, 226, 232), (1.00, 1.00, 0.98), 0.6, 0.0),  # forenoon
    ((150, 160, 172), (206, 210, 212), (0.84, 0.87, 0.92), 0.0, 0.05),  # overcast
    ((92, 118, 178), (250, 204, 150), (1.10, 0.92, 0.74), 0.8, 0.1),  # evening sun
    ((46, 58, 108), (214, 140, 120), (0.72, 0.68, 0.78), 0.15, 0.5),  # dusk
    ((176, 184, 190), (214, 216, 216), (0.92, 0.94, 0.96), 0.0, 0.05),  # mist
)


def draw_camera(size: tuple[int, int], rng: np.random.Generator) -> Camera:
    """Draw a camera such as a car carries."""
    height, width = size
    return Camera(
        horizon=height * rng.uniform(0.36, 0.5),
        vanishing=width * rng.uniform(0.36, 0.64),
        focal=(height * width) ** 0.5 * rng.uniform(0.85, 1.15),
        height=rng.uniform(1.5, 2.3),
        bend=rng.uniform(-0.0012, 0.0012),
    )


def draw_light(rng: np.random.Generator) -> Light:
    """Draw an hour and vary it."""
    which = int(rng.choice(len(HOURS), p=(0.28, 0.22, 0.16, 0.14, 0.1, 0.1)))
    zenith, low_sky, ambient, sun, lamps = HOURS[which]
    exposure = rng.uniform(0.88, 1.1)
    red, green, blue = (float(tint * exposure * rng.uniform(0.96, 1.04)) for tint in ambient)
    return Light(
        zenith=vary(zenith, 10, rng),
        low_sky=vary(low_sky, 8, rng),
        ambient=(red, green, blue),
        sun=sun * rng.uniform(0.8, 1.0),
        side=1 if rng.random() < 0.5 else -1,
        sight=float(rng.uniform(50, 90) if which == 5 else rng.uniform(120, 400)),
        clouds=float(rng.uniform(0.1, 0.8)) if sun else 0.9,
        lamps=lamps,
    )


def vary(color: Color, by: float, rng: np.random.Generator) -> Color:
    """Shift a colour at random, as a whole and in each channel."""
    shift = rng.uniform(-by, by) + rng.uniform(-by / 3, by / 3, 3)
    red, green, blue = (int(min(255, max(0, value + d))) for value, d in zip(color, shift, strict=True))
    return red, green, blue


def pick(colors: tuple[Color, ...], rng: np.random.Generator, by: float = 12) -> Color:
    """Take one of some colours, varied."""
    return vary(colors[int(rng.integers(len(colors)))], by, rng)
