"""Mean field in PyTorch: against sums over all pairs, and its gradients against differences."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from perpixel.crf.options import Normalization
from perpixel.crf.torch_mean_field import NormalizedFilter, filtered, mean_field, mean_field_torch

NORMALIZATIONS = ("symmetric", "after", "none")
every_normalization = pytest.mark.parametrize("normalization", NORMALIZATIONS)
K, N = 3, 8


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def two_kernels(normalization: Normalization, count: int = N) -> list[NormalizedFilter]:
    return [NormalizedFilter.of(draw(count, d, seed=d), normalization) for d in (2, 5)]


@every_normalization
def test_probabilities_sum_to_one_and_ignore_offsets(normalization: Normalization) -> None:
    unary, features = draw(4, 200), [draw(200, 2), draw(200, 5)]
    found = mean_field_torch(unary, features, [3.0, 4.0], None, 5, normalization)
    torch.testing.assert_close(found.sum(0), torch.ones(200, dtype=torch.float64))
    offset = mean_field_torch(unary + draw(1, 200), features, [3.0, 4.0], None, 5, normalization)
    torch.testing.assert_close(offset, found)


@pytest.mark.parametrize("normalization", ["symmetric", "after"])
def test_it_is_near_the_sum_over_all_pairs(normalization: Normalization) -> None:
    """On an image of 20 x 24, against exp(−½|fᵢ − fⱼ|²) itself; normalisation takes the lattice's gain out."""
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    features = torch.stack((columns, rows), dim=-1).view(-1, 2).double() / 3
    unary = draw(4, 480)
    kernel = torch.exp(-0.5 * torch.cdist(features, features) ** 2)
    norm = kernel.sum(1)
    kernel = kernel / norm[:, None] if normalization == "after" else kernel / (norm[:, None] * norm).sqrt()
    current = -unary
    for _ in range(5):
        current = 3 * current.softmax(0) @ kernel.T - unary
    found = mean_field_torch(unary, [features], [3.0], None, 5, normalization)
    assert (found - current.softmax(0)).abs().mean() < 0.004
    assert (found.argmax(0) == current.argmax(0)).double().mean() > 0.98


def test_no_iterations_are_the_softmax() -> None:
    unary = draw(4, 9)
    torch.testing.assert_close(mean_field_torch(unary, [draw(9, 2)], [1.0], None, 0), (-unary).softmax(0))


def test_equal_beliefs_stay_equal() -> None:
    found = mean_field_torch(torch.zeros(4, 50), [draw(50, 3).float()], [7.0])
    torch.testing.assert_close(found, torch.full((4, 50), 0.25))


def test_weights_and_potts_can_be_said_in_three_ways() -> None:
    """w, (w, …, w) and w I are one; and so are no compatibility, −I, and 1 − I, which pays for disagreement."""
    logits, kernels = draw(N, K), two_kernels("after")
    expected = mean_field(logits, kernels, [2.0, 3.0])
    vectors = [torch.full((K,), weight, dtype=torch.float64) for weight in (2.0, 3.0)]
    matrices = [torch.diag(vector) for vector in vectors]
    identity = torch.eye(K, dtype=torch.float64)
    torch.testing.assert_close(mean_field(logits, kernels, vectors), expected)
    torch.testing.assert_close(mean_field(logits, kernels, matrices), expected)
    torch.testing.assert_close(mean_field(logits, kernels, matrices, -identity), expected)
    paying = mean_field(logits, kernels, [2.0, 3.0], 1 - identity)
    torch.testing.assert_close(paying.softmax(1), expected.softmax(1))


@every_normalization
def test_the_filters_gradient_is_exact_to_any_order(normalization: Normalization) -> None:
    kernel, values = NormalizedFilter.of(draw(N, 5), normalization), draw(N, 2).requires_grad_()
    assert gradcheck(lambda q: filtered(q, kernel), values)
    assert gradgradcheck(lambda q: filtered(q, kernel), values)


@pytest.mark.parametrize(("normalization", "iterations"), [("symmetric", 3), ("after", 1), ("after", 4), ("none", 2)])
@pytest.mark.parametrize("form", [(), (K,), (K, K)], ids=["scalar", "class", "matrix"])
def test_gradients_reach_everything_that_is_learned(
    normalization: Normalization, iterations: int, form: tuple[int, ...]
) -> None:
    """Numerically, through one and several iterations: logits, the kernels' weights, the compatibility."""
    kernels = two_kernels(normalization)
    learned = [draw(N, K), draw(*form, seed=1), draw(*form, seed=2), draw(K, K, seed=3)]

    def refine(logits: Tensor, spatial: Tensor, bilateral: Tensor, compatibility: Tensor) -> Tensor:
        return mean_field(logits, kernels, [spatial, bilateral], compatibility, iterations)

    assert gradcheck(refine, [value.requires_grad_() for value in learned])


@pytest.mark.gpu
@pytest.mark.parametrize("exact", [None, (16, 25, 2.0, 1.0)])
def test_a_gpu_gives_the_same_answer(exact: tuple[int, int, float, float] | None) -> None:
    unary, features = draw(4, 400).float(), [draw(400, 2).float(), draw(400, 5).float()]
    expected = mean_field_torch(unary, features, [3.0, 4.0], exact=exact)
    moved = [feature.cuda() for feature in features]
    found = mean_field_torch(unary.cuda(), moved, [3.0, 4.0], exact=exact)
    torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=0)
