"""The padded U-Net."""

import torch
from torch import nn

from perpixel.models.unet import UNetSame


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
