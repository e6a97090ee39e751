"""The exact spatial sum in PyTorch, against the sum over all pairs."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from perpixel.crf.options import Normalization
from perpixel.crf.torch_gaussian import GaussianFilter
from perpixel.crf.torch_mean_field import filtered, mean_field_torch

every_normalization = pytest.mark.parametrize("normalization", ["symmetric", "after", "none"])
DOUBLE = torch.empty(0, dtype=torch.float64)


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def all_pairs(size: tuple[int, int], xy_std: float, normalization: Normalization) -> Tensor:
    rows, columns = torch.meshgrid(*(torch.arange(length) for length in size), indexing="ij")
    xy = torch.stack((columns, rows), dim=-1).view(-1, 2).double() / xy_std
    kernel = torch.exp(-0.5 * torch.cdist(xy, xy, compute_mode="donot_use_mm_for_euclid_dist") ** 2)
    norm = kernel.sum(1)
    if normalization == "none":
        return kernel
    return kernel / norm[:, None] if normalization == "after" else kernel / (norm[:, None] * norm).sqrt()


@every_normalization
@pytest.mark.parametrize(("size", "xy_std"), [((13, 17), 1.3), ((1, 9), 3.0), ((6, 1), 0.4), ((12, 9), 40.0)])
def test_it_is_the_sum_over_all_pairs(size: tuple[int, int], xy_std: float, normalization: Normalization) -> None:
    kernel, values = all_pairs(size, xy_std, normalization), draw(size[0] * size[1], 3)
    found = GaussianFilter.of(size, xy_std, normalization, DOUBLE)
    torch.testing.assert_close(found.filter(values), kernel @ values, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.filter(values, transpose=True), kernel.T @ values, atol=1e-4, rtol=0)


def test_images_of_a_batch_do_not_see_each_other() -> None:
    kernel, values = GaussianFilter.of((5, 7), 2.0, like=DOUBLE), draw(70, 3)
    alone = [kernel.filter(part) for part in values.split(35)]
    torch.testing.assert_close(kernel.filter(values), torch.cat(alone))


@every_normalization
def test_its_gradient_is_exact(normalization: Normalization) -> None:
    kernel = GaussianFilter.of((3, 4), 1.0, normalization, DOUBLE)
    assert gradcheck(lambda values: filtered(values, kernel), draw(24, 2).requires_grad_())


@every_normalization
def test_mean_field_with_it_is_exact(normalization: Normalization) -> None:
    unary, kernel = draw(4, 130), all_pairs((10, 13), 2.0, normalization)
    current = -unary
    for _ in range(5):
        current = 0.7 * current.softmax(0) @ kernel.T - unary
    found = mean_field_torch(unary, [], [], None, 5, normalization, exact=(10, 13, 2.0, 0.7))
    torch.testing.assert_close(found, current.softmax(0), atol=1e-4, rtol=0)
