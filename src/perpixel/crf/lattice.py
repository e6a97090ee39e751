r"""Several permutohedral lattices as one: every pixel has a slot for each corner of each kernel's simplex.

    kernel 1, d = 5    6 slots  \
                                  9 slots a pixel, one row of values a vertex, one splat, one slice
    kernel 2, d = 2    3 slots  /

The kernels' vertices are different ones, so one pass filters with all kernels, and their weights and normalisation
are folded into the slots'. A slot has vertices of its own, numbered after those of the slot before: threads that take
slots each never meet at a vertex.

Source: Adams, Baek, Davis, Eurographics 2010; Krähenbühl & Koltun, NIPS 2011, Sec. 4.
Letters: N pixels, B blocks of 16 pixels, S slots, M vertices, d features of a kernel.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.locate import elevation, fingerprint_factors, locate
from perpixel.crf.norms import blur_ones, normalize_slots
from perpixel.crf.options import Normalization
from perpixel.crf.vertices import WIDE, Table, chains, neighbors, number, settle
from perpixel.ops.team import Part, Team

LINE = 64  # bytes
WORTH_WAKING = 300_000  # numbers to blur
SOME = 2048  # blocks whose fingerprints fit the cache
Floats = NDArray[np.float32]
Integers = NDArray[np.int32]


@dataclass
class Runs:
    """The runs of vertices along the directions that are blurred in one pass."""

    order: Integers
    starts: Integers
    parts: list[Part]

    def shared(self, padded: int) -> list[Part]:
        """Return the threads' parts: one for all where rows of this length take less time than to wake a thread."""
        return self.parts if len(self.order) * padded > WORTH_WAKING else [(0, len(self.starts) - 1)]


@dataclass
class Lattice:
    """Where N pixels lie among M vertices, for all kernels.

    Pixels come in blocks of sixteen, slots side by side: what is read together lies together, and threads that
    take slots each do not write into one another's memory.

    Attributes:
        slots: int32 (B, S, 16), numbers of vertices; 0 beyond the last pixel.
        weights: float32 (B, S, 16): barycentric; once `weigh` was called, what slicing multiplies by.
        shares: float32 (B, S, 16), what splatting multiplies by; often the same array.
        edges: int64 (S + 1), first vertex of each slot; the last is M.
        sums: float32 (M), of each vertex's barycentric weights; `weigh` blurs them.
        passes: One for each direction of the kernel that has most, first to last.
        columns: First and last slot of each kernel.
    """

    slots: Integers
    weights: Floats
    shares: Floats
    edges: NDArray[np.int64]
    sums: Floats
    passes: list[Runs]
    columns: list[Part]

    @property
    def vertices(self) -> int:
        """M."""
        return int(self.edges[-1])


