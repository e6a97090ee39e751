"""The mean-field iterations, compiled.

    Q <- softmax(log p)
    repeat:  messages <- filter Q with every kernel;   Q <- softmax(log p + messages)

Source: Krähenbühl & Koltun, NIPS 2011, Alg. 1. As in their code, a pixel's message to itself is not taken out.
Letters: K classes, N pixels, d features, S slots.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perpixel.crf.beliefs import (
    separate,
    start,
    start_few,
    update,
    update8,
    update16,
    update24,
    update_few,
    update_mixed,
)
from perpixel.crf.filtering import blur, blur_few, splat, splat_few
from perpixel.crf.gaussian import along_columns, along_rows, factors, taps
from perpixel.crf.lattice import Lattice, aligned, build, shared_slots, weigh
from perpixel.crf.options import Normalization
from perpixel.ops.team import Team

Floats = NDArray[np.float32]

WIDE = 16  # pixels of a block


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


def padded_width(classes: int, model: Model) -> int:
    """Return the length of a row: the classes, up to 2, 4 or a multiple of eight."""
    if classes <= 4 and model.exact is None and model.mixing is None:
        return 2 if classes <= 2 else 4
    return -(-classes // 8) * 8


def mean_field(probabilities: Floats, least: float, model: Model, iterations: int, threads: int) -> Floats:
    """Return probabilities, float32 (K, N).

    Args:
        probabilities: Float32 (K, N).
        least: Smaller probabilities are taken for this.
        model: Kernels, and what their messages do.
        iterations: Updates.
        threads: At most so many.
    """
    classes, count = probabilities.shape
    padded = padded_width(classes, model)
    logs, beliefs = _rows(count, padded), _rows(count, padded)
    with Team(threads) as team:
        pixels = _pixels(count, team)
        begin, width = (start_few, (0,) * padded) if padded < 8 else (start, padded)
        team.run(begin, pixels, probabilities, np.float32(least), logs, beliefs, width)
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
        # Fresh memory is dear; that of the logarithms is free now, and fits the answer where rows are nearly full.
        room = logs if 8 * classes >= 7 * padded else np.empty(classes * count, np.float32)
        answer = room[: classes * count].reshape(classes, count)
        team.run(separate, pixels, beliefs, padded, answer)
    return answer


def _rows(count: int, padded: int) -> Floats:
    """Return room for rows of whole blocks; those beyond the last pixel are 0."""
    room = aligned((-(-count // WIDE) * WIDE * padded,), np.float32)
    room[count * padded :] = 0
    return room


def _pixels(count: int, team: Team) -> list[tuple[int, int]]:
    """Share pixels by whole blocks."""
    return [(first * WIDE, min(last * WIDE, count)) for first, last in team.share(-(-count // WIDE))]


def _filters(
    lattice: Lattice, model: Model, beliefs: Floats, padded: int, team: Team
) -> list[Callable[[Floats], None]]:
    """Return what fills the values: the lattice's filter, and the exact one after the vertices."""
    slots = shared_slots(lattice.slots.shape[1], team)
    passes = [(runs.shared(padded), runs.starts, runs.order) for runs in lattice.passes]
    onto, along, width = (splat_few, blur_few, (0,) * padded) if padded < 8 else (splat, blur, padded)
    arrays = lattice.slots, lattice.shares, lattice.edges, beliefs

    def permutohedral(values: Floats) -> None:
        team.run(onto, slots, *arrays, values, width)
        for parts, starts, order in passes:
            team.run(along, parts, starts, order, values, width)

    if model.exact is None:
        return [permutohedral]
    return [permutohedral, _exact(lattice, model, beliefs, padded, team)]


def _exact(lattice: Lattice, model: Model, beliefs: Floats, padded: int, team: Team) -> Callable[[Floats], None]:
    """Give every pixel a slot for the exact sum at itself; return what fills it."""
    assert model.exact is not None
    height, width, xy_std, strength = model.exact
    before, after = factors(height, width, xy_std, model.normalization)
    count, (blocks, slots, _) = height * width, lattice.slots.shape
    own, shares = np.zeros(blocks * WIDE, np.int32), np.zeros(blocks * WIDE, np.float32)
    own[:count] = np.arange(lattice.vertices, lattice.vertices + count)
    shares[:count] = after * np.float32(strength)
    lattice.slots = np.concatenate([lattice.slots, own.reshape(blocks, 1, WIDE)], axis=1)
    lattice.weights = np.concatenate([lattice.weights, shares.reshape(blocks, 1, WIDE)], axis=1)
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
    blocks, corners, _ = lattice.slots.shape
    parts, slots, weights = team.share(blocks), lattice.slots.reshape(-1), lattice.weights.reshape(-1)
    if model.mixing is None:
        alone = {8: update8, 16: update16, 24: update24}.get(padded)
        if alone is not None:
            return lambda values: _discard(team.run(alone, parts, corners, slots, weights, values, logs, beliefs))
        any_width, width = (update_few, (0,) * padded) if padded < 8 else (update, padded)
        return lambda values: _discard(
            team.run(any_width, parts, corners, slots, weights, values, logs, beliefs, width)
        )
    groups, classes, _ = model.mixing.shape
    mixing = np.zeros((groups, classes, padded), np.float32)
    mixing[:, :, :classes] = model.mixing.transpose(0, 2, 1)
    columns = np.array(lattice.columns if groups > 1 else [(0, corners)], np.int64)
    rest = (beliefs, padded, columns, mixing.reshape(-1))
    return lambda values: _discard(team.run(update_mixed, parts, lattice.slots, lattice.weights, values, logs, *rest))


def _discard(answers: object) -> None:
    """Forget what a team answered."""
