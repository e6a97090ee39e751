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

from perpixel.crf.compiled import compiled
from perpixel.crf.lanes import (
    add_scaled,
    exponential,
    fill8,
    fill16,
    fold,
    halves,
    larger,
    largest,
    load8,
    load16,
    peek,
    plus,
    poke,
    scaled,
    store,
    total,
)

HALF, ZERO, ONE, MINUS_ONE = np.float32(0.5), np.float32(0), np.float32(1), np.float32(-1)
LOWEST = np.float32(-3e38)
NEVER = np.float32(-1e30)  # the logarithm of what the padding classes are given
BLOCK = 64  # pixels that are transposed at a time


@compiled
def count_pixels(first: int, last: int, slots: Any, counts: Any) -> None:
    """Count the pixels of vertices `first` to `last`."""
    for i in range(slots.shape[0]):
        for s in range(slots.shape[1]):
            vertex = slots[i, s]
            if first <= vertex < last:
                counts[vertex] += 1


@compiled
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


@compiled
def splat(first: int, last: int, starts: Any, pixels: Any, shares: Any, beliefs: Any, values: Any, padded: int) -> None:
    """Gather the vertices `first` to `last` from their pixels' beliefs."""
    for vertex in range(first, last):
        begin, end = peek(starts, vertex), peek(starts, vertex + 1)
        row = vertex * padded
        at = 0
        while at + 24 <= padded:
            even16, even8, odd16, odd8 = fill16(ZERO), fill8(ZERO), fill16(ZERO), fill8(ZERO)
            entry = begin
            while entry + 1 < end:
                share = peek(shares, entry)
                there = np.int64(peek(pixels, entry)) * padded + at
                even16 = add_scaled(even16, share, load16(beliefs, there))
                even8 = add_scaled(even8, share, load8(beliefs, there + 16))
                share = peek(shares, entry + 1)
                there = np.int64(peek(pixels, entry + 1)) * padded + at
                odd16 = add_scaled(odd16, share, load16(beliefs, there))
                odd8 = add_scaled(odd8, share, load8(beliefs, there + 16))
                entry += 2
            if entry < end:
                share = peek(shares, entry)
                there = np.int64(peek(pixels, entry)) * padded + at
                even16 = add_scaled(even16, share, load16(beliefs, there))
                even8 = add_scaled(even8, share, load8(beliefs, there + 16))
            store(values, row + at, plus(even16, odd16))
            store(values, row + at + 16, plus(even8, odd8))
            at += 24
        while at < padded:
            even, odd = fill8(ZERO), fill8(ZERO)
            entry = begin
            while entry + 1 < end:
                even = add_scaled(
                    even, peek(shares, entry), load8(beliefs, np.int64(peek(pixels, entry)) * padded + at)
                )
                entry += 1
                odd = add_scaled(odd, peek(shares, entry), load8(beliefs, np.int64(peek(pixels, entry)) * padded + at))
                entry += 1
            if entry < end:
                even = add_scaled(
                    even, peek(shares, entry), load8(beliefs, np.int64(peek(pixels, entry)) * padded + at)
                )
            store(values, row + at, plus(even, odd))
            at += 8


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
def update(
    first: int, last: int, corners: int, slots: Any, weights: Any, values: Any, logs: Any, beliefs: Any, padded: int
) -> None:
    """Slice, add to the logarithms of the unary, and take the softmax, for the pixels `first` to `last`."""
    for i in range(first, last):
        row = i * padded
        begin, end = i * corners, (i + 1) * corners
        top = fill8(LOWEST)
        at = 0
        while at + 24 <= padded:
            wide, rest = load16(logs, row + at), load8(logs, row + at + 16)
            for s in range(begin, end):
                weight = peek(weights, s)
                there = np.int64(peek(slots, s)) * padded + at
                wide = add_scaled(wide, weight, load16(values, there))
                rest = add_scaled(rest, weight, load8(values, there + 16))
            store(beliefs, row + at, wide)
            store(beliefs, row + at + 16, rest)
            top = larger(top, larger(fold(wide), rest))
            at += 24
        while at < padded:
            rest = load8(logs, row + at)
            for s in range(begin, end):
                rest = add_scaled(rest, peek(weights, s), load8(values, np.int64(peek(slots, s)) * padded + at))
            store(beliefs, row + at, rest)
            top = larger(top, rest)
            at += 8
        normalize(row, padded, largest(top), beliefs)


@compiled
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


@compiled
def normalize(row: int, padded: int, top: float, beliefs: Any) -> None:
    """Turn a row of logarithms into probabilities."""
    sums = fill8(ZERO)
    shift8, shift16 = fill8(top), fill16(top)
    at = row
    while at + 16 <= row + padded:
        many = exponential(add_scaled(load16(beliefs, at), MINUS_ONE, shift16))
        store(beliefs, at, many)
        sums = plus(sums, halves(many))
        at += 16
    if at < row + padded:
        powers = exponential(add_scaled(load8(beliefs, at), MINUS_ONE, shift8))
        store(beliefs, at, powers)
        sums = plus(sums, powers)
    factor = ONE / total(sums)
    at = row
    while at + 16 <= row + padded:
        store(beliefs, at, scaled(factor, load16(beliefs, at)))
        at += 16
    if at < row + padded:
        store(beliefs, at, scaled(factor, load8(beliefs, at)))


@compiled
def start(first: int, last: int, planes: Any, logs: Any, beliefs: Any, padded: int) -> None:
    """Lay planes of logarithms (K, N) side by side, padded with NEVER, and take their softmax."""
    classes, count = planes.shape[0], planes.shape[1]
    flat = planes.reshape(-1)
    for block in range(first, last, BLOCK):
        stop = min(block + BLOCK, last)
        for k in range(classes):
            for i in range(block, stop):
                poke(logs, i * padded + k, peek(flat, k * count + i))
        for i in range(block, stop):
            for k in range(classes, padded):
                poke(logs, i * padded + k, NEVER)
            top = fill8(LOWEST)
            for at in range(i * padded, (i + 1) * padded, 8):
                row = load8(logs, at)
                store(beliefs, at, row)
                top = larger(top, row)
            normalize(i * padded, padded, largest(top), beliefs)


@compiled
def separate(first: int, last: int, beliefs: Any, padded: int, planes: Any) -> None:
    """Fill planes (K, N) from rows."""
    classes, count = planes.shape[0], planes.shape[1]
    flat = planes.reshape(-1)
    for block in range(first, last, BLOCK):
        stop = min(block + BLOCK, last)
        for k in range(classes):
            for i in range(block, stop):
                poke(flat, k * count + i, peek(beliefs, i * padded + k))


@compiled
def splat_ones(slots: Any, weights: Any, values: Any) -> None:
    """Add each pixel's weights to its vertices: the splat of ones."""
    for i in range(slots.shape[0]):
        for s in range(slots.shape[1]):
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
