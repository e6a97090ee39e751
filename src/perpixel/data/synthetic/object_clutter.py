"""What pictures of objects are painted with: the ground, clutter without a name, and objects in their colours.

Clutter has the objects' patterns and hues, but none of their outlines: neither tells an object by itself.

Letters: H W pixels of the large sheet; u v as in `object_patterns`.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perpixel.data.synthetic.object_patterns import Plane, checks, dots, rings, scales, sectors, speckle, stripes
from perpixel.data.synthetic.object_shapes import KINDS, PLAIN_HUES, Look
from perpixel.data.synthetic.surface import Colors, smooth_noise

Window = tuple[slice, slice]
Mask = NDArray[np.bool_]
LEAN = np.radians(35)  # objects stand upright, about


@dataclass(frozen=True)
class Place:
    """A part of the sheet, and an object's own coordinates there.

    Args:
        window: Rows and columns.
        u: To the object's right.
        v: Up.
    """

    window: Window
    u: Plane
    v: Plane

    @classmethod
    def draw(
        cls, size: tuple[int, int], centre: tuple[float, float], radius: float, rng: np.random.Generator,
        lean: float = LEAN, stretch: float = 1.25,
    ) -> "Place":  # fmt: skip
        """Return a place about `centre`, turned, stretched and mirrored at random."""
        reach = 1.45 * radius * stretch**0.5
        spans = [
            (int(np.clip(middle - reach, 0, end - 1)), int(np.clip(middle + reach + 1, 1, end)))
            for middle, end in zip(centre, size, strict=True)
        ]
        rows, columns = np.ogrid[spans[0][0] : spans[0][1], spans[1][0] : spans[1][1]]
        angle, wide = rng.uniform(-lean, lean), np.exp(rng.uniform(-np.log(stretch), np.log(stretch)) / 2)
        down, right = (rows - centre[0]) / radius, (columns - centre[1]) / radius
        u = (np.cos(angle) * right + np.sin(angle) * down) / wide * rng.choice((-1, 1))
        v = (np.sin(angle) * right - np.cos(angle) * down) * wide
        return cls((slice(*spans[0]), slice(*spans[1])), u.astype(np.float32), v.astype(np.float32))


def paint_ground(size: tuple[int, int], rng: np.random.Generator) -> Colors:
    """Return a ground of two colours that flow into one another, with grain."""
    one, other = (hsv(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.9)) for _ in range(2))
    flow = smooth_noise(size, size[0] / 3, rng) + 0.5 * smooth_noise(size, size[0] / 10, rng)
    share = np.clip(0.5 + 0.7 * flow, 0, 1)[..., None]
    grain = 1 + 0.08 * smooth_noise(size, 5, rng)[..., None]
    ground: Colors = ((one + share * (other - one)) * grain).astype(np.float32)
    return ground


def paint_clutter(
    colors: Colors, count: int, sizes: tuple[float, float], rng: np.random.Generator
) -> tuple[Place, Mask]:
    """Paint shapes without a name; returns the last one's place and outline.

    Args:
        colors: What is painted on, (H, W, 3).
        count: How many, at least one.
        sizes: Smallest and largest radius, as shares of the shorter side.
        rng: Decides everything.
    """
    height, width = colors.shape[:2]
    for _ in range(count):
        radius = min(height, width) * rng.uniform(*sizes)
        centre = (rng.uniform(0, height), rng.uniform(0, width))
        place = Place.draw((height, width), centre, radius, rng, lean=np.pi, stretch=2.5)
        inside = _outline(place, int(rng.integers(4)))
        saturation = rng.uniform(0, 0.6)
        one, other = (hsv(rng.random(), saturation, rng.uniform(0.2, 0.95)) for _ in range(2))
        share = _pattern(place, rng) * rng.uniform(0.15, 0.75)
        painted = _shade(one + share[..., None] * (other - one), place, rng)
        colors[place.window][inside] = painted[inside]
    return place, inside


def _outline(place: Place, shape: int) -> Mask:
    """Return a bar, an ellipse, a triangle or a bent blob: no object's outline."""
    u, v = place.u, place.v
    if shape == 0:
        return (np.abs(u) < 0.9) & (np.abs(v) < 0.3)
    if shape == 1:
        return (u / 0.9) ** 2 + (v / 0.55) ** 2 < 1
    if shape == 2:
        return (v > -0.6) & (np.abs(u) < 0.5 * (0.9 - v))
    blob: Mask = np.hypot(u, v) < 0.65 + 0.2 * np.sin(3 * np.arctan2(v, u) + 1) + 0.1 * np.sin(7 * np.arctan2(v, u))
    return blob


