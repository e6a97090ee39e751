"""Fewer points on the borders between regions, the same ones for the regions on both sides.

    A | B        rings are cut at junctions, where three regions meet; what lies between two is an arc, shared by
    --+---       two rings. Each arc is simplified once, and both rings take it: no gap and no overlap
      C          can open along it.

An arc keeps its ends, then the point that is farthest from the line between them, and so on in both halves, until no
point is farther away than the tolerance. A loop without a junction keeps its first point and the two that span most.
Where lines would then cross, both get their farthest points back, until none do.

Source: Ramer, CGIP 1972; Douglas & Peucker, Cartographica 1973.
Differs: all arcs of an image are split at the same time, level by level; and lines never cross.
Letters: n half-edges, m points of all arcs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perpixel.export.crossings import crossing
from perpixel.export.tracing import Rings

Ids = NDArray[np.int64]


class Points(NamedTuple):
    """The points of rings, one ring after the other.

    Attributes:
        points: (m, 2) x, y of corners; a ring's last is not its first again.
        starts: Where each ring starts.
    """

    points: Ids
    starts: Ids


def corners(rings: Rings) -> Points:
    """Return the points at which a ring turns: all that is needed, and nothing lost."""
    before = np.arange(len(rings.heading)) - 1
    before[rings.starts] = np.append(rings.starts[1:], len(before)) - 1
    return _chosen(rings, rings.heading != rings.heading[before])


def simplify(rings: Rings, tolerance: float) -> Points:
    """Return fewer points, none of the lost ones farther away than `tolerance`.

    Args:
        rings: From `trace`.
        tolerance: In pixels.

    Returns: The same rings, some of which may be left with one point or two: too thin to be seen at this tolerance.
    """
    arcs = _Arcs.of(rings)
    points, starts = arcs.once(rings)
    kept = _split(points, starts, tolerance)
    _uncross(points, starts, kept)
    return _chosen(rings, arcs.spread(kept, starts))


def _chosen(rings: Rings, kept: NDArray[np.bool_]) -> Points:
    before = np.concatenate(([0], np.cumsum(kept)))
    return Points(rings.corners[kept], before[rings.starts])


class _Arcs(NamedTuple):
    """How rings are cut.

    Attributes:
        starts: The half-edge that each directed arc starts with.
        lengths: How many half-edges it has.
        first: The directed arc that stands for it and its twin.
        back: Whether it runs the other way.
        ends: The half-edge that starts where the arc ends.
    """

    starts: Ids
    lengths: Ids
    first: Ids
    back: NDArray[np.bool_]
    ends: Ids

    @classmethod
    def of(cls, rings: Rings) -> "_Arcs":
        count = len(rings.heading)
        cuts = rings.fixed.copy()
        cuts[rings.starts] = True
        starts = np.flatnonzero(cuts)
        if not count:
            return cls(starts, starts, starts, cuts, starts)
        lengths = np.diff(np.append(starts, count))
        _, first, twin = np.unique(np.minimum.reduceat(rings.edge, starts), return_index=True, return_inverse=True)
        ring = np.searchsorted(rings.starts, starts, side="right") - 1
        last = np.append(starts[1:], count) == np.append(rings.starts[1:], count)[ring]
        ends = np.where(last, rings.starts[ring], np.append(starts[1:], 0))
        representative = first[twin]
        return cls(starts, lengths, representative, representative != np.arange(len(starts)), ends)

    def once(self, rings: Rings) -> tuple[Ids, Ids]:
        """Return the points of every arc that stands for two, its end included, and where each begins."""
        chosen = np.flatnonzero(~self.back)
        lengths = self.lengths[chosen] + 1
        begins = np.cumsum(lengths) - lengths
        place = np.arange(lengths.sum()) - np.repeat(begins - self.starts[chosen], lengths)
        place[begins + lengths - 1] = self.ends[chosen]
        return rings.corners[place], begins

    def spread(self, kept: NDArray[np.bool_], begins: Ids) -> NDArray[np.bool_]:
        """Return which half-edges' starts are kept, from what is kept of each arc once."""
        begin = np.zeros(len(self.starts), np.int64)
        begin[~self.back] = begins
        begin = np.repeat(begin[self.first], self.lengths)
        within = np.arange(self.lengths.sum()) - np.repeat(self.starts, self.lengths)
        mirrored = np.repeat(self.lengths, self.lengths) - within
        return kept[begin + np.where(np.repeat(self.back, self.lengths), mirrored, within)]


