"""A prepared network computes the same logits."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from perpixel.crf.layer import DenseCrf
from perpixel.crf.options import CrfOptions
from perpixel.data.normalization import Normalization
from perpixel.inference import prepared as module
from perpixel.inference.packed import PackedConv2d
from perpixel.inference.pooled import CompiledMaxPool2d
from perpixel.inference.prepared import can_follow, chosen_ways, prepare_for_inference
from perpixel.inference.winograd import WinogradConv2d
from perpixel.models.catalog import build
from perpixel.models.crf_rnn import CrfRnn
from perpixel.models.decouplednet import DecoupledNet


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


@pytest.mark.parametrize("way", [WinogradConv2d, PackedConv2d, nn.Conv2d])
@pytest.mark.parametrize("name", ["segnet", "unet-same", "fcn8s"])
def test_logits_differ_by_rounding_alone_at_any_size(
    name: str, way: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "choose", lambda layer, *_: way if way in [*module.ways(layer)] else nn.Conv2d)
    network = trained(name)
    prepared = prepare_for_inference(network, (32, 48))
    assert any(type(layer) is way for layer in prepared.modules())
    for size in ((1, 1), (21, 34)):
        image = torch.randn(1, 3, *size)
        with torch.inference_mode():
            torch.testing.assert_close(prepared(image), network(image), rtol=1e-3, atol=1e-3)


def test_batch_normalisations_are_folded_and_the_network_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "choose", lambda *_: nn.Conv2d)
    network = trained("segnet")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    prepared = prepare_for_inference(network, (32, 32))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in prepared.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["deeplab-v2-resnet101", "frrn-a", "deconvnet", "bayesian-segnet"])
def test_batch_normalisations_are_folded_wherever_they_stand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "choose", lambda *_: nn.Conv2d)
    network = trained(name)
    prepared = prepare_for_inference(network, (32, 32))
    left = [layer for layer in prepared.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(left) < sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) / 4
    image = torch.randn(1, 3, 45, 37)
    with torch.inference_mode():
        torch.testing.assert_close(prepared(image), network(image), rtol=1e-3, atol=1e-3)


class ReadTwice(nn.Module):
    """Its convolution's result goes to the normalisation and past it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.other = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.convolution(image)
        return torch.cat([self.norm(features), features], 1)


class CalledTwice(ReadTwice):
    """Its convolution has two results, each normalised."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.norm(self.convolution(image)) + self.other(self.convolution(-image))


@pytest.mark.parametrize("kind", [ReadTwice, CalledTwice])
def test_a_result_that_something_else_reads_too_stays_as_it_is(kind: type[ReadTwice]) -> None:
    torch.manual_seed(0)
    network = kind()
    network(torch.randn(8, 3, 9, 9))
    network.eval()
    prepared = prepare_for_inference(network, (9, 9))
    assert isinstance(prepared.norm, nn.BatchNorm2d)
    image = torch.randn(1, 3, 9, 9)
    with torch.inference_mode():
        torch.testing.assert_close(prepared(image), network(image))


def test_layers_are_measured_at_the_size_they_will_see() -> None:
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.AvgPool2d(2), nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 1))
    with torch.no_grad():
        shapes = module.input_shapes(network, torch.zeros(1, 3, 22, 42))
    assert shapes == {"0": (1, 3, 22, 42), "2": (1, 16, 10, 20), "3": (1, 16, 10, 20)}


def test_a_relu_is_taken_over_only_from_a_convolution_right_before_it() -> None:
    block = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.Identity(), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.MaxPool2d(2), nn.ReLU()
    )
    assert module.following_relus(nn.Sequential(block)) == {"0.0": "0.2"}


def test_the_fastest_way_is_taken_and_a_tie_leaves_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, times = nn.Conv2d(16, 16, 3), {nn.Conv2d: 1.0, PackedConv2d: 0.96, WinogradConv2d: 0.96}
    monkeypatch.setattr(module, "ways", lambda _: [PackedConv2d, WinogradConv2d])
    monkeypatch.setattr(module, "seconds", lambda tried, _: times[type(tried)])
    assert module.choose(layer, (1, 16, 9, 9), relu=False) is nn.Conv2d
    times[WinogradConv2d] = 0.5
    assert module.choose(layer, (1, 16, 9, 9), relu=False) is WinogradConv2d


def test_another_copy_follows_what_one_has_chosen_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    network, image = trained("unet-same"), torch.randn(1, 3, 21, 34)
    monkeypatch.setattr(module, "choose", lambda layer, *_: [*module.ways(layer), nn.Conv2d][-2])
    first = prepare_for_inference(network, (32, 48))
    monkeypatch.setattr(module, "choose", lambda *_: pytest.fail("measured"))
    second = prepare_for_inference(network, (99, 7), ways=chosen_ways(first))
    assert "WinogradConv2d" in chosen_ways(first).values()
    assert chosen_ways(second) == chosen_ways(first)
    with torch.inference_mode():
        assert torch.equal(first(image), second(image))


@pytest.mark.parametrize(
    "ways", [{"nowhere": "PackedConv2d"}, {"classifier": "FastConv2d"}, {"classifier": "WinogradConv2d"}]
)
def test_ways_that_cannot_be_followed_are_measured_anew(ways: dict[str, str]) -> None:
    assert not can_follow(build("unet-same", 4, width=1 / 8), ways)


def forced(way: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute every layer for which it is open in one way."""
    monkeypatch.setattr(module, "choose", lambda layer, *_: way if way in module.ways(layer) else nn.Conv2d)


