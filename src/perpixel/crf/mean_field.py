"""The mean-field iterations, compiled.

    Q <- softmax(log p)
    repeat:  messages <- filter Q with every kernel;   Q <- softmax(log p + messages)

Source: Krähenbühl & Koltun, NIPS 2011, Alg. 1. As in their code, a pixel's message to itself is not taken out.
Letters: K classes, N pixels, d features, S slots.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.beliefs import separate, start, update, update8, update16, update24, update_mixed
from perpixel.crf.filtering import blur, splat
from perpixel.crf.gaussian import along_columns, along_rows, factors, taps
from perpixel.crf.lattice import Lattice, build, weigh
from perpixel.crf.options import Normalization
from perpixel.ops.team import Team

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Model:
    """What the iterations need besides the unary.

    Args:
        features: (N, d) of each kernel, over their standard deviations.
        strengths: The weight of each kernel; 1 where `mixing` holds it.
        exact: (H, W, xy std, weight) of a spatial kernel that is summed exactly, or None.
        mixing: (G, K, K): how the classes' messages add to each class's logarithm, for all kernels together (G = 1)
            or each, the exact one last; None adds each class's own.
        normalization: See `CrfOptions`.
    """

    features: Sequence[Floats]
    strengths: Sequence[float]
    exact: tuple[int, int, float, float] | None
    mixing: Floats | None
    normalization: Normalization


def padded_width(classes: int) -> int:
    """Return the length of a row: the classes, up to a multiple of eight."""
    return -(-classes // 8) * 8


def mean_field(logarithms: Floats, model: Model, iterations: int, threads: int) -> Floats:
    """Return probabilities, float32 (K, N).

    Args:
        logarithms: log p, float32 (K, N).
        model: Kernels, and what their messages do.
        iterations: Updates.
        threads: At most so many.
    """
    classes, count = logarithms.shape
    padded = padded_width(classes)
    logs, beliefs = np.empty(count * padded, np.float32), np.empty(count * padded, np.float32)
    with Team(threads) as team:
        pixels = team.share(count)
        team.run(start, pixels, logarithms, logs, beliefs, padded)
        if iterations:
            lattice = build(model.features, count, team)
            weigh(lattice, model.strengths, model.normalization, team)
            filters = _filters(lattice, model, beliefs, padded, team)
            renew = _renew(lattice, model, logs, beliefs, padded, team)
            values = np.zeros((lattice.vertices + count * (model.exact is not None)) * padded, np.float32)
            for _ in range(iterations):
                for apply in filters:
                    apply(values)
                renew(values)
        answer = np.empty(logarithms.shape, np.float32)
        team.run(separate, pixels, beliefs, padded, answer)
    return answer


def _filters(
    lattice: Lattice, model: Model, beliefs: Floats, padded: int, team: Team
) -> list[Callable[[Floats], None]]:
    """Return what fills the values: the lattice's filter, and the exact one after the vertices."""
    vertices = _even(lattice.starts, team.size)

    def permutohedral(values: Floats) -> None:
        team.run(splat, vertices, lattice.starts, lattice.pixels, lattice.shares, beliefs, values, padded)
        for runs in lattice.passes:
            team.run(blur, runs.parts, runs.starts, runs.order, values, padded)

    if model.exact is None:
        return [permutohedral]
    return [permutohedral, _exact(lattice, model, beliefs, padded, team)]


def _exact(lattice: Lattice, model: Model, beliefs: Floats, padded: int, team: Team) -> Callable[[Floats], None]:
    """Give every pixel a slot for the exact sum at itself; return what fills it."""
    assert model.exact is not None
    height, width, xy_std, strength = model.exact
    before, after = factors(height, width, xy_std, model.normalization)
    count, slots = height * width, lattice.slots.shape[1]
    own = np.arange(lattice.vertices, lattice.vertices + count, dtype=np.int32)
    lattice.slots = np.concatenate([lattice.slots, own[:, None]], axis=1)
    lattice.weights = np.concatenate([lattice.weights, (after * np.float32(strength))[:, None]], axis=1)
    lattice.columns.append((slots, slots + 1))
    between, offset = np.empty_like(beliefs), lattice.vertices * padded

    def exact(values: Floats) -> None:
        rows = team.share(height)
        team.run(along_rows, rows, width, taps(xy_std, width), before, beliefs, between, padded)
        team.run(along_columns, rows, height, width, taps(xy_std, height), between, values, offset, padded)

    return exact


def _renew(
    lattice: Lattice, model: Model, logs: Floats, beliefs: Floats, padded: int, team: Team
) -> Callable[[Floats], None]:
    """Return what turns the values into new beliefs."""
    pixels = team.share(len(lattice.slots))
    corners, slots, weights = lattice.slots.shape[1], lattice.slots.reshape(-1), lattice.weights.reshape(-1)
    if model.mixing is None:
        few = {8: update8, 16: update16, 24: update24}.get(padded)
        if few is not None:
            return lambda values: _discard(team.run(few, pixels, corners, slots, weights, values, logs, beliefs))
        return lambda values: _discard(team.run(update, pixels, corners, slots, weights, values, logs, beliefs, padded))
    groups, classes, _ = model.mixing.shape
    mixing = np.zeros((groups, classes, padded), np.float32)
    mixing[:, :, :classes] = model.mixing.transpose(0, 2, 1)
    columns = np.array(lattice.columns if groups > 1 else [(0, lattice.slots.shape[1])], np.int64)
    rest = (beliefs, padded, columns, mixing.reshape(-1))
    return lambda values: _discard(team.run(update_mixed, pixels, lattice.slots, lattice.weights, values, logs, *rest))


def _discard(answers: object) -> None:
    """Forget what a team answered."""


def _even(starts: NDArray[np.int64], size: int) -> list[tuple[int, int]]:
    """Return ranges of vertices with equally many pixels."""
    edges = np.searchsorted(starts, [int(starts[-1]) * part // size for part in range(size)])
    edges = np.append(edges, len(starts) - 1)
    return [(int(first), int(last)) for first, last in itertools.pairwise(edges) if last > first]
