"""One weight a pixel: equal weights change nothing, and a weight of n is n pixels."""

import pytest
import torch

from perpixel.losses.cross_entropy import LossNormalization, cross_entropy
from perpixel.losses.weighted import weighted_cross_entropy


def example() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    target = torch.randint(3, (2, 6, 5))
    target[0, :2] = 255
    return torch.randn(2, 3, 6, 5, requires_grad=True), target


@pytest.mark.parametrize("normalization", ["sum", "batch", "valid", "weight"])
@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1.0, 3.0])])
def test_equal_weights_are_plain_cross_entropy(normalization: LossNormalization, weight: torch.Tensor | None) -> None:
    logits, target = example()
    ones = torch.ones(target.shape)
    weighted = weighted_cross_entropy(logits, target, ones, weight, normalization)
    torch.testing.assert_close(weighted, cross_entropy(logits, target, weight, normalization))


def test_a_pixel_of_weight_three_counts_as_three() -> None:
    logits, target = example()
    weights = torch.ones(target.shape)
    weights[1, 3, 2] = 3.0
    one = cross_entropy(logits[1:, :, 3:4, 2:3], target[1:, 3:4, 2:3], normalization="sum")
    all_of_them = cross_entropy(logits, target, normalization="sum")
    torch.testing.assert_close(weighted_cross_entropy(logits, target, weights, None, "sum"), all_of_them + 2 * one)


def test_ignored_pixels_have_no_gradient_whatever_they_weigh() -> None:
    logits, target = example()
    weights = torch.full(target.shape, 5.0)
    weighted_cross_entropy(logits, target, weights).backward()
    assert logits.grad is not None
    assert float(logits.grad[0, :, :2].abs().max()) == 0.0


def test_weights_of_another_size_are_refused() -> None:
    logits, target = example()
    with pytest.raises(ValueError, match="one weight a pixel"):
        weighted_cross_entropy(logits, target, torch.ones(2, 5, 5))
