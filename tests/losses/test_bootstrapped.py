"""perpixel.losses.bootstrapped: the worst pixels of each image, and nothing else."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from perpixel.losses.bootstrapped import bootstrapped_cross_entropy
from perpixel.losses.cross_entropy import cross_entropy


def batch(seed: int, images: int = 1, classes: int = 3, void: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, classes, (images, 5, 7), generator=generator)
    if void:
        target[:, 0] = 255
    return 2 * torch.randn(images, classes, 5, 7, generator=generator), target


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), void=st.booleans(), surplus=st.integers(0, 50))
def test_with_all_pixels_kept_it_is_cross_entropy(seed: int, void: bool, surplus: int) -> None:
    logits, target = batch(seed, void=void)
    k = int((target != 255).sum()) + surplus
    torch.testing.assert_close(bootstrapped_cross_entropy(logits, target, k), cross_entropy(logits, target))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 28))
def test_it_is_the_mean_of_the_k_largest_of_each_image(seed: int, k: int) -> None:
    """As dltools/losses.py does it: sort, take the last K, average, one image after another."""
    logits, target = batch(seed, images=3)
    losses = functional.cross_entropy(logits, target, reduction="none", ignore_index=255)
    worst = [sorted(image.flatten().tolist())[-k:] for image in losses]
    expected = sum(sum(image) / k for image in worst) / 3
    assert float(bootstrapped_cross_entropy(logits, target, k)) == pytest.approx(expected, rel=1e-5)


def test_a_larger_k_never_raises_the_loss() -> None:
    logits, target = batch(0, images=2)
    losses = [float(bootstrapped_cross_entropy(logits, target, k)) for k in range(1, 36)]
    assert losses == sorted(losses, reverse=True)


def test_only_the_k_worst_pixels_learn() -> None:
    logits, target = batch(1, images=2)
    logits.requires_grad_()
    bootstrapped_cross_entropy(logits, target, k=4).backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum(1).count_nonzero(dim=(1, 2)).tolist() == [4, 4]
    assert not logits.grad[:, :, 0].any()  # void


def test_a_hard_image_does_not_take_the_pixels_of_an_easy_one() -> None:
    """K is counted in each image, not in the batch."""
    logits, target = batch(2, images=2, void=False)
    alone = [bootstrapped_cross_entropy(logits[i : i + 1], target[i : i + 1], 3) for i in (0, 1)]
    torch.testing.assert_close(bootstrapped_cross_entropy(logits, target, 3), sum(alone) / 2)


def test_an_image_without_labels_teaches_nothing() -> None:
    logits, target = batch(3)
    logits.requires_grad_()
    loss = bootstrapped_cross_entropy(logits, torch.full_like(target, 255), k=5)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_class_weights_decide_what_is_worst() -> None:
    logits = torch.zeros(1, 2, 1, 2)
    target = torch.tensor([[[0, 1]]])
    loss = bootstrapped_cross_entropy(logits, target, 1, weight=torch.tensor([1.0, 3.0]))
    assert float(loss) == pytest.approx(3 * 0.693147, rel=1e-5)


@pytest.mark.parametrize(("pixels", "multiplier"), [(256 * 512, 16), (512 * 1024, 64)])
def test_the_released_ks_are_a_sixteenth_of_the_pixels(pixels: int, multiplier: int) -> None:
    """train_frrn_{a,b}.py, March 2017: K = 512·16 for FRRN A and 512·64 for FRRN B."""
    assert 16 * 512 * multiplier == pixels


def test_half_precision_is_computed_in_float32() -> None:
    logits, target = batch(4)
    assert bootstrapped_cross_entropy(logits.bfloat16(), target, 5).dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "k", "complaint"), [((1, 5, 6), 3, r"got \(1, 3, 5, 7\) and \(1, 5, 6\)"), ((1, 5, 7), 0, "k of 1 pixel")]
)
def test_misuse_is_refused(shape: tuple[int, ...], k: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        bootstrapped_cross_entropy(torch.zeros(1, 3, 5, 7), torch.zeros(shape, dtype=torch.int64), k)
