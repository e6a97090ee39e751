"""Batch normalisation with one value per channel."""

import torch
from torch import nn

from perpixel.ops.batch_norm import BatchNorm2d


def test_a_single_value_per_channel_uses_the_running_statistics_and_leaves_them() -> None:
    layer = BatchNorm2d(3)
    layer.running_mean.fill_(1)
    layer.running_var.fill_(4)
    value = torch.full((1, 3, 1, 1), 5.0)
    assert torch.allclose(layer.train()(value), torch.full_like(value, 2), atol=1e-4)
    assert torch.equal(layer.running_mean, torch.ones(3))
    assert layer.num_batches_tracked == 0


def test_anything_larger_is_torchs_own_batch_norm() -> None:
    ours, torchs = BatchNorm2d(3), nn.BatchNorm2d(3)
    features = torch.randn(2, 3, 1, 1)
    assert torch.equal(ours(features), torchs(features))
    torchs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.eval()(features), torchs.eval()(features))


def test_a_cumulative_average_is_the_plain_mean_over_batches() -> None:
    layer = BatchNorm2d(1, momentum=None)
    for mean in (1.0, 2.0, 6.0):
        layer(mean + torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1))
    assert torch.allclose(layer.running_mean, torch.tensor([3.0]))
