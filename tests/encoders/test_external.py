"""Trunks of other libraries: with stand-ins, and with the libraries themselves where they are installed."""

import importlib
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perpixel.encoders.build import build_encoder
from perpixel.encoders.external import External, maps_of
from perpixel.encoders.resnet import ResNet
from perpixel.errors import UsageError
from perpixel.models.catalog import build
from perpixel.models.fcn_encoders import AnyFCN
from perpixel.models.unet_same import UNetOnEncoder


class Pyramid(nn.Module):
    """Two maps, at strides 4 and 16."""

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.fine = nn.Conv2d(in_channels, 5, kernel_size=4, stride=4)
        self.norm = nn.BatchNorm2d(5)
        self.coarse = nn.Conv2d(5, 7, kernel_size=4, stride=4)

    def forward(self, image: Tensor) -> list[Tensor]:
        fine = self.norm(self.fine(image))
        return [fine, self.coarse(fine)]


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (97, 141)])
def test_any_size_of_image_gives_maps_of_its_size_over_the_stride(size: tuple[int, int]) -> None:
    encoder = External(Pyramid(), in_channels=3).train()
    assert (encoder.channels, encoder.strides) == ((5, 7), (4, 16))
    maps = encoder(torch.randn(1, 3, *size))
    for features, channels, stride in zip(maps, encoder.channels, encoder.strides, strict=True):
        assert features.shape == (1, channels, -(-size[0] // stride), -(-size[1] // stride))


def test_measuring_strides_leaves_the_running_statistics_alone() -> None:
    trunk = Pyramid().train()
    External(trunk, in_channels=3)
    assert trunk.training
    assert int(trunk.norm.num_batches_tracked) == 0


def test_an_external_encoder_stands_under_fcn() -> None:
    network = AnyFCN(4, encoder=External(Pyramid(), in_channels=3), finest=4)
    logits = network(torch.randn(1, 3, 37, 53))
    assert logits.shape == (1, 4, 37, 53)


def test_maps_with_channels_last_are_refused() -> None:
    class Backwards(Pyramid):
        def forward(self, image: Tensor) -> list[Tensor]:
            return [features.permute(0, 2, 3, 1) for features in super().forward(image)]

    with pytest.raises(ValueError, match="its channels are last"):
        External(Backwards(), in_channels=3)


def test_an_external_encoder_stands_under_u_net() -> None:
    network = UNetOnEncoder(4, width=1 / 8, encoder=External(Pyramid(), in_channels=3))
    assert network(torch.randn(1, 3, 37, 53)).shape == (1, 4, 37, 53)


def test_transformers_outputs_are_unwrapped() -> None:
    maps = [torch.zeros(1)]
    assert maps_of(SimpleNamespace(feature_maps=maps)) == maps_of(maps) == maps


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put a stand-in for timm in place; return the calls that it gets."""
    calls: list[dict[str, Any]] = []

    def create_model(name: str, **options: Any) -> nn.Module:
        calls.append({"name": name, **options})
        if name == "nothing":
            raise RuntimeError("Unknown model (nothing)")
        return Pyramid(options["in_chans"])

    module = ModuleType("timm")
    module.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", module)
    return calls


def test_timm_is_asked_for_features_of_so_many_channels(timm: list[dict[str, Any]]) -> None:
    build_encoder("timm:resnet50d", in_channels=4)
    build_encoder("timm:resnet50d", output_stride=8, pretrained=True)
    features = {"name": "resnet50d", "features_only": True}
    assert timm == [
        {**features, "pretrained": False, "in_chans": 4},
        {**features, "pretrained": True, "in_chans": 3, "output_stride": 8},
    ]


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("unet-same", {}), ("activation-maps", {"output_stride": 16}),
        ("decouplednet", {"stages": 4, "window": 3, "input_size": 0}),
        ("transfernet", {"stages": 5, "input_size": 64, "embedding": "convolutional"}),
    ],
)  # fmt: skip
def test_only_what_is_ours_is_made_narrower(model: str, options: dict[str, Any]) -> None:
    """The quick preset has a quarter of the width; another library's trunk is what it is."""
    network = build(model, 4, width=1 / 4, encoder="timm:pyramid", **options).eval()
    (trunk,) = (part for part in network.modules() if isinstance(part, External))
    assert trunk.channels == (5, 7)
    assert network(torch.randn(1, 3, 37, 53)).shape == (1, 4, 37, 53)


@pytest.mark.usefixtures("timm")
def test_what_a_library_cannot_build_is_said_plainly() -> None:
    with pytest.raises(UsageError, match=r"timm cannot build 'nothing' .* \(RuntimeError: Unknown model"):
        build_encoder("timm:nothing")


@pytest.mark.parametrize("error", [ImportError("no torchvision"), RuntimeError("torchvision::nms does not exist")])
@pytest.mark.parametrize(("name", "extra"), [("timm:resnet18", "timm"), ("hf:resnet", "transformers")])
def test_a_missing_or_broken_library_says_how_to_install_it(
    error: Exception, name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(library: str) -> ModuleType:
        raise error

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(
        UsageError, match=rf"{extra} cannot be imported \({error}\)\. Install it: .*perpixel\[{extra}\]"
    ):
        build_encoder(name)


def test_transformers_do_not_dilate() -> None:
    with pytest.raises(UsageError, match="transformers cannot dilate, and output_stride 8 was asked for"):
        build_encoder("hf:resnet", output_stride=8)


def test_our_own_are_built_by_name_too() -> None:
    encoder = build_encoder("resnet18", in_channels=4, width=1 / 16, output_stride=16)
    assert isinstance(encoder, ResNet)
    assert encoder.strides == (2, 4, 8, 16, 16)
    with pytest.raises(UsageError, match=r"build_encoder: expected pretrained=False for resnet18"):
        build_encoder("resnet18", pretrained=True)


BROKEN = (ImportError, RuntimeError, OSError)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("library", "name", "strides"),
    [
        ("timm", "timm:resnet18", (2, 4, 8, 16, 32)),
        ("timm", "timm:convnext_atto", (4, 8, 16, 32)),
        ("transformers", "hf:resnet", (4, 8, 16, 32)),
        ("transformers", "hf:convnext", (4, 8, 16, 32)),
    ],
)
def test_the_libraries_own_networks_stand_under_fcn(library: str, name: str, strides: tuple[int, ...]) -> None:
    pytest.importorskip(library, exc_type=BROKEN)  # type: ignore[arg-type]
    encoder = build_encoder(name)
    assert encoder.strides == strides
    logits = AnyFCN(3, encoder=encoder, finest=8)(torch.randn(1, 3, 45, 70))
    assert logits.shape == (1, 3, 45, 70)
    logits.square().sum().backward()
