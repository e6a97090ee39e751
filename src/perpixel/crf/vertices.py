"""Vertices by number: a hash table of fingerprints, and each vertex's neighbours.

    number    fingerprints -> numbers, in the order of first appearance, so that what is near in the image is near
              in memory
    chains    vertices that follow one another along one direction, as lists

The table is cut into equal parts by the leading bits of the hash; threads fill a part each. Vertex `count` of part
`p` of `P` has the number count · P + p: numbers interleave, and a few at the end are no vertex.

Letters: N pixels, S slots, M numbers, d dimensions.
"""

from typing import Any

import numpy as np
from numba import njit

MIX = np.uint64(0x9E3779B97F4A7C15)
FULL = 0.7


@njit(cache=True, nogil=True, inline="always")
def home(fingerprint: int, shift: int) -> int:
    """Return where a fingerprint belongs in the table."""
    return np.int64((np.uint64(fingerprint) * MIX) >> np.uint64(shift))


@njit(cache=True, nogil=True)
def number(
    part: int, parts: int, shift: int, fingerprints: Any, column: int, slots: Any, keys: Any, names: Any, vertices: Any
) -> int:
    """Number the vertices of one part; returns how many there are, or −1 where the part is too full.

    Args:
        part: Which.
        parts: A power of 2.
        shift: 64 less the table's bits.
        fingerprints: (N, d + 1).
        column: First of this kernel's slots.
        slots: int32 (N, S), filled with numbers.
        keys: The table's fingerprints, int64.
        names: The table's numbers, int32, −1 where empty.
        vertices: Fingerprints by number, int64, filled.
    """
    room = keys.size // parts
    low = part * room
    limit = int(room * FULL)
    count = 0
    corners = fingerprints.shape[1]
    before = np.zeros(corners, np.int64)
    names_before = np.full(corners, -1, np.int32)
    for i in range(fingerprints.shape[0]):
        for corner in range(corners):
            fingerprint = fingerprints[i, corner]
            if names_before[corner] >= 0 and fingerprint == before[corner]:
                slots[i, column + corner] = names_before[corner]
                continue
            at = home(fingerprint, shift)
            if at - low < 0 or at - low >= room:
                continue
            while names[at] >= 0 and keys[at] != fingerprint:
                at = at + 1 if at + 1 < low + room else low
            if names[at] < 0:
                if count >= limit:
                    return -1
                keys[at] = fingerprint
                names[at] = count * parts + part
                vertices[names[at]] = fingerprint
                count += 1
            before[corner] = fingerprint
            names_before[corner] = names[at]
            slots[i, column + corner] = names[at]
    return count


@njit(cache=True, nogil=True)
def find(fingerprint: int, parts: int, shift: int, keys: Any, names: Any) -> int:
    """Return a vertex's number, −1 if there is none."""
    room = keys.size // parts
    at = home(fingerprint, shift)
    low = at // room * room
    while names[at] >= 0 and keys[at] != fingerprint:
        at = at + 1 if at + 1 < low + room else low
    return names[at]


@njit(cache=True, nogil=True)
def chains(
    step: int,
    parts: int,
    shift: int,
    keys: Any,
    names: Any,
    vertices: Any,
    used: Any,
    offset: int,
    order: Any,
    starts: Any,
) -> tuple[int, int]:
    """List the runs of at least two vertices along one direction; returns how many vertices and how many runs.

    Args:
        step: What to add to a fingerprint to go on in this direction.
        parts: The table's.
        shift: The table's.
        keys: The table's fingerprints.
        names: The table's numbers.
        vertices: Fingerprints by number.
        used: How many numbers each part used.
        offset: Added to the numbers listed.
        order: int32 (M), filled with the vertices, run after run.
        starts: int32 (M // 2 + 2), filled with where each run starts, and the end.
    """
    total = vertices.size
    following = np.full(total, -1, np.int32)
    follows = np.zeros(total, np.bool_)
    for vertex in range(total):
        if vertex // parts < used[vertex % parts]:
            next_one = find(vertices[vertex] + step, parts, shift, keys, names)
            following[vertex] = next_one
            if next_one >= 0:
                follows[next_one] = True
    listed = 0
    runs = 0
    for vertex in range(total):
        if follows[vertex] or following[vertex] < 0:
            continue
        starts[runs] = listed
        runs += 1
        current = np.int64(vertex)
        while current >= 0:
            order[listed] = current + offset
            listed += 1
            current = following[current]
    starts[runs] = listed
    return listed, runs
