"""perpixel.losses.cross_entropy: what is summed, and what it is divided by."""

import math

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from perpixel.losses.cross_entropy import cross_entropy


def batch(classes: int, channels_last: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(3, classes, 5, 7, generator=generator)
    target = torch.randint(0, classes, (3, 5, 7), generator=generator)
    target[:, 0] = 255
    weight = torch.rand(classes, generator=generator)
    if channels_last:
        logits = logits.to(memory_format=torch.channels_last)
    return logits.requires_grad_(), target, weight


def naive(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> tuple[float, int, float]:
    """Σ w_y·(−log p_y), the number of labelled pixels, and Σ w_y, one pixel at a time."""
    total, counted, weights = 0.0, 0, 0.0
    for n, row, column in torch.cartesian_prod(*map(torch.arange, target.shape)).tolist():
        y = int(target[n, row, column])
        if y != 255:
            scores = logits[n, :, row, column].double()
            total -= float(weight[y]) * float(scores.log_softmax(0)[y])
            counted, weights = counted + 1, weights + float(weight[y])
    return total, counted, weights


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("classes", [3, 16, 21])
def test_each_normalization_divides_a_naive_sum_by_what_it_says(classes: int, channels_last: bool) -> None:
    logits, target, weight = batch(classes, channels_last)
    total, counted, weights = naive(logits.detach(), target, weight)
    expected = {"sum": total, "batch": total / 3, "valid": total / counted, "weight": total / weights}
    for normalization, value in expected.items():
        found = cross_entropy(logits.detach(), target, weight, normalization)  # type: ignore[arg-type]
        assert float(found) == pytest.approx(value, rel=1e-5), normalization


@pytest.mark.parametrize("classes", [3, 16])
def test_gradients_do_not_depend_on_how_memory_is_laid_out(classes: int) -> None:
    gradients = []
    for channels_last in (False, True):
        logits, target, weight = batch(classes, channels_last)
        cross_entropy(logits, target, weight).backward()
        gradients.append(logits.grad)
    torch.testing.assert_close(*gradients)


def test_weight_is_pytorchs_own_mean_and_valid_is_not() -> None:
    """The trap: PyTorch divides by Σ w_y, SegNet's Caffe by the number of labelled pixels."""
    logits, target, weight = batch(4)
    theirs = F.cross_entropy(logits, target, weight, ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, target, weight, "weight"), theirs)
    ours = cross_entropy(logits, target, weight, "valid")
    assert ours.item() != pytest.approx(theirs.item(), rel=0.01)


def test_uniform_logits_cost_the_logarithm_of_the_number_of_classes() -> None:
    loss = cross_entropy(torch.zeros(2, 11, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long))
    assert float(loss) == pytest.approx(math.log(11))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("normalization", ["valid", "sum", "weight", "batch"])
def test_a_batch_without_labels_costs_nothing_and_teaches_nothing(normalization: str, weighted: bool) -> None:
    logits, target, weight = batch(4)
    loss = cross_entropy(logits, target.fill_(255), weight if weighted else None, normalization)  # type: ignore[arg-type]
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_a_class_of_weight_zero_alone_gives_zero_and_not_nan() -> None:
    logits, target, _ = batch(4)
    loss = cross_entropy(logits, target.fill_(2), torch.tensor([1.0, 1, 0, 1]), "weight")
    assert loss.item() == 0


def test_half_precision_logits_are_summed_in_single() -> None:
    logits, target, _ = batch(4)
    loss = cross_entropy(logits.bfloat16(), target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, cross_entropy(logits.bfloat16().float(), target))


def test_another_ignored_id_can_be_named() -> None:
    logits, target, _ = batch(4)
    moved = torch.where(target == 255, -1, target)
    torch.testing.assert_close(cross_entropy(logits, moved, ignore_index=-1), cross_entropy(logits, target))


def test_one_hot_targets_are_refused() -> None:
    logits, _, _ = batch(4)
    with pytest.raises(ValueError, match=r"target \(N, H, W\).*not one-hot"):
        cross_entropy(logits, torch.zeros(3, 4, 5, 7, dtype=torch.long))


def test_an_unknown_normalization_is_refused() -> None:
    logits, target, _ = batch(4)
    with pytest.raises(ValueError, match="valid, sum, weight or batch, got 'mean'"):
        cross_entropy(logits, target, normalization="mean")  # type: ignore[arg-type]
