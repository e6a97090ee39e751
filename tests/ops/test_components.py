"""perpixel.ops.components: numbered parts, against a flood fill."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.ops.components import connected_components


def flooded(labels: np.ndarray, neighbours: int) -> np.ndarray:
    """Fill one component after another, pixel by pixel."""
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)] + [(1, 1), (1, -1), (-1, 1), (-1, -1)] * (neighbours == 8)
    found, number = np.zeros(labels.shape, dtype=np.int64), 0
    for start in np.ndindex(labels.shape):
        if labels[start] == 0 or found[start]:
            continue
        number += 1
        found[start], front = number, [start]
        while front:
            row, column = front.pop()
            for down, across in steps:
                place = (row + down, column + across)
                inside = 0 <= place[0] < labels.shape[0] and 0 <= place[1] < labels.shape[1]
                if inside and not found[place] and labels[place] == labels[start]:
                    found[place] = number
                    front.append(place)
    return found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.sampled_from([4, 8]))
def test_components_are_those_of_a_flood_fill(
    seed: int, height: int, width: int, classes: int, neighbours: Literal[4, 8]
) -> None:
    labels = np.random.default_rng(seed).integers(0, classes + 1, (height, width))
    assert np.array_equal(connected_components(labels, neighbours=neighbours), flooded(labels, neighbours))


def test_a_spiral_is_one_component() -> None:
    """Runs that meet late must carry their number all the way back."""
    size = 41
    spiral = np.zeros((size, size), dtype=bool)
    row, column, down, across = 0, 0, 0, 1
    for length in [size - 1, *(n for n in range(size - 1, 1, -2) for _ in (0, 1))]:
        for _ in range(length):
            spiral[row, column] = True
            row, column = row + down, column + across
        down, across = across, -down
    assert connected_components(spiral).max() == 1


def test_another_class_may_be_the_background() -> None:
    labels = np.array([[5, 5, 0], [5, 0, 0]])
    assert connected_components(labels, background=5).tolist() == [[0, 0, 1], [0, 1, 1]]


def test_nothing_but_background_has_no_components() -> None:
    assert not connected_components(np.zeros((3, 4), dtype=np.uint8)).any()


def test_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels \(H, W\) and 4 or 8 neighbours, got \(1, 2, 3\) and 4"):
        connected_components(np.zeros((1, 2, 3), dtype=int))
