"""First weights, where nothing pretrained is loaded."""

from torch import nn


def initialize_he(network: nn.Module, batch_norm_shift: float = 0.0) -> None:
    """Draw every convolution from a Gaussian of variance 2 / fan-in; biases are zero.

    Args:
        network: Changed in place. Transposed convolutions too: each output of a stride-s kernel of
            side k sees (k / s)² inputs of every channel, and that is its fan-in.
        batch_norm_shift: What batch normalisation adds at first; its scale is 1.

    Source: He et al., ICCV 2015, arXiv:1502.01852, Eq. 10; Caffe's `msra` filler.
    """
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            taps = (layer.kernel_size[0] // layer.stride[0]) * (layer.kernel_size[1] // layer.stride[1])
            nn.init.normal_(layer.weight, std=(2 / (layer.in_channels * taps)) ** 0.5)
        elif isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
            nn.init.constant_(layer.bias, batch_norm_shift)
            continue
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def initialize_zero(*layers: nn.Conv2d) -> None:
    """Set score layers to zero: every class starts equally likely.

    Source: Shelhamer et al., "FCN", Sec. 4.3; the released nets leave Caffe's default filler, constant 0.
    """
    for layer in layers:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
