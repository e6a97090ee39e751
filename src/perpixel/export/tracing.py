"""Walk around every region on the edges between pixels, all regions at once.

    corners   0   1   2   3         a half-edge runs from corner to corner, its region on the right;
            0 +-->+-->+---+         the walk turns left wherever the region goes on there, else straight
              | a   a | b |         on, else right
            1 +---+   +---+
              | c | a | b |         so a ring meets itself nowhere: where a region touches itself only by a
            2 +---+---+---+         corner, its outline and its hole are two rings that touch there

A ring is a cycle of "which half-edge comes next"; cycles are told apart, and put in order, by doubling the pointers:
after n rounds each half-edge knows what lies 2ⁿ further. Nothing is walked in Python.

Letters: H W pixels, n half-edges. Coordinates are x, y of corners: 0, 0 is the image's upper left corner.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

EAST, SOUTH, WEST, NORTH = range(4)
DOWN, RIGHT = np.array([0, 1, 0, -1]), np.array([1, 0, -1, 0])
# The pixel beyond a corner, in the frame of zeros around the image: (row, column) to the right and left of a heading
AT_RIGHT, AT_LEFT = np.array([(1, 1), (1, 0), (0, 0), (0, 1)]), np.array([(0, 1), (1, 1), (1, 0), (0, 0)])


class Rings(NamedTuple):
    """All rings one after the other, each from a junction on where it has one.

    Attributes:
        corners: (n, 2) x, y where each half-edge starts.
        heading: (n,) EAST, SOUTH, WEST or NORTH.
        edge: (n,) a number that the half-edge shares with the one on the other side.
        fixed: (n,) whether three borders or more meet at its start, or it is a corner of the image.
        starts: Where each ring starts, ascending.
        part: The region that each ring belongs to.
    """

    corners: Ids
    heading: Ids
    edge: Ids
    fixed: NDArray[np.bool_]
    starts: Ids
    part: Ids


def trace(parts: Ids) -> Rings:
    """Return the outline and the holes of every region.

    Args:
        parts: (H, W) numbers above 0 of regions that hang together by edges, as `connected_components` gives.

    Returns: Outlines run clockwise on the screen, holes the other way.
    """
    framed = np.pad(parts, 1)
    row, column, heading = _half_edges(framed)
    following = _following(framed, row, column, heading)
    fixed = _junctions(framed)[row, column]
    ring = _cycles(following, fixed)
    order = np.lexsort((-_distance_to_end(following, ring), ring))
    starts = np.flatnonzero(np.diff(ring[order], prepend=-1))
    part = _beside(framed, row, column, heading, AT_RIGHT)[order][starts]
    edge = _undirected(row, column, heading, framed.shape[1])
    corners = np.stack([column, row], axis=1)[order]
    return Rings(corners, heading[order], edge[order], fixed[order], starts, part)


def _half_edges(framed: Ids) -> tuple[Ids, Ids, Ids]:
    """Return (row, column, heading) of every half-edge with a region on its right, ascending."""
    height, width = framed.shape[0] - 1, framed.shape[1] - 1
    exists = np.zeros((height, width, 4), bool)
    for heading in range(4):
        right, left = (_shifted(framed, side[heading], height, width) for side in (AT_RIGHT, AT_LEFT))
        exists[:, :, heading] = (right != left) & (right != 0)
    row, column, direction = np.nonzero(exists)
    return row, column, direction


def _shifted(framed: Ids, place: Ids, height: int, width: int) -> Ids:
    return framed[place[0] : place[0] + height, place[1] : place[1] + width]


def _beside(framed: Ids, row: Ids, column: Ids, heading: Ids, side: Ids) -> Ids:
    """Return the region beside a half-edge."""
    beside: Ids = framed[row + side[heading, 0], column + side[heading, 1]]
    return beside


def _following(framed: Ids, row: Ids, column: Ids, heading: Ids) -> Ids:
    """Return the index of the half-edge that comes after each."""
    region = _beside(framed, row, column, heading, AT_RIGHT)
    end_row, end_column = row + DOWN[heading], column + RIGHT[heading]
    left = _beside(framed, end_row, end_column, heading, AT_LEFT) == region
    right = _beside(framed, end_row, end_column, heading, AT_RIGHT) == region
    turned = (heading + np.where(left, 3, np.where(right, 0, 1))) % 4
    width = framed.shape[1]
    return np.searchsorted(_key(row, column, heading, width), _key(end_row, end_column, turned, width))


def _key(row: Ids, column: Ids, heading: Ids, width: int) -> Ids:
    return (row * width + column) * 4 + heading


def _junctions(framed: Ids) -> NDArray[np.bool_]:
    """Return the corners (H + 1, W + 1) that three borders or more meet at, and the image's own four."""
    above, below = framed[:-1, :-1] != framed[:-1, 1:], framed[1:, :-1] != framed[1:, 1:]
    before, after = framed[:-1, :-1] != framed[1:, :-1], framed[:-1, 1:] != framed[1:, 1:]
    fixed: NDArray[np.bool_] = np.add.reduce([above, below, before, after], dtype=np.int8) > 2
    fixed[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    return fixed


def _cycles(following: Ids, fixed: NDArray[np.bool_]) -> Ids:
    """Return, for each half-edge, the one that its ring starts with: the first that starts at a fixed corner."""
    count = len(following)
    head = np.arange(count) + np.where(fixed, 0, count)
    pointer = following
    while True:
        lower = np.minimum(head, head[pointer])
        if np.array_equal(lower, head):
            return head % max(count, 1)
        head, pointer = lower, pointer[pointer]


def _distance_to_end(following: Ids, ring: Ids) -> Ids:
    """Return how many half-edges of its ring come after each."""
    last = following == ring
    pointer = np.where(last, np.arange(len(following)), following)
    distance = np.where(last, 0, 1)
    while (step := distance[pointer]).any():
        distance, pointer = distance + step, pointer[pointer]
    return distance


def _undirected(row: Ids, column: Ids, heading: Ids, width: int) -> Ids:
    """Number edges such that both directions have one number."""
    back = heading >= WEST
    return _key(row + DOWN[heading] * back, column + RIGHT[heading] * back, heading % 2, width)
