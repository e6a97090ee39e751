"""The compiled permutohedral lattice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crf.brute_force import kernel_matrix

pytest.importorskip("numba")

from perpixel.crf.filtering import blur, splat
from perpixel.crf.lattice import Lattice, alpha, build, weigh
from perpixel.crf.locate import fingerprint_factors
from perpixel.crf.vertices import Table, place
from perpixel.ops.team import Team


def made(features: np.ndarray, threads: int = 1) -> Lattice:
    with Team(threads) as team:
        return build([features.astype(np.float32)], len(features), team)


def by_pixel(blocks: np.ndarray, count: int) -> np.ndarray:
    """(B, S, 16) -> (N, S)."""
    return blocks.transpose(0, 2, 1).reshape(-1, blocks.shape[1])[:count]


def filtered(lattice: Lattice, values: np.ndarray, backwards: bool = False) -> np.ndarray:
    """Splat, blur and slice (N, 8); `backwards` blurs in reverse order."""
    beliefs = np.zeros((len(lattice.slots) * 16, 8), np.float32)
    beliefs[: len(values)] = values
    rows = np.empty(lattice.vertices * 8, np.float32)
    splat(0, lattice.slots.shape[1], lattice.slots, lattice.shares, lattice.edges, beliefs.reshape(-1), rows, 8)
    for runs in reversed(lattice.passes) if backwards else lattice.passes:
        blur(0, len(runs.starts) - 1, runs.starts, runs.order, rows, 8)
    slots, weights = by_pixel(lattice.slots, len(values)), by_pixel(lattice.weights, len(values))
    return np.einsum("ns,nsk->nk", weights, rows.reshape(-1, 8)[slots])


@given(dimensions=st.integers(1, 8), spread=st.floats(0.01, 300), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_barycentric_weights_are_shares(dimensions: int, spread: float, seed: int) -> None:
    """They sum to 1 and none is below 0, but for float32: coordinates of 10⁴ have four digits left."""
    features = np.random.default_rng(seed).normal(0, spread, (50, dimensions))
    weights = by_pixel(made(features).weights, 50)
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
    lattice = made(features)
    with Team(1) as team:
        weigh(lattice, [1.0], "none", team)
    found, exact = filtered(lattice, values), kernel_matrix(features) @ values
    measured = (found / exact).mean()
    assert measured == pytest.approx(gain, rel=0.06)
    assert np.abs(found / measured / exact - 1).mean() < 0.05


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


@pytest.mark.parametrize("strength", [1.0, -1.0])
def test_normalised_after_the_filter_of_ones_is_the_strength(strength: float) -> None:
    features = np.random.default_rng(1).uniform(0, 4, (300, 3))
    lattice = made(features)
    with Team(2) as team:
        weigh(lattice, [strength], "after", team)
    assert filtered(lattice, np.ones((300, 8))) == pytest.approx(strength, rel=1e-5)


@pytest.mark.parametrize("strength", [3.0, -3.0])
def test_normalised_symmetrically_it_divides_by_both_roots(strength: float) -> None:
    """Splatting and slicing share their weights where a strength has a root."""
    rng = np.random.default_rng(1)
    features, values = rng.uniform(0, 4, (300, 3)), rng.uniform(0, 1, (300, 8)).astype(np.float32)
    plain, lattice = made(features), made(features)
    norm = alpha(3) * filtered(plain, np.ones((300, 8)))
    with Team(1) as team:
        weigh(lattice, [strength], "symmetric", team)
    assert (lattice.shares is lattice.weights) == (strength > 0)
    wanted = strength * alpha(3) * filtered(plain, values / np.sqrt(norm)) / np.sqrt(norm)
    assert filtered(lattice, values) == pytest.approx(wanted, rel=1e-5)


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
    assert len(np.unique(by_pixel(lattice.slots, len(features)))) == lattice.vertices == 3 * len(features)


def test_numbers_go_on_from_one_stretch_of_pixels_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(6).uniform(0, 6, (5000, 4))
    whole = made(features)
    monkeypatch.setattr("perpixel.crf.lattice.SOME", 7)
    assert np.array_equal(whole.slots, made(features).slots)


def test_beyond_the_last_pixel_nothing_weighs() -> None:
    lattice = made(np.random.default_rng(7).uniform(0, 6, (37, 3)))
    assert lattice.slots.shape == (3, 4, 16)
    assert (lattice.slots[2, :, 5:] >= 0).all()
    assert (lattice.weights[2, :, 5:] == 0).all()


def test_a_fingerprint_that_looks_like_an_empty_place_is_found() -> None:
    table = Table()
    at = place(-1, table.bits, table.places)
    assert table.places[at + 1] == -1
    table.places[at], table.places[at + 1] = -1, 5
    assert table.places[place(-1, table.bits, table.places) + 1] == 5


def test_a_slots_vertices_follow_those_of_the_slot_before() -> None:
    lattice = made(np.random.default_rng(8).uniform(0, 6, (500, 3)))
    slots = by_pixel(lattice.slots, 500)
    for slot, (first, last) in enumerate(zip(lattice.edges[:-1], lattice.edges[1:], strict=True)):
        assert sorted(set(slots[:, slot])) == list(range(first, last))


def test_coordinates_too_many_for_64_bits_are_hashed_and_still_tell_vertices_apart() -> None:
    rng = np.random.default_rng(5)
    features = rng.uniform(-4000, 4000, (400, 9)).astype(np.float32)
    factors = fingerprint_factors(features)
    assert not all(int(factor) & (int(factor) - 1) == 0 for factor in factors)
    assert len(np.unique(by_pixel(made(features).slots, 400))) == 400 * 10
