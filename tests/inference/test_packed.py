"""A convolution with packed weights is the convolution."""

import copy

import pytest
import torch
from torch import nn

from perpixel.inference import packed
from perpixel.inference.packed import PackedConv2d, is_available

pytestmark = pytest.mark.skipif(not is_available(), reason="this PyTorch lacks the operator")


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(
    "options", [{"padding": 1}, {"stride": 2}, {"dilation": 2, "padding": (3, 0)}, {"bias": False}]
)
def test_results_are_the_plain_layers(options: dict[str, object], relu: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(5, 16, 3, **options).requires_grad_(False)
    ours = PackedConv2d(plain, relu)
    for size in ((1, 5, 7, 9), (2, 5, 20, 33)):
        features = torch.randn(size)
        expected = plain(features).relu() if relu else plain(features)
        torch.testing.assert_close(ours(features), expected, rtol=1e-4, atol=1e-5)


def test_it_can_be_copied() -> None:
    plain = nn.Conv2d(5, 16, 3).requires_grad_(False)
    features = torch.randn(1, 5, 9, 9)
    torch.testing.assert_close(copy.deepcopy(PackedConv2d(plain))(features), plain(features), rtol=1e-4, atol=1e-5)


def test_an_operator_that_is_gone_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_reorder_convolution_weight'")

    monkeypatch.setattr(packed, "pack", gone)
    assert not is_available.__wrapped__()
