"""Vertices by number: hash tables of fingerprints, and each vertex's neighbours.

    number      fingerprints -> numbers, in the order of first appearance, so that what is near in the image is near
                in memory
    settle      the numbers of each table's vertices follow those of the one before
    neighbors   numbers -> the numbers one step on, in every direction
    chains      vertices that follow one another along a direction, as lists

A simplex has one corner of each of d + 1 colours, and a step goes to the next colour. So each colour has a table of
its own, and threads work on colours without meeting.

Letters: N pixels, M vertices, d dimensions, S slots, B blocks of 16 pixels.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import peek, poke

WIDE = 16  # pixels of a block
MIX = np.uint64(0x9E3779B97F4A7C15)
WORD = np.uint64(64)
FIRST_BITS = 12  # of a table's size
SPARE = 2  # bits: it grows when it is a quarter full, so that the first place is nearly always the right one


@compiled
def place(fingerprint: Any, bits: Any, table: Any) -> Any:
    """Return where in a table of 2^bits a fingerprint is, or belongs: the index of its fingerprint."""
    at = 2 * np.int64((np.uint64(fingerprint) * MIX) >> (WORD - np.uint64(bits)))
    while peek(table, at) != fingerprint and peek(table, at + 1) >= 0:
        at = (at + 2) & (table.size - 1)
    # An empty place may hold the very fingerprint that is sought; it is told by its number, −1.
    return at


@dataclass
class Table:
    """The vertices of one colour.

    Attributes:
        bits: The table has 2^bits places.
        places: Fingerprint, number, fingerprint, number …, int64 (2 · 2^bits); the number is −1 where a place is empty.
        known: The vertices' fingerprints in order, int64, with room for more.
        count: How many there are.
    """

    bits: int = FIRST_BITS
    places: Any = field(default_factory=lambda: np.full(2 << FIRST_BITS, -1, np.int64))
    known: Any = field(default_factory=lambda: np.empty(1 << FIRST_BITS - SPARE, np.int64))
    count: int = 0

    def grow(self) -> None:
        """Double the places."""
        self.bits += 1
        self.places = np.full(2 << self.bits, -1, np.int64)
        refill(self.known[: self.count], self.bits, self.places)
        self.known = np.concatenate([self.known, np.empty_like(self.known)])


def number(slot: int, table: Table, fingerprints: Any, slots: Any) -> None:
    """Number the vertices of some pixels' corners of one colour.

    Args:
        slot: Which.
        table: The vertices known so far; grows.
        fingerprints: int64 (S, N).
        slots: int32 (B, S, 16), of which this slot's are filled.
    """
    mine, names = fingerprints[slot], slots.reshape(-1)
    rest = slot, slots.shape[1], mine
    done, table.count = number_some(0, table.count, *rest, table.bits, table.places, table.known, names)
    while done < len(mine):
        table.grow()
        done, table.count = number_some(done, table.count, *rest, table.bits, table.places, table.known, names)


@compiled
def number_some(
    first: int,
    count: int,
    slot: int,
    corners: int,
    fingerprints: Any,
    bits: int,
    table: Any,
    known: Any,
    names: Any,
) -> tuple[int, int]:
    """Number from a pixel on until the table is full; returns the pixel reached, and how many vertices are known."""
    for i in range(first, fingerprints.size):
        fingerprint = peek(fingerprints, i)
        at = place(fingerprint, bits, table)
        name = peek(table, at + 1)
        if name < 0:
            if count == known.size:
                return i, count
            name = count
            poke(table, at, fingerprint)
            poke(table, at + 1, name)
            poke(known, count, fingerprint)
            count += 1
        poke(names, ((i >> 4) * corners + slot) * WIDE + (i & 15), np.int32(name))
    return fingerprints.size, count


@compiled
def refill(vertices: Any, bits: int, table: Any) -> None:
    """Put vertices into an empty table."""
    for vertex in range(vertices.size):
        at = place(vertices[vertex], bits, table)
        table[at], table[at + 1] = vertices[vertex], vertex


@compiled
def settle(low: int, high: int, edges: Any, slots: Any, weights: Any, sums: Any) -> None:
    """Let the numbers of the slots `low` to `high` follow one another, and splat ones: sum each vertex's weights."""
    corners = slots.shape[1]
    names, shares = slots.reshape(-1), weights.reshape(-1)
    for block in range(slots.shape[0]):
        for begin in range(block * corners * WIDE, block * corners * WIDE + WIDE):
            # Slot after slot, for one pixel: no sum waits for the one before.
            for slot in range(low, high):
                at = begin + slot * WIDE
                vertex = np.int64(peek(names, at)) + peek(edges, slot)
                poke(names, at, np.int32(vertex))
                poke(sums, vertex, peek(sums, vertex) + peek(shares, at))


@compiled
def neighbors(first: int, known: Any, after: int, bits: Any, table: Any, steps: Any, following: Any) -> None:
    """Find what follows each vertex of one colour.

    Args:
        first: Number of the colour's first vertex.
        known: The vertices' fingerprints.
        after: Number of the next colour's first vertex.
        bits: Of the next colour's table.
        table: The next colour's.
        steps: What a step in each direction adds to a fingerprint, (d + 1).
        following: int32 (d + 1, M); this colour's are filled with numbers, −1 for none.
    """
    for vertex in range(known.size):
        for direction in range(steps.size):
            there = table[place(known[vertex] + steps[direction], bits, table) + 1]
            following[direction, first + vertex] = there + after if there >= 0 else there


@compiled
def chains(direction: int, first: int, last: int, following: Any, order: Any, starts: Any) -> tuple[int, int]:
    """List the runs of at least two vertices along one direction; returns how many vertices and how many runs.

    Args:
        direction: Which.
        first: Number of the kernel's first vertex.
        last: Number beyond its last.
        following: int32 (d + 1, M).
        order: int32 (M), filled with the vertices, run after run.
        starts: int32 (M // 2 + 2), filled with where each run starts, and the end.
    """
    follows = np.zeros(last - first, np.bool_)
    for vertex in range(first, last):
        if following[direction, vertex] >= 0:
            follows[following[direction, vertex] - first] = True
    listed = 0
    runs = 0
    for vertex in range(first, last):
        if follows[vertex - first] or following[direction, vertex] < 0:
            continue
        starts[runs] = listed
        runs += 1
        current = np.int64(vertex)
        while current >= 0:
            order[listed] = current
            listed += 1
            current = np.int64(following[direction, current])
    starts[runs] = listed
    return listed, runs
