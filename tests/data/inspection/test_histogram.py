"""Values are counted exactly, alone and summed, and edges are told from areas."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from perpixel.data.inspection.histogram import MAX_VALUES_HELD, Held, add_all, count_values, pack_colors, unpack_color

MASKS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3))


def naive_interior(mask: np.ndarray, value: int) -> int:
    """Count centres of 3×3 blocks of one value, one by one."""
    height, width = mask.shape
    return sum(
        bool((mask[r - 1 : r + 2, c - 1 : c + 2] == value).all())
        for r in range(1, height - 1)
        for c in range(1, width - 1)
    )


@given(MASKS)
def test_counts_agree_with_counting_one_by_one(mask: np.ndarray) -> None:
    counted = count_values(mask)
    for value in range(4):
        expected = int((mask == value).sum())
        assert counted.of(value) == (expected, int(expected > 0), naive_interior(mask, value))


@given(st.lists(MASKS, min_size=1, max_size=4))
def test_histograms_add_up(masks: list[np.ndarray]) -> None:
    total = add_all([count_values(mask) for mask in masks])
    assert total.total == sum(mask.size for mask in masks)
    assert total.of(1)[1] == sum(bool((mask == 1).any()) for mask in masks)


def test_a_colour_is_packed_and_unpacked() -> None:
    colors = np.array([[[1, 2, 3], [255, 0, 128]]], np.uint8)
    assert [unpack_color(int(value)) for value in pack_colors(colors)[0]] == [(1, 2, 3), (255, 0, 128)]


def test_sixteen_bit_ids_are_counted() -> None:
    assert count_values(np.array([[26001, 7], [26001, 0]], np.uint16)).of(26001) == (2, 1, 0)


def test_too_many_values_are_dropped_rarest_first_and_still_counted() -> None:
    counted = count_values(np.array([[0, 0, 0, 1, 1, 2]])).largest(2)
    assert list(counted.values) == [0, 1]
    assert counted.total == 6
    assert counted.dropped == 1


def test_of_many_colours_one_is_held_for_all_that_are_alike() -> None:
    """Noise of ±7 around two colours, and five pixels of a third: all three stay."""
    rng = np.random.default_rng(0)
    colors = np.array([[40, 40, 40], [200, 40, 40]])[rng.integers(0, 2, (64, 64))]
    noisy = (colors + rng.integers(-7, 8, (64, 64, 3))).astype(np.uint8)
    noisy[0, :5] = (40, 40, 200)
    held = Held.of(count_values(noisy), colors=True)
    assert len(held.values) <= MAX_VALUES_HELD
    assert int(held.pixels.sum()) + held.rest == 64 * 64
    assert held.pixels[held.values == 0x2828C8] == 5