@pytest.mark.parametrize("way", [WinogradConv2d, PackedConv2d])
@pytest.mark.parametrize(("window", "stages"), [(1, 5), (3, 4)])
def test_a_layer_whose_weights_another_one_reads_keeps_them(
    window: int, stages: int, way: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DecoupledNet's activation maps go back through fc6, fc7 and the scores' own weights."""
    forced(way, monkeypatch)
    network = narrow_decouplednet(window, stages)
    prepared = prepare_for_inference(network, (64, 64))
    assert all(type(layer) is nn.Conv2d for layer in (prepared.classifier.fc6, prepared.classifier.fc7))  # type: ignore[union-attr]
    assert any(type(layer) is way for layer in prepared.modules())
    image = torch.randn(1, 3, 64, 80)
    with torch.inference_mode():
        torch.testing.assert_close(prepared(image).exp(), network(image).exp(), rtol=1e-3, atol=1e-3)


def narrow_decouplednet(window: int, stages: int) -> nn.Module:
    torch.manual_seed(0)
    network = DecoupledNet(4, width=1 / 4, input_size=0, window=window, stages=stages).train()
    with torch.no_grad():
        network.segment(torch.randn(2, 3, 64, 64), torch.eye(3)[:2])
    return network.eval()


def test_what_was_chosen_for_such_a_layer_before_is_not_followed() -> None:
    """Records of earlier versions may say so."""
    network = narrow_decouplednet(1, 5)
    told = {"classifier.fc7": "PackedConv2d"}
    prepared = prepare_for_inference(network, (64, 64), ways=told)
    assert "classifier.fc7" not in chosen_ways(prepared)
    with torch.inference_mode():
        prepared(torch.randn(1, 3, 64, 64))


def crf_rnn() -> nn.Module:
    crf = DenseCrf.from_options(4, CrfOptions(iterations=2))
    return CrfRnn(trained("fcn8s"), crf, Normalization(mean=(0.0,) * 3, std=(1.0,) * 3)).eval()


@pytest.mark.parametrize("way", [WinogradConv2d, PackedConv2d])
@pytest.mark.parametrize("make", [crf_rnn, lambda: trained("transfernet")], ids=["crf-rnn", "transfernet"])
def test_networks_that_do_more_than_convolve_stay_what_they_are(
    make: Callable[[], nn.Module], way: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    forced(way, monkeypatch)
    network = make()
    prepared = prepare_for_inference(network, (64, 64))
    assert any(type(layer) is way for layer in prepared.modules())
    image = torch.randn(1, 3, 64, 80)
    with torch.inference_mode():
        torch.testing.assert_close(prepared(image).exp(), network(image).exp(), rtol=1e-2, atol=1e-3)


def test_poolings_are_compiled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pooling rounds nothing: the logits are the same to the bit."""
    pytest.importorskip("numba")
    forced(CompiledMaxPool2d, monkeypatch)
    network, image = trained("fcn8s"), torch.randn(1, 3, 21, 34)
    prepared = prepare_for_inference(network, (32, 48))
    monkeypatch.setattr(module, "choose", lambda *_: nn.Conv2d)
    plain = prepare_for_inference(network, (32, 48))
    assert sum(isinstance(layer, CompiledMaxPool2d) for layer in prepared.modules()) == 5
    with torch.inference_mode():
        assert torch.equal(prepared(image), plain(image))