def _split(points: Ids, starts: Ids, tolerance: float) -> NDArray[np.bool_]:
    """Return which points of arcs remain; both ends of each do."""
    kept = np.zeros(len(points), bool)
    kept[starts] = True
    kept[np.append(starts[1:], len(points))[: len(starts)] - 1] = True
    _span_loops(points, starts, kept)
    open_places = np.flatnonzero(~kept)
    while len(open_places):
        ends = np.flatnonzero(kept)
        segment = np.searchsorted(ends, open_places) - 1
        far, distance = _farthest(points, open_places, segment, ends)
        kept[far[distance > tolerance]] = True
        settled = np.zeros(len(ends), bool)
        settled[segment[np.searchsorted(open_places, far[distance <= tolerance])]] = True
        open_places = open_places[~settled[segment] & ~kept[open_places]]
    return kept


def _uncross(points: Ids, starts: Ids, kept: NDArray[np.bool_]) -> None:
    """Keep more points until no two lines cross; edges between pixels do not, so it comes to an end."""
    begins = np.zeros(len(points), bool)
    begins[starts] = True
    while True:
        ends = np.flatnonzero(kept)
        lines = np.flatnonzero(~begins[ends[1:]])  # the others lead from arc to arc
        bad = lines[crossing(points[ends[lines]], points[ends[lines + 1]])]
        bad = bad[ends[bad + 1] - ends[bad] > 1]
        if not len(bad):
            return
        between = ends[bad + 1] - ends[bad] - 1
        segment = np.repeat(bad, between)
        places = ends[segment] + 1 + np.arange(len(segment)) - np.repeat(np.cumsum(between) - between, between)
        kept[_farthest(points, places, segment, ends)[0]] = True


def _span_loops(points: Ids, starts: Ids, kept: NDArray[np.bool_]) -> None:
    """Keep two more points of each arc that ends where it starts, so that something of it remains."""
    stops = np.append(starts[1:], len(points))[: len(starts)]
    loops = np.flatnonzero((points[starts] == points[stops - 1]).all(axis=1) & (stops - starts > 3))
    for start, stop in zip(starts[loops], stops[loops], strict=True):
        loop = points[start:stop]
        far = int(np.abs(loop - loop[0]).sum(axis=1).argmax())
        across = (loop - loop[0]) @ (np.array([-1, 1]) * (loop[far] - loop[0])[::-1])
        kept[[start + far, start + int(np.abs(across).argmax())]] = True


def _farthest(points: Ids, places: Ids, segment: Ids, ends: Ids) -> tuple[Ids, NDArray[np.float64]]:
    """Return, for each segment with points left, the one farthest from it, and how far that is."""
    distance = _distance(points[places], points[ends[segment]], points[ends[segment + 1]])
    begins = np.flatnonzero(np.diff(segment, prepend=-1))
    largest = np.maximum.reduceat(distance, begins)
    group = np.cumsum(np.diff(segment, prepend=-1) != 0) - 1
    hits = np.flatnonzero(distance == largest[group])
    _, first = np.unique(group[hits], return_index=True)
    return places[hits[first]], largest


def _distance(points: Ids, start: Ids, end: Ids) -> NDArray[np.float64]:
    """Return how far points are from segments."""
    along, to = (end - start).astype(np.float64), (points - start).astype(np.float64)
    length = (along**2).sum(axis=1)
    share = ((to * along).sum(axis=1) / np.maximum(length, 1)).clip(0, 1)
    distance: NDArray[np.float64] = np.hypot(*(to - share[:, None] * along).T)
    return distance
