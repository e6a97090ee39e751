"""Whether outputs lie over what they see."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from perpixel.explain.probe import Offset, alignment
from perpixel.models.catalog import MODELS, build
from perpixel.models.fcn import FCN32s
from perpixel.ops.bilinear import bilinear_deconvolution

NARROW = 1 / 16
ROUNDING = 1e-3
STRIP = 1033  # what a cell sees fits into it with room to spare; one pixel wide, it costs little


def largest(offsets: list[Offset]) -> float:
    return max(abs(shift) for each in offsets for shift in each.offset)


class OnePass(nn.Module):
    """A network of one pass for each label: the pass for none, before anything is compared with a threshold."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network.segment(image, image.new_zeros(1, 1))
        return logits


class MapsAlone(nn.Module):
    """Class activation maps before labels are decided on, which takes the whole image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.network.activation_maps(image)
        return maps


@pytest.mark.parametrize("name", MODELS)
def test_every_network_of_the_catalogue_is_aligned_at_five_places(name: str) -> None:
    """Half a pixel at most, along both axes."""
    options = {"square": False, "attention": "tiled"} if name == "transfernet" else {}  # else all see all
    network = build(name, 2, width=NARROW, **options)
    network = OnePass(network) if name in ("decouplednet", "transfernet") else network
    network = MapsAlone(network) if name == "activation-maps" else network
    down = alignment(network, (STRIP, 1), places=5)
    across = alignment(network, (1, STRIP), places=1)
    assert len({offset.place for offset in down}) == 5
    assert largest([*down, *across]) <= 0.5 + ROUNDING


class Stretched(FCN32s):
    """FCN as it is often copied: the padded map is stretched over the image, and nothing is cropped."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores = self.score_fr(self.encoder(image).fc7)
        return functional.interpolate(scores, image.shape[-2:], mode="bilinear", align_corners=False)


class Uncropped(FCN32s):
    """FCN with its crop forgotten: the first pixels of the enlarged map are taken for the image's."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores = self.score_fr(self.encoder(image).fc7)
        return bilinear_deconvolution(scores, stride=32, offset=0, size=tuple(image.shape[-2:]))


def test_a_forgotten_crop_is_nineteen_pixels_everywhere() -> None:
    """The released crop is 19: without it every output lies 19 pixels below what it sees."""
    for offset in alignment(Uncropped(2, width=NARROW), (STRIP, 1), places=3):
        assert offset.offset[0] == pytest.approx(-19, abs=0.01)


def test_a_stretched_map_is_off_by_an_amount_that_depends_on_the_place() -> None:
    offsets = alignment(Stretched(2, width=NARROW), (1601, 1), places=5)
    assert largest(offsets) > 16
    assert max(each.offset[0] for each in offsets) - min(each.offset[0] for each in offsets) > 1


class Foreign(nn.Module):
    """PyTorch's own parts, in every spelling that copies of these networks use."""

    def __init__(self, crop: int) -> None:
        super().__init__()
        self.crop = crop
        self.enter = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.1))
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.deep = nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.GELU())
        self.up = nn.ConvTranspose2d(4, 4, 4, stride=2)
        self.unpool = nn.MaxUnpool2d(2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pooled, indices = self.pool(self.enter(image))
        deep = self.up(self.deep(pooled)).tanh()
        height, width = pooled.shape[-2:]
        deep = deep[..., self.crop : self.crop + height, self.crop : self.crop + width]
        return self.unpool(deep, indices)


@pytest.mark.parametrize(("crop", "shift"), [(1, -1), (2, 1), (0, -3)])
def test_any_module_is_measured_to_the_pixel(crop: int, shift: float) -> None:
    """Pooled 3 x 3 at stride 2, padding 1, a map lies half a pooled element early: no whole crop is right."""
    offsets = alignment(Foreign(crop), (96, 128), places=5, cell=8)
    for offset in offsets:
        assert offset.offset == pytest.approx((shift, shift), abs=0.01)


def test_a_smaller_map_has_larger_pixels_or_is_the_middle() -> None:
    halved = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.AvgPool2d(2))
    assert largest(alignment(halved, (64, 64), cell=8)) == pytest.approx(0, abs=ROUNDING)
    valid = nn.Sequential(nn.Conv2d(1, 1, 9), nn.ReLU())
    assert largest(alignment(valid, (64, 64), cell=8, centred=True)) == pytest.approx(0, abs=ROUNDING)
    assert largest(alignment(nn.Sequential(nn.ZeroPad2d((3, 0, 0, 0)), valid), (64, 64), cell=8, centred=True)) > 1


def test_the_network_stays_as_it_was() -> None:
    network = Foreign(1).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    alignment(network, (64, 64), places=1, cell=8)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten()), r"expected a map \(N, K, H, W\), got \(1, 900\)"),
        (nn.Conv2d(1, 1, 3), r"at least 32 x 32, got \(30, 30\). Give a larger image_size"),
    ],
)
def test_what_is_no_map_is_refused(network: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        alignment(network, (32, 32))
