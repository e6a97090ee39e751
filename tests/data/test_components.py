"""Connected parts, against a flood fill."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from perpixel.data.components import connected_components


def flood(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Label by walking, one pixel at a time."""
    parts = np.zeros(mask.shape, np.intp)
    for start in zip(*np.nonzero(mask), strict=True):
        if parts[start]:
            continue
        number, waiting = int(parts.max()) + 1, [start]
        while waiting:
            r, c = waiting.pop()
            if 0 <= r < mask.shape[0] and 0 <= c < mask.shape[1] and mask[r, c] and not parts[r, c]:
                parts[r, c] = number
                waiting += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
    return parts


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.2, 0.9), st.integers(0, 999))
def test_parts_are_those_of_a_flood_fill(height: int, width: int, density: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < density
    np.testing.assert_array_equal(connected_components(mask), flood(mask))


def test_a_spiral_is_one_part_and_corners_do_not_touch() -> None:
    spiral = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [1, 1, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]], bool)
    assert connected_components(spiral).max() == 1
    assert connected_components(np.eye(4, dtype=bool)).max() == 4
