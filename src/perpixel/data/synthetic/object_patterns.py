"""Patterns that cover objects and clutter, as the share of a second colour at each point.

    stripes ////    checks ▚▚    dots ∘∘    scales ⌒⌒    sectors ✳    rings ◎    speckle ░

Letters: u v coordinates in the object, right and up, each -1 to 1; float32 (H, W). A pattern is float32 (H, W), 0 to 1.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Pattern = Callable[[Plane, Plane], Plane]


def stripes(u: Plane, v: Plane, count: float, angle: float = 0.0) -> Plane:
    """Return `count` dark stripes across the object, turned by `angle` radians."""
    across = u * np.float32(np.cos(angle)) + v * np.float32(np.sin(angle))
    return _on(np.sin(np.pi * count * across) > 0)


def checks(u: Plane, v: Plane, count: float) -> Plane:
    """Return a chessboard of `count` squares across."""
    return _on((np.floor(u * count / 2) + np.floor(v * count / 2)) % 2 == 0)


def dots(u: Plane, v: Plane, count: float, radius: float = 0.33) -> Plane:
    """Return dots on a grid whose every other row is shifted by half."""
    row = np.floor(v * count / 2)
    x = (u * count / 2 + 0.5 * (row % 2)) % 1 - 0.5
    y = (v * count / 2) % 1 - 0.5
    return _on(x**2 + y**2 < radius**2)


def scales(u: Plane, v: Plane, count: float) -> Plane:
    """Return the edges of overlapping scales, as of a fish or a roof."""
    row = np.floor(v * count / 2)
    x = (u * count / 2 + 0.5 * (row % 2)) % 1 - 0.5
    y = (v * count / 2) % 1
    return _on(y < 0.28 + 1.9 * x**2)


def sectors(u: Plane, v: Plane, count: int, twist: float = 0.0) -> Plane:
    """Return every other of `count` sectors about the middle, twisted with the distance from it."""
    return _on((np.arctan2(v, u) * count / (2 * np.pi) + twist * np.hypot(u, v)) % 2 < 1)


def rings(u: Plane, v: Plane, count: float) -> Plane:
    """Return rings about the middle."""
    return _on(np.sin(2 * np.pi * count * np.hypot(u, v)) > 0)


def speckle(u: Plane, v: Plane, grain: float) -> Plane:
    """Return irregular spots, the same wherever u and v are."""
    waves = (1.0, 0.3, 1.7), (-0.6, 1.1, 0.4), (0.5, -1.3, 2.9), (1.4, 0.9, 5.1)
    total = sum(np.sin(grain * (a * u + b * v) + phase) for a, b, phase in waves)
    return _on(np.asarray(total, np.float32) > 0.35)


def _on(condition: NDArray[np.bool_]) -> Plane:
    return condition.astype(np.float32)
