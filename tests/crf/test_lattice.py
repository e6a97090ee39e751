"""The compiled permutohedral lattice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crf.brute_force import kernel_matrix

pytest.importorskip("numba")

from perpixel.crf.filtering import blur, splat
from perpixel.crf.lattice import Lattice, alpha, build, norms, weigh
from perpixel.crf.locate import fingerprint_factors
from perpixel.ops.team import Team


def made(features: np.ndarray, threads: int = 1) -> Lattice:
    with Team(threads) as team:
        return build([features.astype(np.float32)], len(features), team)


def filtered(lattice: Lattice, values: np.ndarray, backwards: bool = False) -> np.ndarray:
    """Splat, blur and slice (N, 8), not normalised; `backwards` blurs in reverse order."""
    values = np.ascontiguousarray(values, np.float32)
    rows = np.empty(lattice.vertices * 8, np.float32)
    with Team(1) as team:
        if not len(lattice.pixels):
            weigh(lattice, [1.0] * len(lattice.columns), "none", team)
    splat(0, lattice.vertices, lattice.starts, lattice.pixels, lattice.shares, values.reshape(-1), rows, 8)
    for runs in reversed(lattice.passes) if backwards else lattice.passes:
        blur(0, len(runs.starts) - 1, runs.starts, runs.order, rows, 8)
    return np.einsum("ns,nsk->nk", lattice.weights, rows.reshape(-1, 8)[lattice.slots])


@given(dimensions=st.integers(1, 8), spread=st.floats(0.01, 300), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_barycentric_weights_are_shares(dimensions: int, spread: float, seed: int) -> None:
    """They sum to 1 and none is below 0, but for float32: coordinates of 10⁴ have four digits left."""
    features = np.random.default_rng(seed).normal(0, spread, (50, dimensions))
    weights = made(features).weights
    assert np.abs(weights.sum(axis=1) - 1).max() < 1e-5
    assert weights.min() > -1e-6 * (1 + 4 * spread)


@pytest.mark.parametrize(("dimensions", "gain"), [(2, 0.875), (5, 0.666)])
def test_the_filter_is_a_gaussian_of_deviation_one_but_for_a_gain(dimensions: int, gain: float) -> None:
    """Measured against the dense sum on random points: a gain of about 0.875 in two dimensions and 0.666 in five,
    beyond which it errs by some percent.
    """
    rng = np.random.default_rng(3)
    features = rng.uniform(0, 3, (1500, dimensions))
    values = rng.uniform(0, 1, (1500, 8))
    lattice, exact = filtered(made(features), values), kernel_matrix(features) @ values
    measured = (lattice / exact).mean()
    assert measured == pytest.approx(gain, rel=0.06)
    assert np.abs(lattice / measured / exact - 1).mean() < 0.05


def test_alpha_is_the_reference_codes() -> None:
    """permutohedral.cpp: 1 / (1 + 2^−d)."""
    assert [alpha(2), alpha(5)] == pytest.approx([0.8, 32 / 33])


@given(dimensions=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_blurring_backwards_is_the_adjoint(dimensions: int, seed: int) -> None:
    """⟨F x, y⟩ = ⟨x, F' y⟩ when F' takes the directions in reverse order."""
    rng = np.random.default_rng(seed)
    lattice = made(rng.normal(0, 1.5, (60, dimensions)))
    one, other = rng.uniform(0, 1, (60, 8)), rng.uniform(0, 1, (60, 8))
    forwards = (filtered(lattice, one) * other).sum()
    assert (one * filtered(lattice, other, backwards=True)).sum() == pytest.approx(forwards, rel=1e-5)


def test_a_point_alone_gets_what_its_simplex_gives_back() -> None:
    """With no other vertices the filter is alpha · Σ b²: blurring within one simplex reaches corners by d + 1 steps."""
    rng = np.random.default_rng(0)
    for dimensions in (2, 3, 5):
        lattice = made(rng.normal(0, 1, (1, dimensions)))
        assert sum(len(runs.order) for runs in lattice.passes) == 2 * (dimensions + 1)
        assert 0 < float(filtered(lattice, np.ones((1, 8)))[0, 0]) < 1


def test_norms_are_the_filter_of_ones() -> None:
    features = np.random.default_rng(1).uniform(0, 4, (300, 3))
    with Team(1) as team:
        found = norms(made(features), team)[0]
    assert found == pytest.approx(filtered(made(features), np.ones((300, 8)))[:, 0], rel=1e-5)


def test_several_kernels_share_a_lattice_and_do_not_meet() -> None:
    rng = np.random.default_rng(2)
    kernels = [rng.uniform(0, 3, (200, 2)).astype(np.float32), rng.uniform(0, 3, (200, 4)).astype(np.float32)]
    values = rng.uniform(0, 1, (200, 8))
    with Team(1) as team:
        both = build(kernels, 200, team)
    alone = [filtered(made(features), values) for features in kernels]
    assert filtered(both, values) == pytest.approx(alone[0] + alone[1], rel=1e-5)


def test_threads_change_nothing() -> None:
    features = np.random.default_rng(4).uniform(0, 6, (5000, 5))
    one, three = made(features), made(features, 3)
    assert np.array_equal(one.slots, three.slots)
    assert all(np.array_equal(a.order, b.order) for a, b in zip(one.passes, three.passes, strict=True))


def test_tables_grow() -> None:
    """More vertices than the first table holds, each point in a simplex of its own."""
    features = np.stack(np.meshgrid(np.arange(150), np.arange(150)), -1).reshape(-1, 2) * 20.0
    lattice = made(features)
    assert len(np.unique(lattice.slots)) == 3 * len(features)


def test_coordinates_too_many_for_64_bits_are_hashed_and_still_tell_vertices_apart() -> None:
    rng = np.random.default_rng(5)
    features = rng.uniform(-4000, 4000, (400, 9)).astype(np.float32)
    factors = fingerprint_factors(features)
    assert not all(int(factor) & (int(factor) - 1) == 0 for factor in factors)
    assert len(np.unique(made(features).slots)) == 400 * 10
