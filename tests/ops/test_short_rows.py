"""Short rows in one vector do what their names say."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import numba

from perpixel.ops.lanes import load16, store
from perpixel.ops.short_rows import load, logarithm, softmax, zeros


@numba.njit
def apply_logarithm(values: np.ndarray, out: np.ndarray) -> None:
    for at in range(0, values.size, 16):
        store(out, at, logarithm(load16(values, at)))


@numba.njit
def apply_softmax(values: np.ndarray, out: np.ndarray, width: Any) -> None:
    store(out, 0, softmax(load16(values, 0), width))


@numba.njit
def copy_second_row(values: np.ndarray, out: np.ndarray, width: Any) -> None:
    store(out, 0, load(values, len(width), width))
    store(out, len(width), zeros(width))


def test_the_logarithm_is_right_to_the_last_bits() -> None:
    """Near 1, where it is small, as everywhere else."""
    values = np.concatenate([np.geomspace(1.2e-38, 3e38, 32000), np.linspace(0.7, 1.5, 16000)]).astype(np.float32)
    found, exact = np.empty_like(values), np.log(values.astype(np.float64))
    apply_logarithm(values, found)
    assert (np.abs(found - exact) <= 2e-7 * np.abs(exact)).all()


def test_the_logarithm_of_one_is_zero() -> None:
    found = np.ones(16, np.float32)
    apply_logarithm(np.ones(16, np.float32), found)
    assert (found == 0).all()


@pytest.mark.parametrize("width", [2, 4])
def test_each_row_sums_to_one_by_itself(width: int) -> None:
    values = np.random.default_rng(0).normal(0, 3, 16).astype(np.float32)
    found = np.empty(16, np.float32)
    apply_softmax(values, found, (0,) * width)
    rows = values.reshape(-1, width).astype(np.float64)
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    assert found.reshape(-1, width) == pytest.approx(powers / powers.sum(axis=1, keepdims=True), rel=1e-6)


@pytest.mark.parametrize("width", [2, 4])
def test_a_row_is_as_long_as_the_tuple(width: int) -> None:
    values, found = np.arange(16, dtype=np.float32), np.full(16, 9, np.float32)
    copy_second_row(values, found, (0,) * width)
    assert found.tolist() == [*range(width, 2 * width), *[0] * width, *[9] * (16 - 2 * width)]
