"""Vertices by number: hash tables of fingerprints, and each vertex's neighbours.

    number      fingerprints -> numbers, in the order of first appearance, so that what is near in the image is near
                in memory
    spread      the numbers of a pixel's corners, side by side
    neighbors   numbers -> the numbers one step on, in every direction
    chains      vertices that follow one another along a direction, as lists

A simplex has one corner of each of d + 1 colours, and a step goes to the next colour. So each colour has a table of
its own, and threads work on colours without meeting. The n-th vertex of colour c has the number n · (d + 1) + c:
numbers interleave, and a few at the end are no vertex.

Letters: N pixels, S slots, M numbers, d dimensions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import peek

MIX = np.uint64(0x9E3779B97F4A7C15)
ONE, HALF, WORD = np.uint64(1), np.uint64(32), np.uint64(64)
FIRST_BITS = 12  # of a table's size; it grows when it is half full


@compiled
def place(fingerprint: Any, bits: Any, keys: Any, names: Any) -> Any:
    """Return where in a table of 2^bits a fingerprint is, or belongs."""
    last = np.uint64(keys.size) - ONE
    mixed = np.uint64(fingerprint) * MIX
    mixed = (mixed ^ (mixed >> HALF)) * MIX  # once is not enough: vertices are as regular as the product
    at = mixed >> (WORD - np.uint64(bits))
    while names[at] >= 0 and keys[at] != fingerprint:
        at = (at + ONE) & last
    return at


@dataclass
class Table:
    """The vertices of one colour.

    Attributes:
        bits: The table has 2^bits places.
        keys: Fingerprints, int64 (2^bits).
        names: Numbers, int32 (2^bits); −1 where a place is empty.
        known: The vertices' fingerprints in order, int64.
    """

    bits: int
    keys: Any
    names: Any
    known: Any

    @classmethod
    def empty(cls, bits: int) -> "Table":
        """Return a table without vertices, with room for half as many as it has places."""
        keys, names = np.empty(1 << bits, np.int64), np.full(1 << bits, -1, np.int32)
        return cls(bits, keys, names, np.empty(1 << (bits - 1), np.int64))


def number(color: int, fingerprints: Any) -> Table:
    """Number the vertices of one colour.

    Args:
        color: Which.
        fingerprints: int64 (d + 1, N); this colour's are replaced by the numbers.
    """
    mine, colors = fingerprints[color], len(fingerprints)
    table = Table.empty(FIRST_BITS)
    done, count = number_some(color, colors, 0, 0, mine, table.bits, table.keys, table.names, table.known)
    while done < len(mine):
        known, table = table.known, Table.empty(table.bits + 1)
        refill(color, colors, known, table.bits, table.keys, table.names, table.known)
        done, count = number_some(color, colors, done, count, mine, table.bits, table.keys, table.names, table.known)
    table.known = table.known[:count].copy()
    return table


@compiled
def number_some(
    color: int,
    colors: int,
    first: int,
    count: int,
    fingerprints: Any,
    bits: int,
    keys: Any,
    names: Any,
    known: Any,
) -> tuple[int, int]:
    """Number from a pixel on until the table is half full; returns the pixel reached, and how many are known."""
    before, name = np.int64(0), np.int32(-1)
    for i in range(first, fingerprints.size):
        fingerprint = peek(fingerprints, i)
        if name < 0 or fingerprint != before:
            at = place(fingerprint, bits, keys, names)
            if names[at] < 0:
                if count == known.size:
                    return i, count
                keys[at] = fingerprint
                names[at] = count * colors + color
                known[count] = fingerprint
                count += 1
            before, name = fingerprint, names[at]
        fingerprints[i] = name
    return fingerprints.size, count


@compiled
def refill(color: int, colors: int, vertices: Any, bits: int, keys: Any, names: Any, known: Any) -> None:
    """Put vertices into an empty table."""
    for vertex in range(vertices.size):
        at = place(vertices[vertex], bits, keys, names)
        keys[at] = vertices[vertex]
        names[at] = vertex * colors + color
        known[vertex] = vertices[vertex]


@compiled
def spread(first: int, last: int, numbers: Any, offset: int, column: int, slots: Any) -> None:
    """Lay the numbers (d + 1, N) of the pixels `first` to `last` side by side, into slots (N, S) from `column` on."""
    for i in range(first, last):
        for color in range(numbers.shape[0]):
            slots[i, column + color] = numbers[color, i] + offset


@compiled
def neighbors(color: int, known: Any, bits: Any, keys: Any, names: Any, steps: Any, following: Any) -> None:
    """Find what follows each vertex of one colour.

    Args:
        color: Which.
        known: The vertices' fingerprints.
        bits: Of the next colour's table.
        keys: The next colour's table.
        names: The next colour's table.
        steps: What a step in each direction adds to a fingerprint, (d + 1).
        following: int32 (d + 1, M); this colour's are filled with numbers, −1 for none.
    """
    colors = steps.size
    for vertex in range(known.size):
        for direction in range(colors):
            following[direction, vertex * colors + color] = names[
                place(known[vertex] + steps[direction], bits, keys, names)
            ]


@compiled
def chains(direction: int, following: Any, offset: int, order: Any, starts: Any) -> tuple[int, int]:
    """List the runs of at least two vertices along one direction; returns how many vertices and how many runs.

    Args:
        direction: Which.
        following: int32 (d + 1, M).
        offset: Added to the numbers listed.
        order: int32 (M), filled with the vertices, run after run.
        starts: int32 (M // 2 + 2), filled with where each run starts, and the end.
    """
    total = following.shape[1]
    follows = np.zeros(total, np.bool_)
    for vertex in range(total):
        if following[direction, vertex] >= 0:
            follows[following[direction, vertex]] = True
    listed = 0
    runs = 0
    for vertex in range(total):
        if follows[vertex] or following[direction, vertex] < 0:
            continue
        starts[runs] = listed
        runs += 1
        current = np.int64(vertex)
        while current >= 0:
            order[listed] = current + offset
            listed += 1
            current = np.int64(following[direction, current])
    starts[runs] = listed
    return listed, runs
