"""Class ids as polygons: one for each region that hangs together, its outline and its holes.

    ids (H, W) -> small regions absorbed -> regions -> rings on the edges between pixels -> fewer points
                  sieve.py                             tracing.py                            simplify.py

Without simplification the polygons are the pixels: filling them gives the same ids again.

Letters: H W pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perpixel.errors import UsageError
from perpixel.export.sieve import NOWHERE, sieve
from perpixel.export.simplify import Points, corners, simplify
from perpixel.export.tracing import trace
from perpixel.ops.components import connected_components

Ring = NDArray[np.int64]


@dataclass(frozen=True)
class Polygon:
    """One region.

    Args:
        label: Its class id.
        outline: (n, 2) x, y of pixels' corners, clockwise on the screen; 0, 0 is the image's upper left corner. The
            first point is not repeated.
        holes: Likewise, the other way round.
        pixels: How many it has, before simplification.
        at_border: Whether it touches the image's border.
        score: Mean probability of its class, where probabilities are known.
    """

    label: int
    outline: Ring
    holes: tuple[Ring, ...]
    pixels: int
    at_border: bool = False
    score: float | None = None


@dataclass(frozen=True)
class Outlining:
    """How polygons are made of class ids.

    Args:
        simplify: How far a point may be from the true border, in pixels; 0 keeps every corner. At 1 stairs become
            straight lines.
        min_area: Smaller regions, in pixels, are absorbed by a neighbour.

    Raises:
        UsageError: A negative number.
    """

    simplify: float = 0.0
    min_area: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.simplify < 1e6:
            raise UsageError(f"--simplify: expected pixels from 0 on, got {self.simplify}. Try 1.")
        if self.min_area < 0:
            raise UsageError(f"--min-area: expected pixels from 0 on, got {self.min_area}. Try 64.")


EXACT = Outlining()


def find_polygons(
    ids: NDArray[np.integer], outlining: Outlining = EXACT, probabilities: NDArray[np.float32] | None = None
) -> list[Polygon]:
    """Return the polygons of an image, the largest outline first.

    A megapixel takes some tenths of a second.

    Args:
        ids: (H, W) class ids from 0 on.
        outlining: How exact, and what is too small.
        probabilities: (K, H, W), for scores.

    Returns: Neighbours share their borders' points. Regions hang together by edges; what touches by a corner is two.
        Regions that are thinner than the tolerance may be missing.
    Raises:
        UsageError: Not two axes, or negative ids.
    """
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer) or (ids.size and ids.min() < 0):
        raise UsageError(
            f"find_polygons: expected class ids (H, W) from 0 on, got {ids.dtype} of shape {ids.shape}. "
            "Give one image's prediction."
        )
    if not ids.size:
        return []
    labels = sieve(ids, outlining.min_area) if outlining.min_area > 1 else ids.astype(np.int64)
    parts = connected_components(labels, background=NOWHERE)
    rings = trace(parts)
    points = simplify(rings, outlining.simplify) if outlining.simplify > 0 else corners(rings)
    scores = None if probabilities is None else _scores(labels, parts, probabilities)
    outlines = _areas(Points(rings.corners, rings.starts)) > 0
    found = sorted(_assemble(points, rings.part, outlines, labels, parts, scores), key=lambda item: -item[0])
    return [polygon for _, polygon in found]


def _assemble(
    points: Points,
    owner: Ring,
    is_outline: NDArray[np.bool_],
    labels: Ring,
    parts: Ring,
    scores: NDArray[np.float64] | None,
) -> Iterator[tuple[float, Polygon]]:
    """Yield each region with its rings, and the area within its outline."""
    size = np.bincount(parts.ravel())
    first = np.unique(parts, return_index=True)[1]
    at_border = np.zeros(len(size), bool)
    at_border[np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])] = True
    each, areas = np.split(points.points, points.starts[1:]), _areas(points)
    order = np.lexsort((~is_outline, owner))  # the outline first, then the holes
    for group in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
        part, outline = int(owner[group[0]]), group[0]
        if areas[outline] > 0:
            yield float(areas[outline]), Polygon(
                int(labels.flat[first[part - 1]]), each[outline],
                tuple(each[hole] for hole in group[1:] if areas[hole] < 0),
                int(size[part]), bool(at_border[part]), None if scores is None else float(scores[part]),
            )  # fmt: skip


def _areas(points: Points) -> NDArray[np.float64]:
    """Return the area inside each ring, positive where it runs clockwise on the screen."""
    (x, y), following = points.points.T, np.arange(1, len(points.points) + 1)
    following[np.append(points.starts[1:], len(following)) - 1] = points.starts
    return np.add.reduceat(x * y[following] - y * x[following], points.starts) / 2


def _scores(labels: Ring, parts: Ring, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean probability of its class over each region; 0 where there is no such class."""
    known = labels < len(probabilities)
    own = known * np.take_along_axis(probabilities, np.where(known, labels, 0)[None], axis=0)[0]
    scores: NDArray[np.float64] = np.bincount(parts.ravel(), own.ravel()) / np.maximum(np.bincount(parts.ravel()), 1)
    return scores
