"""The padded U-Net, on its own encoder and on others."""

import pytest
import torch
from torch import Tensor, nn

from perpixel.errors import UsageError
from perpixel.models.catalog import build
from perpixel.models.unet_same import UNetOnEncoder, UNetSame, unet_same

ENCODERS = ("vgg16", "vgg11-bn", "resnet18", "resnet50-msra", "googlenet", "googlenet-caffe", "alexnet", "caffenet")


def test_it_is_the_papers_network_in_layers() -> None:
    """Fig. 1: 23 convolutional layers, 18 of 3 x 3, 4 up-convolutions and the last 1 x 1."""
    with torch.device("meta"):
        layers = list(UNetSame(2).modules())
    assert sum(isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) for layer in layers) == 18
    assert sum(isinstance(layer, nn.ConvTranspose2d) for layer in layers) == 4
    assert sum(isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) for layer in layers) == 1


def test_dropout_is_off_unless_asked_for() -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 3, 32, 32)
    plain, dropping = UNetSame(2, width=0.125), UNetSame(2, width=0.125, dropout=0.5)
    assert torch.equal(plain(image), plain(image))
    assert not torch.equal(dropping(image), dropping(image))


def test_its_own_encoder_is_the_default() -> None:
    with torch.device("meta"):
        assert isinstance(build("unet-same", 2), UNetSame)
        assert isinstance(build("unet-same", 2, encoder="resnet34"), UNetOnEncoder)


@pytest.mark.parametrize("name", ENCODERS)
def test_any_encoder_stands_under_it(name: str) -> None:
    torch.manual_seed(0)
    network = unet_same(3, width=1 / 16, encoder=name).train()
    for size in ((1, 1), (2, 3), (33, 47)):
        logits = network(torch.randn(1, 3, *size))
        assert logits.shape == (1, 3, *size)
    nn.functional.cross_entropy(logits, torch.ones(1, *size, dtype=torch.int64)).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


def test_a_mistyped_encoder_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'resnet34'"):
        unet_same(2, encoder="resnet43")


class Halves(nn.Module):
    """Someone else's encoder: two maps."""

    channels, strides = (4, 6), (2, 4)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 6, 3, 2, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        first = self.first(image)
        return [first, self.second(first)]


def test_a_module_of_ones_own_is_an_encoder_and_keeps_its_weights() -> None:
    encoder = Halves()
    before = encoder.first.weight.clone()
    network = unet_same(5, width=0.125, encoder=encoder)  # type: ignore[arg-type]
    assert torch.equal(encoder.first.weight, before)
    assert network(torch.randn(1, 3, 19, 30)).shape == (1, 5, 19, 30)


@pytest.mark.parametrize("name", ["vgg11", "resnet18", "alexnet"])
def test_maps_are_enlarged_to_where_they_came_from(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With equal weights and average pooling, logits depend on the pixels around them, evenly on both sides."""
    monkeypatch.setattr(nn.functional, "max_pool2d", nn.functional.avg_pool2d)
    network = unet_same(1, in_channels=1, width=0.01, encoder=name).eval()
    for name, parameter in network.named_parameters():
        norm = parameter.ndim == 1 and name.endswith("weight")
        parameter.data.fill_(1 / parameter[0].numel() if parameter.ndim > 1 else float(norm))
    image = torch.ones(1, 1, 1056, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[0, 0, 512:544].sum(), image)
    rows = gradient.sum((0, 1, 3))
    assert ((rows * torch.arange(1056)).sum() / rows.sum()).item() == pytest.approx(527.5, abs=0.5)
