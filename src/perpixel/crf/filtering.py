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

from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import (
    add_scaled,
    fill8,
    fill16,
    load8,
    load16,
    peek,
    plus,
    store,
)

HALF, ZERO = np.float32(0.5), np.float32(0)


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
        if at + 16 <= padded:
            even16, odd16 = fill16(ZERO), fill16(ZERO)
            entry = begin
            while entry + 1 < end:
                there = np.int64(peek(pixels, entry)) * padded + at
                even16 = add_scaled(even16, peek(shares, entry), load16(beliefs, there))
                there = np.int64(peek(pixels, entry + 1)) * padded + at
                odd16 = add_scaled(odd16, peek(shares, entry + 1), load16(beliefs, there))
                entry += 2
            if entry < end:
                there = np.int64(peek(pixels, entry)) * padded + at
                even16 = add_scaled(even16, peek(shares, entry), load16(beliefs, there))
            store(values, row + at, plus(even16, odd16))
            at += 16
        if at < padded:
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
