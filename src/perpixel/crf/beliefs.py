"""What each pixel believes: slice the messages, add them to the unary, take the softmax.

    update_few                    rows of two or four
    update8, update16, update24   rows of so many classes, which stay in registers from the slice to the softmax
    update                        any number
    update_mixed                  any number, messages multiplied by a matrix: compatibility, learned weights

Source: Krähenbühl & Koltun, NIPS 2011, Alg. 1.
Letters: K classes, N pixels, B blocks of 16 pixels, S slots, G groups of slots.
"""

from typing import Any

import numpy as np

from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import (
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
from perpixel.ops.short_rows import load, logarithm, softmax

ZERO, ONE, MINUS_ONE = np.float32(0), np.float32(1), np.float32(-1)
LOWEST = np.float32(-3e38)
NEVER = np.float32(-1e30)  # the logarithm of what the padding classes are given
BLOCK = 64  # pixels that are transposed at a time
WIDE = 16  # pixels of a block


@compiled
def start_few(first: int, last: int, planes: Any, least: Any, logs: Any, beliefs: Any, width: Any) -> None:
    """Do as `start`, for rows of two or four."""
    lay(first, last, planes, least, logs, len(width))
    for at in range(first * len(width), last * len(width), 16):
        store(beliefs, at, softmax(load16(logs, at), width))


@compiled
def update_few(
    first: int, last: int, corners: int, slots: Any, weights: Any, values: Any, logs: Any, beliefs: Any, width: Any
) -> None:
    """Do as `update8`, for rows of two or four."""
    padded = len(width)
    for block in range(first * WIDE, last * WIDE, WIDE):
        for i in range(block, block + WIDE):
            row = load(logs, i * padded, width)
            begin = block * corners + (i & 15)
            for s in range(begin, begin + corners * WIDE, WIDE):
                row = add_scaled(row, peek(weights, s), load(values, np.int64(peek(slots, s)) * padded, width))
            store(beliefs, i * padded, row)
        for at in range(block * padded, (block + WIDE) * padded, 16):
            store(beliefs, at, softmax(load16(beliefs, at), width))


@compiled
def update8(
    first: int, last: int, corners: int, slots: Any, weights: Any, values: Any, logs: Any, beliefs: Any
) -> None:
    """Renew the blocks `first` to `last`: slice, add to the logarithms of the unary, and take the softmax."""
    for i in range(first * WIDE, last * WIDE):
        row = load8(logs, i * 8)
        begin = (i >> 4) * corners * WIDE + (i & 15)
        for s in range(begin, begin + corners * WIDE, WIDE):
            row = add_scaled(row, peek(weights, s), load8(values, np.int64(peek(slots, s)) * 8))
        row = exponential(add_scaled(row, MINUS_ONE, fill8(largest(row))))
        store(beliefs, i * 8, scaled(ONE / total(row), row))


@compiled
def update16(
    first: int, last: int, corners: int, slots: Any, weights: Any, values: Any, logs: Any, beliefs: Any
) -> None:
    """Do as `update8`, for sixteen classes."""
    for i in range(first * WIDE, last * WIDE):
        row = load16(logs, i * 16)
        begin = (i >> 4) * corners * WIDE + (i & 15)
        for s in range(begin, begin + corners * WIDE, WIDE):
            row = add_scaled(row, peek(weights, s), load16(values, np.int64(peek(slots, s)) * 16))
        row = exponential(add_scaled(row, MINUS_ONE, fill16(largest(fold(row)))))
        store(beliefs, i * 16, scaled(ONE / total(halves(row)), row))


@compiled
def update24(
    first: int, last: int, corners: int, slots: Any, weights: Any, values: Any, logs: Any, beliefs: Any
) -> None:
    """Do as `update8`, for twenty-four classes."""
    for i in range(first * WIDE, last * WIDE):
        row, rest = load16(logs, i * 24), load8(logs, i * 24 + 16)
        begin = (i >> 4) * corners * WIDE + (i & 15)
        for s in range(begin, begin + corners * WIDE, WIDE):
            weight, there = peek(weights, s), np.int64(peek(slots, s)) * 24
            row = add_scaled(row, weight, load16(values, there))
            rest = add_scaled(rest, weight, load8(values, there + 16))
        top = largest(larger(fold(row), rest))
        row = exponential(add_scaled(row, MINUS_ONE, fill16(top)))
        rest = exponential(add_scaled(rest, MINUS_ONE, fill8(top)))
        factor = ONE / total(plus(halves(row), rest))
        store(beliefs, i * 24, scaled(factor, row))
        store(beliefs, i * 24 + 16, scaled(factor, rest))


@compiled
def update(
    first: int, last: int, corners: int, slots: Any, weights: Any, values: Any, logs: Any, beliefs: Any, padded: int
) -> None:
    """Slice, add to the logarithms of the unary, and take the softmax, for the blocks `first` to `last`."""
    for i in range(first * WIDE, last * WIDE):
        row = i * padded
        begin = (i >> 4) * corners * WIDE + (i & 15)
        top = fill8(LOWEST)
        at = 0
        while at + 24 <= padded:
            wide, rest = load16(logs, row + at), load8(logs, row + at + 16)
            for s in range(begin, begin + corners * WIDE, WIDE):
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
            for s in range(begin, begin + corners * WIDE, WIDE):
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
        first: Of the blocks.
        last: Of the blocks.
        slots: int32 (B, S, 16).
        weights: float32 (B, S, 16).
        values: Of the vertices.
        logs: Of the unary.
        beliefs: Written.
        padded: Length of a row.
        columns: First and last slot of each group, (G, 2).
        mixing: Flat (G, K, padded): how much a message of the second index's class adds to each class.
    """
    classes = mixing.size // (columns.shape[0] * padded)
    message = np.empty(padded, np.float32)
    for i in range(first * WIDE, last * WIDE):
        row, block, lane = i * padded, i >> 4, i & 15
        for at in range(0, padded, 8):
            store(beliefs, row + at, load8(logs, row + at))
        for group in range(columns.shape[0]):
            for at in range(0, padded, 8):
                lanes = fill8(ZERO)
                for s in range(columns[group, 0], columns[group, 1]):
                    there = np.int64(slots[block, s, lane]) * padded + at
                    lanes = add_scaled(lanes, weights[block, s, lane], load8(values, there))
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
def start(first: int, last: int, planes: Any, least: Any, logs: Any, beliefs: Any, padded: int) -> None:
    """Lay the logarithms of planes (K, N) side by side, padded with NEVER, and take their softmax.

    Args:
        first: Of the pixels, a multiple of sixteen.
        last: Of the pixels.
        planes: Probabilities, flat.
        least: Smaller ones are taken for this.
        logs: Filled.
        beliefs: Filled.
        padded: Length of a row, a multiple of eight.
    """
    lay(first, last, planes, least, logs, padded)
    for i in range(first, last):
        top = fill8(LOWEST)
        for at in range(i * padded, (i + 1) * padded, 8):
            row = load8(logs, at)
            store(beliefs, at, row)
            top = larger(top, row)
        normalize(i * padded, padded, largest(top), beliefs)


@compiled
def lay(first: int, last: int, planes: Any, least: Any, logs: Any, padded: int) -> None:
    """Lay the logarithms side by side."""
    classes = planes.shape[0]
    flat, count = planes.reshape(-1), planes.shape[1]
    for block in range(first, last, BLOCK):
        stop = min(block + BLOCK, last)
        for k in range(classes):
            for i in range(block, stop):
                poke(logs, i * padded + k, min(max(peek(flat, k * count + i), least), ONE))
        for i in range(block, stop):
            for k in range(classes, padded):
                poke(logs, i * padded + k, ONE)
        for at in range(block * padded, stop * padded, 16):
            store(logs, at, logarithm(load16(logs, at)))
        for i in range(block, stop):
            for k in range(classes, padded):
                poke(logs, i * padded + k, NEVER)


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
