"""The lattice's filter, many classes at once: splat, blur, slice.

    splat   vertex += weight · value, pixel after pixel      threads take slots: no two write one vertex
    blur    vertex += ½ (its neighbours before and after)    in place, along each run of vertices
    slice   pixel   = sum over its corners of weight · vertex, with the mean-field update in one pass (`beliefs`)

A vertex without neighbours in a direction stays as it is and is not visited.
Values are flat float32, `padded` a row: the classes, and zeros up to 2, 4 or a multiple of eight.

Source: Adams, Baek, Davis, Eurographics 2010, Sec. 4.
Letters: S slots, B blocks of 16 pixels.
"""

from typing import Any

import numpy as np

from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import add_scaled, fill8, fill16, load8, load16, peek, plus, store
from perpixel.ops.short_rows import load, zeros

HALF, ZERO = np.float32(0.5), np.float32(0)
WIDE = 16  # pixels of a block


@compiled
def splat(low: int, high: int, slots: Any, shares: Any, edges: Any, beliefs: Any, values: Any, padded: int) -> None:
    """Fill the vertices of the slots `low` to `high` with the sums of their pixels' shares."""
    values[edges[low] * padded : edges[high] * padded] = ZERO
    names, weights = slots.reshape(-1), shares.reshape(-1)
    for i in range(slots.shape[0] * WIDE):
        begin = (i >> 4) * slots.shape[1] * WIDE + (i & 15)
        first, last = begin + low * WIDE, begin + high * WIDE
        row, at = i * padded, 0
        while at + 24 <= padded:
            wide, rest = load16(beliefs, row + at), load8(beliefs, row + at + 16)
            for s in range(first, last, WIDE):
                share, there = peek(weights, s), np.int64(peek(names, s)) * padded + at
                store(values, there, add_scaled(load16(values, there), share, wide))
                store(values, there + 16, add_scaled(load8(values, there + 16), share, rest))
            at += 24
        if at + 16 <= padded:
            wide = load16(beliefs, row + at)
            for s in range(first, last, WIDE):
                there = np.int64(peek(names, s)) * padded + at
                store(values, there, add_scaled(load16(values, there), peek(weights, s), wide))
            at += 16
        if at < padded:
            rest = load8(beliefs, row + at)
            for s in range(first, last, WIDE):
                there = np.int64(peek(names, s)) * padded + at
                store(values, there, add_scaled(load8(values, there), peek(weights, s), rest))


@compiled
def splat_few(low: int, high: int, slots: Any, shares: Any, edges: Any, beliefs: Any, values: Any, width: Any) -> None:
    """Do as `splat`, for rows of two or four."""
    padded = len(width)
    values[edges[low] * padded : edges[high] * padded] = ZERO
    names, weights = slots.reshape(-1), shares.reshape(-1)
    for i in range(slots.shape[0] * WIDE):
        begin = (i >> 4) * slots.shape[1] * WIDE + (i & 15)
        row = load(beliefs, i * padded, width)
        for s in range(begin + low * WIDE, begin + high * WIDE, WIDE):
            there = np.int64(peek(names, s)) * padded
            store(values, there, add_scaled(load(values, there, width), peek(weights, s), row))


@compiled
def blur(first: int, last: int, starts: Any, order: Any, values: Any, padded: int) -> None:
    """Blur the runs `first` to `last` in place."""
    for run in range(first, last):
        begin, end = starts[run], starts[run + 1]
        at = 0
        while at + 16 <= padded:
            before16 = fill16(ZERO)
            here = np.int64(order[begin]) * padded + at
            current16 = load16(values, here)
            for entry in range(begin + 1, end):
                there = np.int64(order[entry]) * padded + at
                after16 = load16(values, there)
                store(values, here, add_scaled(current16, HALF, plus(before16, after16)))
                before16, current16, here = current16, after16, there
            store(values, here, add_scaled(current16, HALF, before16))
            at += 16
        if at < padded:
            before8 = fill8(ZERO)
            here = np.int64(order[begin]) * padded + at
            current8 = load8(values, here)
            for entry in range(begin + 1, end):
                there = np.int64(order[entry]) * padded + at
                after8 = load8(values, there)
                store(values, here, add_scaled(current8, HALF, plus(before8, after8)))
                before8, current8, here = current8, after8, there
            store(values, here, add_scaled(current8, HALF, before8))


@compiled
def blur_few(first: int, last: int, starts: Any, order: Any, values: Any, width: Any) -> None:
    """Do as `blur`, for rows of two or four."""
    padded = len(width)
    for run in range(first, last):
        before = zeros(width)
        here = np.int64(peek(order, peek(starts, run))) * padded
        current = load(values, here, width)
        for entry in range(peek(starts, run) + 1, peek(starts, run + 1)):
            there = np.int64(peek(order, entry)) * padded
            after = load(values, there, width)
            store(values, here, add_scaled(current, HALF, plus(before, after)))
            before, current, here = current, after, there
        store(values, here, add_scaled(current, HALF, before))
