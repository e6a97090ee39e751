"""Patch sampling: cells are kept whole, as often as asked."""

import pytest
import torch

from perpixel.losses.cross_entropy import cross_entropy
from perpixel.losses.sampling import sample_target


def test_all_is_kept_at_one() -> None:
    target = torch.randint(3, (2, 5, 7))
    assert sample_target(target, 1.0) is target


@pytest.mark.parametrize("keep", [0.25, 0.5])
def test_as_much_is_kept_as_asked(keep: float) -> None:
    """FCN, Sec. 4.4: p = 0.5 and 0.25."""
    torch.manual_seed(0)
    kept = sample_target(torch.zeros(4, 200, 200, dtype=torch.int64), keep) == 0
    assert float(kept.float().mean()) == pytest.approx(keep, abs=0.01)


def test_a_cell_is_kept_or_dropped_whole_also_at_a_cut_border() -> None:
    torch.manual_seed(0)
    kept = sample_target(torch.ones(1, 30, 45, dtype=torch.int64), 0.5, cell=8) == 1
    cells = kept[0, ::8, ::8].repeat_interleave(8, 0).repeat_interleave(8, 1)[:30, :45]
    assert torch.equal(kept[0], cells)
    assert 0 < int(kept.sum()) < kept.numel()


def test_the_sampled_loss_is_the_whole_ones_in_the_mean() -> None:
    """Each term is left out with the same probability, so the sum over p is an unbiased estimate."""
    torch.manual_seed(1)
    logits, target = torch.randn(1, 3, 40, 40), torch.randint(3, (1, 40, 40))
    whole = cross_entropy(logits, target, normalization="sum")
    drawn = [cross_entropy(logits, sample_target(target, 0.25), normalization="sum") for _ in range(200)]
    assert float(torch.stack(drawn).mean() / 0.25) == pytest.approx(float(whole), rel=0.02)


@pytest.mark.parametrize(("keep", "cell"), [(0.0, 1), (1.5, 1), (0.5, 0)])
def test_a_probability_out_of_range_is_refused(keep: float, cell: int) -> None:
    with pytest.raises(ValueError, match="expected 0 < keep <= 1"):
        sample_target(torch.zeros(1, 2, 2, dtype=torch.int64), keep, cell)
