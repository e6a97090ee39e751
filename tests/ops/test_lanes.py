"""Short vectors do what their names say."""

import numpy as np
import pytest

pytest.importorskip("numba")

import numba

from perpixel.ops.lanes import (
    below,
    exponential,
    fill16,
    fold,
    halves,
    largest,
    load8,
    load16,
    rounded,
    store,
    total,
    where_equal,
)


@numba.njit
def apply_exponential(values: np.ndarray, out: np.ndarray) -> None:
    for at in range(0, values.size, 16):
        store(out, at, exponential(load16(values, at)))


@numba.njit
def apply_rounding(values: np.ndarray, out: np.ndarray) -> None:
    store(out, 0, rounded(load16(values, 0)))
    store(out, 16, below(load16(values, 0), fill16(np.float32(1))))


@numba.njit
def reduce(values: np.ndarray) -> tuple[float, float, float, float]:
    wide = load16(values, 0)
    return largest(fold(wide)), total(halves(wide)), largest(load8(values, 8)), total(load8(values, 8))


@numba.njit
def replace_twos(values: np.ndarray, out: np.ndarray) -> None:
    store(out, 0, where_equal(load16(values, 0), np.float32(2), fill16(np.float32(7)), load16(values, 0)))


def test_lanes_are_chosen_where_a_number_stands() -> None:
    values, found = (np.arange(16, dtype=np.float32) % 4), np.empty(16, np.float32)
    replace_twos(values, found)
    assert np.array_equal(found, np.where(values == 2, 7, values))


def test_the_exponential_is_right_to_the_last_bits() -> None:
    values = np.linspace(-86.9, 88, 16000).astype(np.float32)
    found = np.empty_like(values)
    apply_exponential(values, found)
    assert np.abs(found / np.exp(values.astype(np.float64)) - 1).max() < 2.5e-7


def test_the_exponential_of_what_is_far_below_is_zero() -> None:
    values = np.full(16, -1e30, np.float32)
    found = np.ones_like(values)
    apply_exponential(values, found)
    assert (found == 0).all()


def test_halves_are_rounded_to_even_as_the_reference_code_does() -> None:
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 0.51, -2.5] * 2, np.float32)
    found = np.empty(32, np.float32)
    apply_rounding(values, found)
    assert np.array_equal(found[:16], np.rint(values))
    assert np.array_equal(found[16:], values < 1)


def test_lanes_are_joined() -> None:
    values = np.random.default_rng(0).normal(size=16).astype(np.float32)
    top, sum_of_all, top_of_half, sum_of_half = reduce(values)
    assert (top, top_of_half) == (values.max(), values[8:].max())
    assert (sum_of_all, sum_of_half) == (pytest.approx(values.sum()), pytest.approx(values[8:].sum(), abs=1e-6))
