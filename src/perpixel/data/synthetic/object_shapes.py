"""Fourteen kinds of objects: each has its outline, its pattern, and colours that it mostly has.

    ball house star fish tree mushroom cross ring heart moon butterfly kite arrow cup

Most have a plain part that could be another's (a trunk, a stem, a tail, a wall, a handle), so that what tells a
kind apart is not all of it.

Letters: u v as in `object_patterns`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perpixel.data.synthetic.object_patterns import (
    Plane,
    checks,
    dots,
    rings,
    scales,
    sectors,
    speckle,
    stripes,
)  # fmt: skip

Mask = NDArray[np.bool_]
PLAIN_HUES = (0.08, 0.12, 0.6)  # beige, straw, grey-blue: of parts that say little


@dataclass(frozen=True)
class Look:
    """An object where it is drawn.

    Args:
        inside: Where it is.
        plain: Where it has no pattern.
        pattern: Its second colour's share elsewhere.
    """

    inside: Mask
    plain: Mask
    pattern: Plane


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Args:
        draw: Its outline and pattern.
        hue: Of its first colour, 0 to 1 around the circle.
        other_hue: Of its second colour.
        saturation: Of both, about.
    """

    draw: Callable[[Plane, Plane], Look]
    hue: float
    other_hue: float
    saturation: float = 0.75


def _ball(u: Plane, v: Plane) -> Look:
    away = np.hypot(u, v)
    return Look(away < 0.92, away < 0.16, sectors(u, v, 10, twist=0.9))


def _house(u: Plane, v: Plane) -> Look:
    roof = (v >= 0.1) & (np.abs(u) < 1.1 * (0.95 - v))
    walls = (np.abs(u) < 0.72) & (v > -0.9) & (v < 0.1)
    return Look(roof | walls, walls, scales(u, v, 9))


def _star(u: Plane, v: Plane) -> Look:
    away = np.hypot(u, v)
    point = np.abs((np.arctan2(u, v) * 5 / (2 * np.pi)) % 1 - 0.5) * 2
    return Look(away < 0.38 + 0.6 * point**1.5, away < 0.0, rings(u, v, 4.5))


def _fish(u: Plane, v: Plane) -> Look:
    body = ((u + 0.22) / 0.72) ** 2 + (v / 0.46) ** 2 < 1
    tail = (u > 0.38) & (u < 0.95) & (np.abs(v) < 0.85 * (u - 0.25))
    return Look(body | tail, tail & ~body, scales(v, u, 11))


def _tree(u: Plane, v: Plane) -> Look:
    trunk = (np.abs(u) < 0.14) & (v > -0.95) & (v < -0.35)
    crown = (v > -0.5) & (v < 0.95) & (np.abs(u) < 0.2 + 0.55 * ((0.95 - v) % 0.5))
    return Look(trunk | crown, trunk & ~crown, speckle(u, v, 15))


def _mushroom(u: Plane, v: Plane) -> Look:
    cap = (u / 0.93) ** 2 + ((v - 0.02) / 0.8) ** 2 < 1
    cap &= v > 0.02
    stem = (np.abs(u) < 0.27 + 0.1 * v**2) & (v > -0.9) & ~cap & (v < 0.1)
    return Look(cap | stem, stem, dots(u, v, 6))


def _cross(u: Plane, v: Plane) -> Look:
    arms = ((np.abs(u) < 0.3) | (np.abs(v) < 0.3)) & (np.abs(u) < 0.92) & (np.abs(v) < 0.92)
    return Look(arms, np.zeros_like(arms), checks(u, v, 10))


def _ring(u: Plane, v: Plane) -> Look:
    away = np.hypot(u, v)
    return Look((away > 0.5) & (away < 0.93), away < 0.6, sectors(u, v, 28))


def _heart(u: Plane, v: Plane) -> Look:
    x, y = 1.25 * u, 1.25 * v + 0.12
    inside = (x**2 + y**2 - 1) ** 3 - x**2 * y**3 < 0
    return Look(inside, np.zeros_like(inside), stripes(u, v, 7, 0.8))


def _moon(u: Plane, v: Plane) -> Look:
    inside = (np.hypot(u, v) < 0.95) & (np.hypot(u - 0.5, v) > 0.72)
    return Look(inside, u > 0.15, dots(u, v, 8, 0.38))


def _butterfly(u: Plane, v: Plane) -> Look:
    wings = np.hypot(u, v) < 0.97 * np.sqrt(np.abs(np.sin(2 * np.arctan2(v, u))))
    body = (np.abs(u) < 0.09) & (np.abs(v) < 0.7)
    around = np.float32(0.55)
    return Look(wings | body, body, rings(np.abs(u) - around, np.abs(v) - around, 4))


def _kite(u: Plane, v: Plane) -> Look:
    inside = 1.35 * np.abs(u) + np.abs(v - 0.1) < 0.85
    ribbon = (np.abs(u - 0.12 * np.sin(9 * v)) < 0.07) & (v < -0.6) & (v > -0.98)
    return Look(inside | ribbon, ribbon & ~inside, checks(u, v - 0.1, 2))


def _arrow(u: Plane, v: Plane) -> Look:
    shaft = (np.abs(v) < 0.2) & (u > -0.95) & (u < 0.1)
    head = (u >= 0.0) & (np.abs(v) < 0.8 * (0.95 - u))
    bent: Plane = (u + 0.8 * np.abs(v)).astype(np.float32)
    return Look(shaft | head, shaft & ~head, stripes(bent, v, 7))


def _cup(u: Plane, v: Plane) -> Look:
    body = (np.abs(u + 0.15) < 0.5 + 0.12 * v) & (np.abs(v) < 0.8)
    away = np.hypot((u - 0.42) / 0.42, (v - 0.1) / 0.45)
    handle = (away < 1) & (away > 0.6) & (u > 0.3)
    return Look(body | handle, handle & ~body, stripes(v, u, 5))


KINDS = {
    "ball": Kind(_ball, 0.0, 0.14), "house": Kind(_house, 0.03, 0.06, 0.65), "star": Kind(_star, 0.14, 0.08, 0.85),
    "fish": Kind(_fish, 0.55, 0.5), "tree": Kind(_tree, 0.33, 0.27, 0.65), "mushroom": Kind(_mushroom, 0.98, 0.1, 0.7),
    "cross": Kind(_cross, 0.75, 0.12), "ring": Kind(_ring, 0.63, 0.68), "heart": Kind(_heart, 0.92, 0.95, 0.7),
    "moon": Kind(_moon, 0.16, 0.13, 0.45), "butterfly": Kind(_butterfly, 0.8, 0.07), "kite": Kind(_kite, 0.3, 0.85),
    "arrow": Kind(_arrow, 0.45, 0.4), "cup": Kind(_cup, 0.58, 0.1, 0.5),
}  # fmt: skip
OBJECTS = tuple(KINDS)
