"""Which pixels each vertex gathers from, and the filter of ones, which normalising needs.

A vertex is in one slot only, whichever pixel looks at it: threads that take slots each never meet at a vertex.

Letters: N pixels, S slots, M vertices.
"""

from typing import Any

import numpy as np

from perpixel.ops.compiled import compiled

ZERO, HALF = np.float32(0), np.float32(0.5)


@compiled
def count_pixels(first: int, last: int, slots: Any, counts: Any) -> None:
    """Count each vertex's pixels, for the vertices in the slots `first` to `last`."""
    for i in range(slots.shape[0]):
        for s in range(first, last):
            counts[slots[i, s]] += 1


@compiled
def list_pixels(first: int, last: int, slots: Any, weights: Any, ends: Any, pixels: Any, shares: Any) -> None:
    """List each vertex's pixels and their weights; `ends` moves from starts to ends."""
    for i in range(slots.shape[0]):
        for s in range(first, last):
            vertex = slots[i, s]
            at = ends[vertex]
            pixels[at] = i
            shares[at] = weights[i, s]
            ends[vertex] = at + 1


@compiled
def splat_ones(first: int, last: int, slots: Any, weights: Any, values: Any) -> None:
    """Add each pixel's weights to its vertices: the splat of ones."""
    for i in range(slots.shape[0]):
        for s in range(first, last):
            values[slots[i, s]] += weights[i, s]


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
def slice_ones(first: int, last: int, low: int, high: int, slots: Any, weights: Any, values: Any, norms: Any) -> None:
    """Slice a single value at the slots `low` to `high`."""
    for i in range(first, last):
        norm = ZERO
        for s in range(low, high):
            norm += weights[i, s] * values[slots[i, s]]
        norms[i] = norm


@compiled
def scale_slots(first: int, last: int, low: int, high: int, weights: Any, factors: Any) -> None:
    """Multiply the weights of the slots `low` to `high` by each pixel's factor."""
    for i in range(first, last):
        for s in range(low, high):
            weights[i, s] *= factors[i]
