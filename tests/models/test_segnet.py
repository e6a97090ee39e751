"""SegNet and SegNet-Basic against their prototxts."""

import pytest
import torch
from torch import nn

from perpixel.models.segnet import SegNet, SegNetBasic


def convolution_widths(module: nn.Module) -> list[int]:
    return [layer.out_channels for layer in module.modules() if isinstance(layer, nn.Conv2d)]


def test_the_decoder_mirrors_the_encoder() -> None:
    """Models/segnet_train.prototxt: conv5_3_D to conv1_2_D."""
    with torch.device("meta"):
        network = SegNet(11)
    assert list(network.decoder) == ["stage5", "stage4", "stage3", "stage2", "stage1"]
    assert convolution_widths(network.decoder) == [512] * 3 + [512, 512, 256] + [256, 256, 128] + [
        128,
        64,
    ] + [64]


def test_logits_may_be_negative() -> None:
    """The classifier has neither batch normalisation nor ReLU; copies of SegNet often add both."""
    torch.manual_seed(0)
    logits = SegNet(5, width=0.125)(torch.randn(2, 3, 40, 40))
    assert 0.2 < (logits < 0).float().mean() < 0.8


@pytest.mark.parametrize("value", [128.0, 255.0])
def test_basic_divides_the_raw_image_as_the_release_does(value: float) -> None:
    """Mid-grey 128 is divided by 1.67, and 255 by 3.29, where all of five channels are within reach."""
    norm = SegNetBasic(2, width=0.01).norm
    divisor = value / norm(torch.full((1, 3, 1, 1), value))
    expected = (1 + 1e-4 / 5 * 3 * value**2) ** 0.75
    assert divisor.flatten().tolist() == pytest.approx([expected] * 3, rel=1e-5)
    assert expected == pytest.approx({128.0: 1.67, 255.0: 3.29}[value], abs=0.02)


def test_local_response_normalisation_agrees_with_loops() -> None:
    """Caffe across channels: x / (1 + α/n Σ x²)^β over n neighbours."""
    image = 255 * torch.rand(2, 7, 3, 4)
    expected = torch.empty_like(image)
    for channel in range(7):
        around = image[:, max(channel - 2, 0) : channel + 3]
        expected[:, channel] = image[:, channel] / (1 + 1e-4 / 5 * around.square().sum(1)) ** 0.75
    torch.testing.assert_close(SegNetBasic(2, width=0.01).norm(image), expected)


def test_the_basic_decoder_has_no_relu() -> None:
    network = SegNetBasic(2, width=0.01)
    assert sum(isinstance(layer, nn.ReLU) for layer in network.encoder.modules()) == 4
    assert not any(isinstance(layer, nn.ReLU) for layer in network.decoder.modules())


def test_the_papers_convolutions_have_no_bias_and_the_released_ones_have() -> None:
    """SegNet, Sec. 3.1; segnet_basic_train.prototxt: eight of 64."""
    released, paper = SegNetBasic(11), SegNetBasic(11, bias=False)
    sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in (released, paper)]
    assert sizes == [1_416_587, 1_416_587 - 8 * 64]


def test_values_return_to_where_their_maxima_were() -> None:
    """Unpooling uses the encoder's switches: the same values at other switches give other logits."""
    torch.manual_seed(0)
    network = SegNetBasic(2, width=0.125).eval()
    image = 255 * torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        assert not torch.allclose(network(image).flip(-1), network(image.flip(-1)))