def build(features: Sequence[Floats], count: int, team: Team) -> Lattice:
    """Return the lattice of several kernels.

    Args:
        features: (N, d) each, over their standard deviations.
        count: N.
        team: Threads.
    """
    bounds = np.cumsum([0, *(each.shape[1] + 1 for each in features)])
    columns = [(int(low), int(high)) for low, high in itertools.pairwise(bounds)]
    shape = -(-count // WIDE), int(bounds[-1]), WIDE
    slots, weights = aligned(shape, np.int32), aligned(shape, np.float32)
    slots[-1] = 0
    factors = team.run(fingerprint_factors, [(each,) for each in features])
    tables = _number(features, columns, factors, slots, weights, team)
    edges = np.cumsum([0, *(table.count for table in tables)])
    sums = np.zeros(edges[-1], np.float32)
    team.run(settle, shared_slots(shape[1], team), edges, slots, weights, sums)
    steps = [each.sum() - (len(each) + 1) * np.append(each, 0) for each in factors]
    return Lattice(slots, weights, weights, edges, sums, _passes(columns, steps, tables, edges, team), columns)


def aligned(shape: tuple[int, ...], kind: type) -> NDArray[Any]:
    """Return an array, not filled, that begins where a line of the cache does."""
    size = math.prod(shape)
    room: NDArray[Any] = np.empty(size + LINE // np.dtype(kind).itemsize, kind)
    first = -room.ctypes.data % LINE // room.itemsize
    return room[first : first + size].reshape(shape)


def shared_slots(count: int, team: Team) -> list[Part]:
    """Share slots; the first threads get more: theirs are of the spatial kernel, whose vertices are near each other."""
    edges = [-(-count * number // team.size) for number in range(team.size + 1)]
    return [(first, last) for first, last in itertools.pairwise(edges) if last > first]


def _number(
    features: Sequence[Floats],
    columns: Sequence[Part],
    factors: Sequence[NDArray[np.int64]],
    slots: Integers,
    weights: Floats,
    team: Team,
) -> list[Table]:
    """Fill slots, numbers beginning at 0 in each, and weights; some pixels at a time, to need no memory for more."""
    blocks, width, _ = slots.shape
    count = len(features[0]) if features else 0
    tables = [Table() for _ in range(width)]
    fingerprints = np.empty((width, min(blocks, SOME) * WIDE), np.int64)
    # The last coordinate's factor is 0, for it is not kept; and the sum of all.
    known = [np.concatenate([each, [0, each.sum()]]) for each in factors]
    for first in range(0, blocks, SOME):
        last = min(first + SOME, blocks)
        shared = [(first + low, first + high) for low, high in team.share(last - first)]
        located = [
            (low, high, first, each, elevation(each.shape[1]), numbers, row)
            for each, numbers, (row, _) in zip(features, known, columns, strict=True)
            for low, high in shared
        ]
        team.run(locate, located, weights, fingerprints)
        mine = fingerprints[:, : min(count, last * WIDE) - first * WIDE]
        team.run(number, list(enumerate(tables)), mine, slots[first:last])
    return tables


def _passes(
    columns: Sequence[Part],
    steps: Sequence[NDArray[np.int64]],
    tables: Sequence[Table],
    edges: NDArray[np.int64],
    team: Team,
) -> list[Runs]:
    """Return the runs of neighbours along every direction."""
    directions = max((high - low for low, high in columns), default=0)
    following = np.full((directions, int(edges[-1])), -1, np.int32)
    asked = []
    for (low, high), step in zip(columns, steps, strict=True):
        for slot in range(low, high):
            after = low if slot + 1 == high else slot + 1
            table = tables[after]
            known = tables[slot].known[: tables[slot].count]
            asked.append((int(edges[slot]), known, int(edges[after]), table.bits, table.places, step))
    team.run(neighbors, asked, following)

    def listed(direction: int, low: int, high: int) -> tuple[Integers, Integers]:
        first, last = int(edges[low]), int(edges[high])
        order, starts = np.empty(last - first, np.int32), np.empty((last - first) // 2 + 2, np.int32)
        total, runs = chains(direction, first, last, following, order, starts)
        return order[:total].copy(), starts[: runs + 1].copy()

    wanted = [(direction, low, high) for low, high in columns for direction in range(high - low)]
    found = team.run(listed, wanted)
    return [
        _join([runs for (one, _, _), runs in zip(wanted, found, strict=True) if one == direction], team)
        for direction in range(directions)
    ]


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


def weigh(lattice: Lattice, strengths: Sequence[float], normalization: Normalization, team: Team) -> None:
    """Fold normalisation and the kernels' weights into the slots.

    Where they are symmetric, splatting and slicing share their weights, with half of a kernel's strength each.

    Args:
        lattice: Changed in place; call it once.
        strengths: The weight of each kernel.
        normalization: See `CrfOptions`.
        team: Threads.
    """
    alphas = [alpha(high - low - 1) for low, high in lattice.columns]
    gains = [strength * factor for strength, factor in zip(strengths, alphas, strict=True)]
    shared = normalization != "after" and min(gains, default=0) >= 0
    if shared:
        gains = [gain**0.5 for gain in gains]
    else:
        lattice.shares = lattice.weights.copy()
    if normalization == "none":
        for gain, (low, high) in zip(gains, lattice.columns, strict=True):
            lattice.weights[:, low:high] *= np.float32(gain)
        return
    for runs in lattice.passes:
        team.run(blur_ones, runs.shared(1), runs.starts, runs.order, lattice.sums)
    arrays = lattice.slots, lattice.weights, lattice.weights[:0] if shared else lattice.shares, lattice.sums
    for factor, gain, (low, high) in zip(alphas, gains, lattice.columns, strict=True):
        how = np.float32(factor), np.float32(gain), normalization == "symmetric"
        team.run(normalize_slots, team.share(len(lattice.slots)), low, high, *arrays, *how)
