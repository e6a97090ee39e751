r"""Several permutohedral lattices as one: every pixel has a slot for each corner of each kernel's simplex.

    kernel 1, d = 5    6 slots  \
                                  9 slots a pixel, one row of values a vertex, one splat, one slice
    kernel 2, d = 2    3 slots  /

The kernels' vertices are different ones, so one pass filters with all kernels, and their weights and normalisation
are folded into the slots'.

Source: Adams, Baek, Davis, Eurographics 2010; Krähenbühl & Koltun, NIPS 2011, Sec. 4.
Letters: N pixels, d dimensions, S slots, M vertices.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.incidence import blur_ones, count_pixels, list_pixels, scale_slots, slice_ones, splat_ones
from perpixel.crf.locate import elevation, fingerprint_factors, locate
from perpixel.crf.options import Normalization
from perpixel.crf.vertices import chains, neighbors, number, spread
from perpixel.ops.team import Part, Team

TINY = np.float32(1e-20)  # added to norms, as in the reference code
Floats = NDArray[np.float32]
Integers = NDArray[np.int32]


@dataclass
class Runs:
    """The runs of vertices along the directions that are blurred in one pass."""

    order: Integers
    starts: Integers
    parts: list[Part]


@dataclass
class Lattice:
    """Where N pixels lie among M vertices, for all kernels.

    Attributes:
        slots: int32 (N, S), numbers of vertices.
        weights: float32 (N, S): barycentric; once `weigh` was called, what slicing multiplies by.
        vertices: M.
        passes: One for each direction of the kernel that has most, first to last.
        columns: First and last slot of each kernel.
        starts: int64 (M + 1): where each vertex's pixels begin.
        pixels: int32 (N·S), the vertices' pixels.
        shares: float32 (N·S), what splatting multiplies them by.
    """

    slots: Integers
    weights: Floats
    vertices: int
    passes: list[Runs]
    columns: list[Part]
    starts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    pixels: Integers = field(default_factory=lambda: np.zeros(0, np.int32))
    shares: Floats = field(default_factory=lambda: np.zeros(0, np.float32))


def build(features: Sequence[Floats], count: int, team: Team) -> Lattice:
    """Return the lattice of several kernels.

    Args:
        features: (N, d) each, over their standard deviations.
        count: N.
        team: Threads.
    """
    widths = [each.shape[1] + 1 for each in features]
    edges = np.cumsum([0, *widths])
    columns = [(int(low), int(high)) for low, high in itertools.pairwise(edges)]
    slots = np.empty((count, edges[-1]), np.int32)
    weights = np.empty((count, edges[-1]), np.float32)
    found: list[list[tuple[Integers, Integers]]] = [[] for _ in range(max(widths, default=0))]
    vertices = 0
    for each, (low, _) in zip(features, columns, strict=True):
        runs, more = _one(each, low, vertices, slots, weights, team)
        for direction, run in enumerate(runs):
            found[direction].append(run)
        vertices += more
    return Lattice(slots, weights, vertices, [_join(runs, team) for runs in found], columns)


def _one(
    features: Floats, column: int, offset: int, slots: Integers, weights: Floats, team: Team
) -> tuple[list[tuple[Integers, Integers]], int]:
    """Fill one kernel's slots and weights; returns its runs by direction, and how many numbers its vertices use."""
    count, dimensions = features.shape
    factors = fingerprint_factors(features)
    fingerprints = np.empty((dimensions + 1, count), np.int64)
    scale = elevation(dimensions)
    known = np.concatenate([factors, [0, factors.sum()]])  # of the last coordinate, which is not kept, and of all
    team.run(locate, team.share(count), features, scale, known, column, weights, fingerprints)
    colors = range(dimensions + 1)
    tables = team.run(number, [(color,) for color in colors], fingerprints)
    team.run(spread, team.share(count), fingerprints, offset, column, slots)
    steps = factors.sum() - (dimensions + 1) * np.append(factors, 0)
    vertices = max(len(table.known) for table in tables) * (dimensions + 1)
    following = np.full((dimensions + 1, vertices), -1, np.int32)
    each = [
        (color, tables[color].known, after.bits, after.keys, after.names)
        for color, after in zip(colors, [*tables[1:], tables[0]], strict=True)
    ]
    team.run(neighbors, each, steps, following)

    def listed(direction: int) -> tuple[Integers, Integers]:
        order, starts = np.empty(vertices, np.int32), np.empty(vertices // 2 + 2, np.int32)
        total, runs = chains(direction, following, offset, order, starts)
        return order[:total].copy(), starts[: runs + 1].copy()

    return team.run(listed, [(direction,) for direction in colors]), vertices


def _join(found: Sequence[tuple[Integers, Integers]], team: Team) -> Runs:
    """Return the runs of several kernels as one list, shared among the threads."""
    order = np.concatenate([run_order for run_order, _ in found])
    starts, before = [], 0
    for run_order, run_starts in found:
        starts.append(run_starts[:-1] + before)
        before += len(run_order)
    joined = np.append(np.concatenate(starts), before).astype(np.int32)
    edges = np.searchsorted(joined, [before * part // team.size for part in range(team.size + 1)])
    parts = [(int(first), int(last)) for first, last in itertools.pairwise(edges) if last > first]
    return Runs(order, joined, parts)


def alpha(dimensions: int) -> float:
    """Return the factor that the reference code applies after filtering: 1 / (1 + 2^−d)."""
    return float(np.float32(1) / (np.float32(1) + np.float32(2.0**-dimensions)))


def norms(lattice: Lattice, team: Team) -> list[Floats]:
    """Return the filtered ones of each kernel, float32 (N) each."""
    values = np.zeros(lattice.vertices, np.float32)
    team.run(splat_ones, team.share(lattice.slots.shape[1]), lattice.slots, lattice.weights, values)
    for runs in lattice.passes:
        team.run(blur_ones, runs.parts, runs.starts, runs.order, values)
    answer = []
    for low, high in lattice.columns:
        norm = np.empty(len(lattice.slots), np.float32)
        team.run(slice_ones, team.share(len(norm)), low, high, lattice.slots, lattice.weights, values, norm)
        answer.append(norm * np.float32(alpha(high - low - 1)))
    return answer


def weigh(lattice: Lattice, strengths: Sequence[float], normalization: Normalization, team: Team) -> None:
    """Fold normalisation and the kernels' weights into the slots, and list each vertex's pixels.

    Args:
        lattice: Changed in place; call it once.
        strengths: The weight of each kernel.
        normalization: See `CrfOptions`.
        team: Threads.
    """
    count = len(lattice.slots)
    found = norms(lattice, team) if normalization != "none" else []
    if normalization == "symmetric":
        for norm, (low, high) in zip(found, lattice.columns, strict=True):
            norm[:] = 1 / np.sqrt(norm + TINY)
            team.run(scale_slots, team.share(count), low, high, lattice.weights, norm)
    _list_pixels(lattice, team)
    for index, (low, high) in enumerate(lattice.columns):
        strength = np.float32(strengths[index] * alpha(high - low - 1))
        factor = np.full(count, strength) if normalization != "after" else strength / (found[index] + TINY)
        team.run(scale_slots, team.share(count), low, high, lattice.weights, factor)


def _list_pixels(lattice: Lattice, team: Team) -> None:
    """Fill starts, pixels and shares."""
    parts = team.share(lattice.slots.shape[1])
    ends = np.zeros(lattice.vertices + 1, np.int64)
    team.run(count_pixels, parts, lattice.slots, ends[1:])
    np.cumsum(ends, out=ends)
    lattice.starts = ends.copy()
    lattice.pixels = np.empty(lattice.slots.size, np.int32)
    lattice.shares = np.empty(lattice.slots.size, np.float32)
    team.run(list_pixels, parts, lattice.slots, lattice.weights, ends, lattice.pixels, lattice.shares)
