"""The lattice's filter, many classes at once: splat, blur, slice.

    splat   vertex  = sum over its pixels of weight · value             a gather: no two threads write one vertex
    blur    vertex += ½ (its neighbours before and after)               in place, along each run of vertices
    slice   pixel   = sum over its corners of weight · vertex           with the mean-field update in one pass

A vertex without neighbours in a direction stays as it is and is not visited.
Values are flat float32, `padded` a row: the classes, and zeros up to a multiple of eight.

Source: Adams, Baek, Davis, Eurographics 2010, Sec. 4.
Letters: N pixels, S slots, M vertices.
"""

from typing import Any

import numpy as np
from numba import njit

from perpixel.crf.lanes import (
    add_scaled,
    exponential,
    fill8,
    fill16,
    fold,
    larger,
    largest,
    load8,
    load16,
    plus,
    scaled,
    store,
    total,
)

HALF, ZERO, ONE, MINUS_ONE = np.float32(0.5), np.float32(0), np.float32(1), np.float32(-1)
LOWEST = np.float32(-3e38)


@njit(cache=True, nogil=True)
def count_pixels(first: int, last: int, slots: Any, counts: Any) -> None:
    """Count the pixels of vertices `first` to `last`."""
    for i in range(slots.shape[0]):
        for s in range(slots.shape[1]):
            vertex = slots[i, s]
            if first <= vertex < last:
                counts[vertex] += 1


@njit(cache=True, nogil=True)
def list_pixels(first: int, last: int, slots: Any, weights: Any, ends: Any, pixels: Any, shares: Any) -> None:
    """List the pixels of vertices `first` to `last`, and their weights; `ends` moves from starts to ends."""
    for i in range(slots.shape[0]):
        for s in range(slots.shape[1]):
            vertex = slots[i, s]
            if first <= vertex < last:
                at = ends[vertex]
                pixels[at] = i
                shares[at] = weights[i, s]
                ends[vertex] = at + 1


@njit(cache=True, nogil=True)
def splat(first: int, last: int, starts: Any, pixels: Any, shares: Any, beliefs: Any, values: Any, padded: int) -> None:
    """Gather the vertices `first` to `last` from their pixels' beliefs."""
    for vertex in range(first, last):
        begin, end = starts[vertex], starts[vertex + 1]
        at = 0
        while at + 16 <= padded:
            wide = fill16(ZERO)
            for entry in range(begin, end):
                wide = add_scaled(wide, shares[entry], load16(beliefs, np.int64(pixels[entry]) * padded + at))
            store(values, vertex * padded + at, wide)
            at += 16
        if at < padded:
            row = fill8(ZERO)
            for entry in range(begin, end):
                row = add_scaled(row, shares[entry], load8(beliefs, np.int64(pixels[entry]) * padded + at))
            store(values, vertex * padded + at, row)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def update(first: int, last: int, slots: Any, weights: Any, values: Any, logs: Any, beliefs: Any, padded: int) -> None:
    """Slice, add to the logarithms of the unary, and take the softmax, for the pixels `first` to `last`."""
    corners = slots.shape[1]
    for i in range(first, last):
        row = i * padded
        top = fill8(LOWEST)
        at = 0
        while at + 16 <= padded:
            wide = load16(logs, row + at)
            for s in range(corners):
                wide = add_scaled(wide, weights[i, s], load16(values, np.int64(slots[i, s]) * padded + at))
            store(beliefs, row + at, wide)
            top = larger(top, fold(wide))
            at += 16
        if at < padded:
            eight = load8(logs, row + at)
            for s in range(corners):
                eight = add_scaled(eight, weights[i, s], load8(values, np.int64(slots[i, s]) * padded + at))
            store(beliefs, row + at, eight)
            top = larger(top, eight)
        normalize(row, padded, largest(top), beliefs)


@njit(cache=True, nogil=True)
def update_mixed(
    first: int,
    last: int,
    slots: Any,
    weights: Any,
    values: Any,
    logs: Any,
    beliefs: Any,
    padded: int,
    columns: Any,
    mixing: Any,
) -> None:
    """Update as `update` does, with each group's messages multiplied by a matrix.

    Args:
        first: Of the pixels.
        last: Of the pixels.
        slots: int32 (N, S).
        weights: float32 (N, S).
        values: Of the vertices.
        logs: Of the unary.
        beliefs: Written.
        padded: Length of a row.
        columns: First and last slot of each group, (G, 2).
        mixing: Flat (G, K, padded): how much a message of the second index's class adds to each class.
    """
    classes = mixing.size // (columns.shape[0] * padded)
    message = np.empty(padded, np.float32)
    for i in range(first, last):
        row = i * padded
        for at in range(0, padded, 8):
            store(beliefs, row + at, load8(logs, row + at))
        for group in range(columns.shape[0]):
            for at in range(0, padded, 8):
                lanes = fill8(ZERO)
                for s in range(columns[group, 0], columns[group, 1]):
                    lanes = add_scaled(lanes, weights[i, s], load8(values, np.int64(slots[i, s]) * padded + at))
                store(message, at, lanes)
            for at in range(0, padded, 8):
                lanes = load8(beliefs, row + at)
                for other in range(classes):
                    lanes = add_scaled(lanes, message[other], load8(mixing, (group * classes + other) * padded + at))
                store(beliefs, row + at, lanes)
        top = fill8(LOWEST)
        for at in range(0, padded, 8):
            top = larger(top, load8(beliefs, row + at))
        normalize(row, padded, largest(top), beliefs)


@njit(cache=True, nogil=True)
def normalize(row: int, padded: int, top: float, beliefs: Any) -> None:
    """Turn a row of logarithms into probabilities."""
    sums = fill8(ZERO)
    shift8 = fill8(top)
    at = row
    while at < row + padded:
        powers = exponential(add_scaled(load8(beliefs, at), MINUS_ONE, shift8))
        store(beliefs, at, powers)
        sums = plus(sums, powers)
        at += 8
    factor = ONE / total(sums)
    at = row
    while at < row + padded:
        store(beliefs, at, scaled(factor, load8(beliefs, at)))
        at += 8


@njit(cache=True, nogil=True)
def start(first: int, last: int, logs: Any, beliefs: Any, padded: int) -> None:
    """Take the softmax of the unary's logarithms."""
    for i in range(first, last):
        top = fill8(LOWEST)
        for at in range(i * padded, (i + 1) * padded, 8):
            row = load8(logs, at)
            store(beliefs, at, row)
            top = larger(top, row)
        normalize(i * padded, padded, largest(top), beliefs)


@njit(cache=True, nogil=True)
def splat_ones(slots: Any, weights: Any, values: Any) -> None:
    """Add each pixel's weights to its vertices: the splat of ones."""
    for i in range(slots.shape[0]):
        for s in range(slots.shape[1]):
            values[slots[i, s]] += weights[i, s]


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def slice_ones(first: int, last: int, low: int, high: int, slots: Any, weights: Any, values: Any, norms: Any) -> None:
    """Slice a single value at the slots `low` to `high`."""
    for i in range(first, last):
        norm = ZERO
        for s in range(low, high):
            norm += weights[i, s] * values[slots[i, s]]
        norms[i] = norm


@njit(cache=True, nogil=True)
def scale_slots(first: int, last: int, low: int, high: int, weights: Any, factors: Any) -> None:
    """Multiply the weights of the slots `low` to `high` by each pixel's factor."""
    for i in range(first, last):
        for s in range(low, high):
            weights[i, s] *= factors[i]