def _pattern(place: Place, rng: np.random.Generator) -> Plane:
    u, v, count = place.u, place.v, rng.uniform(4, 11)
    choice = int(rng.integers(14))
    if choice >= 7:
        return np.zeros_like(u)
    made = (
        lambda: stripes(u, v, count, rng.uniform(0, np.pi)), lambda: checks(u, v, count), lambda: dots(u, v, count),
        lambda: scales(u, v, count), lambda: sectors(u, v, 2 * int(count)), lambda: rings(u, v, count / 2),
        lambda: speckle(u, v, 2 * count),
    )  # fmt: skip
    return made[choice]()


def paint_object(place: Place, name: str, rng: np.random.Generator, telling: float = 1.0) -> tuple[Mask, Colors]:
    """Return an object's outline and colours at a place.

    Args:
        place: Where.
        name: Its kind.
        rng: Decides everything else.
        telling: Share of its area that looks like its kind; the rest wears the coat of all kinds.
    """
    kind = KINDS[name]
    look = kind.draw(place.u, place.v)
    value = rng.uniform(0.55, 0.95)
    one = hsv(kind.hue + rng.normal(0, 0.035), kind.saturation * rng.uniform(0.7, 1.15), value)
    other = hsv(kind.other_hue + rng.normal(0, 0.035), kind.saturation * rng.uniform(0.2, 0.9),
                min(1.0, value * rng.uniform(1.25, 1.5)) if rng.random() < 0.7 else 0.45 * value)  # fmt: skip
    plain = hsv(rng.choice(PLAIN_HUES), rng.uniform(0.1, 0.5), rng.uniform(0.35, 0.85))
    colors = one + look.pattern[..., None] * (other - one)
    colors = np.where(look.plain[..., None], plain, colors)
    if telling < 1:
        colors = np.where(coated(place, look, telling, rng)[..., None], _coat(place, rng), colors)
    return look.inside, _shade(colors, place, rng)


def coated(place: Place, look: Look, telling: float, rng: np.random.Generator) -> Mask:
    """Return where a coat is: everywhere but in the share of the object nearest to a point of its pattern."""
    rows, columns = np.nonzero(look.inside & ~look.plain)
    if not rows.size:
        return np.zeros_like(look.inside)
    chosen = int(rng.integers(rows.size))
    row, column = rows[chosen], columns[chosen]
    away = np.hypot(place.u - place.u[row, column], place.v - place.v[row, column])
    coat: Mask = away > np.quantile(away[look.inside], telling)
    return coat


def _coat(place: Place, rng: np.random.Generator) -> Colors:
    """Return what objects of all kinds wear, and clutter does not: wavy bands, of any hue."""
    hue, saturation, value = rng.random(), rng.uniform(0.2, 0.7), rng.uniform(0.6, 0.95)
    one, other = hsv(hue, saturation, value), hsv(hue, saturation, 0.55 * value)
    waves = place.v + np.float32(0.12) * np.sin(np.float32(9) * place.u)
    coat: Colors = one + stripes(place.u, waves, 9, np.pi / 2)[..., None] * (other - one)
    return coat


def _shade(colors: NDArray[np.floating], place: Place, rng: np.random.Generator) -> Colors:
    """Light a surface from one side."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.22)
    light = 1 + strength * np.clip(place.u * np.cos(angle) + place.v * np.sin(angle), -1.2, 1.2)
    shaded: Colors = np.clip(colors * light[..., None], 0, 255).astype(np.float32)
    return shaded


def hsv(hue: float, saturation: float, value: float) -> NDArray[np.float32]:
    """Return red, green and blue, 0 to 255, of a hue around the circle and shares of 1."""
    channels = colorsys.hsv_to_rgb(float(hue) % 1, min(1.0, max(0.0, saturation)), min(1.0, value))
    return np.array(channels, np.float32) * 255
