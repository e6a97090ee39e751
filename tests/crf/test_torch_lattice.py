"""The lattice in PyTorch: its geometry, its transpose, and how near it is to the Gaussian it stands for."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from perpixel.crf.torch_lattice import Lattice, barycentric, elevate, enclose
from perpixel.errors import UsageError

dimensions = st.integers(1, 12)
seeds = st.integers(0, 2**31)


def points(seed: int, d: int, count: int = 120, spread: float = 1.5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(count, d, generator=generator, dtype=torch.float64)


def matrix(lattice: Lattice, transpose: bool = False) -> Tensor:
    """Write the filter out as a matrix."""
    return lattice.filter(torch.eye(len(lattice.weights), dtype=torch.float64), transpose=transpose)


@settings(max_examples=25)
@given(seeds, dimensions)
def test_weights_are_barycentric(seed: int, d: int) -> None:
    """Each point is the mean of its simplex's vertices: weights of at least 0, sum 1."""
    lattice = Lattice.of(points(seed, d))
    assert lattice.weights.min() >= -1e-12
    torch.testing.assert_close(lattice.weights.sum(1), torch.ones(120, dtype=torch.float64))


@settings(max_examples=25)
@given(seeds, dimensions)
def test_a_point_is_the_mean_of_its_vertices(seed: int, d: int) -> None:
    """Walking the simplex and weighing its corners must give back where the point was lifted to."""
    features = points(seed, d)
    residuals, corners, coordinates = enclose(features)
    weights = barycentric(residuals)
    at, mean = corners.double(), weights[:, :1] * corners
    for vertex in range(1, d + 1):
        at = at + 1
        at = at.scatter_add(1, coordinates[:, [d + 1 - vertex]], torch.full((120, 1), -(d + 1.0), dtype=torch.float64))
        mean = mean + weights[:, [vertex]] * at
    torch.testing.assert_close(mean, elevate(features))
    assert not corners.sum(1).any()


@settings(max_examples=25)
@given(seeds, dimensions)
def test_reversed_blur_is_the_exact_transpose(seed: int, d: int) -> None:
    lattice = Lattice.of(points(seed, d))
    torch.testing.assert_close(matrix(lattice, transpose=True), matrix(lattice).T, atol=1e-14, rtol=0)


@settings(max_examples=25)
@given(seeds, st.integers(1, 6))
def test_hashed_keys_give_the_same_filter(seed: int, d: int) -> None:
    """Keys of many features do not fit into 64 bits; where they do, hashing them must change nothing."""
    features = points(seed, d)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perpixel.crf.torch_lattice.LONGEST_KEY", 0)
        hashed = Lattice.of(features)
    torch.testing.assert_close(matrix(hashed), matrix(Lattice.of(features)))


@pytest.mark.parametrize(("d", "gain", "error"), [(1, 0.92, 0.03), (2, 0.875, 0.05), (3, 0.82, 0.08)])
def test_it_is_a_gaussian_but_for_a_constant_gain(d: int, gain: float, error: float) -> None:
    """Against the sum over all pairs, many points of each neighbourhood; the gain is far from 1 and constant."""
    features = points(3, d, count=2500, spread=1.0)
    values = torch.rand(2500, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    exact = torch.exp(-0.5 * torch.cdist(features, features) ** 2)
    found = Lattice.of(features).filter(values)
    assert found.sum() / (exact @ values).sum() == pytest.approx(gain, abs=0.02)
    mean, exact_mean = found / found.sum(1, keepdim=True), exact @ values
    exact_mean = exact_mean / exact_mean.sum(1, keepdim=True)
    assert (mean / exact_mean - 1).abs().mean() < error


def test_one_point_alone_by_hand() -> None:
    """One feature, a point on a vertex beside one other: 1, 0 -> 1, ½ -> 5/4, 1; the scale is 1 / (1 + 2⁻¹)."""
    lattice = Lattice.of(torch.zeros(1, 1, dtype=torch.float64))
    assert lattice.filter(torch.ones(1, 1, dtype=torch.float64)).item() == pytest.approx(5 / 4 / 1.5)


def test_groups_do_not_see_each_other() -> None:
    """Two images in one lattice are filtered as each alone."""
    features, values = points(5, 5, count=80), torch.rand(80, 2, dtype=torch.float64)
    groups = torch.tensor([0] * 30 + [1] * 50)
    together = Lattice.of(features, groups).filter(values)
    alone = [Lattice.of(features[groups == group]).filter(values[groups == group]) for group in (0, 1)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_the_scale_of_elevation_is_the_papers() -> None:
    """Adams et al. 2010, Sec. 3: the lifted distance is √(2/3) (d + 1) times the distance of the features."""
    features = points(0, 4)
    lifted = elevate(features)
    assert torch.allclose(lifted.sum(1), torch.zeros(120, dtype=torch.float64))
    torch.testing.assert_close(lifted.norm(dim=1), math.sqrt(2 / 3) * 5 * features.norm(dim=1))


@pytest.mark.parametrize("features", [torch.zeros(3), torch.zeros(0, 2), torch.tensor([[math.nan]])])
def test_features_without_a_place_are_refused(features: Tensor) -> None:
    with pytest.raises(UsageError, match=r"expected (finite )?features"):
        Lattice.of(features)
