"""A prepared network computes the same logits."""

import pytest
import torch
from torch import nn

from perpixel.inference import prepared as module
from perpixel.inference.prepared import prepare_for_inference
from perpixel.inference.winograd import WinogradConv2d
from perpixel.models.catalog import build


def trained(name: str) -> nn.Module:
    """Build a network whose running averages and score layers are not as they were born."""
    torch.manual_seed(0)
    network = build(name, 4, width=1 / 8).train()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and not layer.weight.any():
            nn.init.normal_(layer.weight, std=0.1)
    with torch.no_grad():
        network(torch.randn(1, 3, 33, 41))
    return network.eval()


@pytest.mark.parametrize("faster", [True, False], ids=["winograd", "direct"])
@pytest.mark.parametrize("name", ["segnet", "unet-same", "fcn8s"])
def test_logits_differ_by_rounding_alone_at_any_size(name: str, faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_faster", lambda *_: faster)
    network = trained(name)
    prepared = prepare_for_inference(network, (32, 48))
    assert faster == any(isinstance(layer, WinogradConv2d) for layer in prepared.modules())
    for size in ((1, 1), (21, 34)):
        image = torch.randn(1, 3, *size)
        with torch.inference_mode():
            torch.testing.assert_close(prepared(image), network(image), rtol=1e-3, atol=1e-3)


def test_batch_normalisations_are_folded_and_the_network_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_faster", lambda *_: False)
    network = trained("segnet")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    prepared = prepare_for_inference(network, (32, 32))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in prepared.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_layers_are_measured_at_the_size_they_will_see() -> None:
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 1))
    with torch.no_grad():
        assert module.input_shapes(network, torch.zeros(1, 3, 22, 42)) == {"2": (1, 16, 10, 20)}
