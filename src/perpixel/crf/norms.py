"""How much each pixel hears, and the division by it: the filter of ones.

Letters: N pixels, S slots, M vertices, B blocks of 16 pixels.
"""

from typing import Any

import numpy as np

from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import peek, poke

ZERO, HALF, ONE, TINY = np.float32(0), np.float32(0.5), np.float32(1), np.float32(1e-20)
WIDE = 16


@compiled
def blur_ones(first: int, last: int, starts: Any, order: Any, values: Any) -> None:
    """Blur a single value a vertex, in place."""
    for run in range(first, last):
        before = ZERO
        here = order[starts[run]]
        current = values[here]
        for entry in range(starts[run] + 1, starts[run + 1]):
            there = order[entry]
            after = values[there]
            values[here] = current + HALF * (before + after)
            before, current, here = current, after, there
        values[here] = current + HALF * before


@compiled
def normalize_slots(
    first: int,
    last: int,
    low: int,
    high: int,
    slots: Any,
    weights: Any,
    shares: Any,
    values: Any,
    alpha: float,
    gain: float,
    symmetric: bool,
) -> None:
    """Divide by the norms, in the blocks `first` to `last`.

    Args:
        first: Of the blocks.
        last: Of the blocks.
        low: Of one kernel's slots.
        high: Of one kernel's slots.
        slots: int32 (B, S, 16).
        weights: (B, S, 16), multiplied by the gain and divided by the norm, or its root where `symmetric`.
        shares: Divided by the norm's root where `symmetric`; empty where they are the weights.
        values: The blurred ones of the vertices.
        alpha: What filtered ones are multiplied by.
        gain: What slicing is multiplied by.
        symmetric: Whether shares and weights are divided alike.
    """
    norms = np.empty(WIDE, np.float32)
    names, factors, flat = slots.reshape(-1), weights.reshape(-1), shares.reshape(-1)
    for block in range(first, last):
        begin, end = (block * slots.shape[1] + low) * WIDE, (block * slots.shape[1] + high) * WIDE
        norms[:] = ZERO
        for at in range(begin, end):
            norms[at & 15] += peek(factors, at) * peek(values, np.int64(peek(names, at)))
        for lane in range(WIDE):
            norm = norms[lane] * alpha + TINY
            norms[lane] = ONE / (np.sqrt(norm) if symmetric else norm)
        if symmetric and flat.size:
            for at in range(begin, end):
                poke(flat, at, peek(flat, at) * norms[at & 15])
        for at in range(begin, end):
            poke(factors, at, peek(factors, at) * (norms[at & 15] * gain))
