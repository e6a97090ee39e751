"""DeconvNet against stage_2_train.prototxt."""

import pytest
import torch
from torch import Tensor, nn

from perpixel.models import deconvnet
from perpixel.models.deconvnet import DeconvNet

NARROW = 1 / 16


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def output_sizes(network: nn.Module, height: int, width: int) -> dict[str, tuple[int, int]]:
    """Return the rows and columns of every convolution's and deconvolution's output."""
    sizes: dict[str, tuple[int, int]] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            short = name.rsplit(".", 1)[-1]
            layer.register_forward_hook(
                lambda _, __, output, short=short: sizes.update({short: tuple(output.shape[-2:])})
            )
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, height, width))
    return sizes


def test_the_variants_have_their_counts() -> None:
    """29 batch normalisations of 16,704 channels: a scale and a shift each, beside as many biases."""
    with torch.device("meta"):
        counts = [size(DeconvNet(21, **options)) for options in ({}, {"batch_norm": False}, {"bias": False})]
    assert counts == [251_805_653, 251_772_245, 251_788_949]


def test_everything_but_the_score_is_normalised() -> None:
    with torch.device("meta"):
        network = DeconvNet(21)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 29
    assert sum(norm.num_features for norm in norms) == 16_704
    assert not any(isinstance(layer, nn.Dropout) for layer in network.modules())


def test_the_decoder_narrows_at_the_end_of_each_stage() -> None:
    """Table 2: deconv4_3 gives 256, deconv3_3 128 and deconv2_2 64."""
    with torch.device("meta"):
        decoder = DeconvNet(21).decoder
    widths = {
        name: [layer.out_channels for layer in stage if isinstance(layer, nn.ConvTranspose2d)]
        for name, stage in decoder.named_children()
        if isinstance(stage, nn.Sequential)
    }
    assert widths == {
        "stage5": [512, 512, 512],
        "stage4": [512, 512, 256],
        "stage3": [256, 256, 128],
        "stage2": [128, 64],
        "stage1": [64, 64],
    }


def test_maps_at_224_pixels_have_the_papers_sizes() -> None:
    """Table 2; its padding of 1 at the last layer would give 226."""
    sizes = output_sizes(DeconvNet(2, width=NARROW), 224, 224)
    expected = {"conv1_1": 224, "conv2_1": 112, "conv3_1": 56, "conv4_1": 28, "conv5_3": 14}
    expected |= {"fc6": 1, "fc7": 1, "fc6_deconv": 7}
    expected |= {"deconv5_1": 14, "deconv4_1": 28, "deconv3_1": 56, "deconv2_1": 112, "deconv1_2": 224}
    expected |= {"classifier": 224}
    assert {name: sizes[name] for name in expected} == {name: (side, side) for name, side in expected.items()}


@pytest.mark.parametrize(("side", "fc6"), [(1, 1), (192, 1), (193, 1), (225, 2), (320, 4)])
def test_fc6_slides_over_images_that_are_larger_than_its_window(side: int, fc6: int) -> None:
    sizes = output_sizes(DeconvNet(2, width=NARROW), side, 40)
    assert sizes["fc6"] == (fc6, 1)
    assert sizes["classifier"] == (side, 40)


def test_a_small_image_lies_in_the_middle_of_the_window() -> None:
    """Seven rows of pool5 with zeros around three give what three rows give, at their place."""
    torch.manual_seed(0)
    network = DeconvNet(2, width=NARROW).eval()
    pool5 = torch.zeros(1, 32, 7, 7)
    pool5[..., 2:5, 1:5] = torch.rand(1, 32, 3, 4)
    with torch.inference_mode():
        whole, part = network.see_whole(pool5), network.see_whole(pool5[..., 2:5, 1:5])
    torch.testing.assert_close(part, whole[..., 2:5, 1:5])


def test_first_weights_are_the_releases() -> None:
    """Normalisation starts by adding 0.001; deconvolutions and scores are Gaussian of deviation 0.01."""
    torch.manual_seed(0)
    network = DeconvNet(64, width=0.25)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(torch.equal(norm.bias, torch.full_like(norm.bias, 0.001)) for norm in norms)
    deconvolutions = [layer for layer in network.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert len(deconvolutions) == 14
    for layer in [*deconvolutions, network.classifier]:
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert layer.bias is not None
        assert not layer.bias.any()


def test_a_network_without_shifts_of_any_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_norm or bias"):
        DeconvNet(2, batch_norm=False, bias=False)


def test_every_block_lies_over_what_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    """With average pooling, spread out evenly again, what a block of logits depends on is centred on it."""

    def average(features: Tensor) -> tuple[Tensor, tuple[int, int]]:
        pooled = nn.functional.avg_pool2d(features, 2, ceil_mode=True)
        return pooled, (features.shape[-2], features.shape[-1])

    def spread(features: Tensor, size: tuple[int, int]) -> Tensor:
        rows, columns = size
        return nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")[..., :rows, :columns]

    monkeypatch.setattr(deconvnet, "max_pool", average)
    monkeypatch.setattr(deconvnet, "max_unpool", spread)
    network = DeconvNet(1, in_channels=1, width=0.001, batch_norm=False).double().eval()
    for parameter in network.parameters():
        parameter.data.fill_(1 / parameter[0].numel() if parameter.ndim > 1 else 0)
    image = torch.ones(1, 1, 960, 1, requires_grad=True, dtype=torch.float64)
    for start in (448, 480, 512):
        (gradient,) = torch.autograd.grad(network(image)[0, 0, start : start + 32].sum(), image)
        rows = gradient.sum((0, 1, 3))
        centroid = (rows * torch.arange(960)).sum() / rows.sum()
        assert centroid.item() == pytest.approx(start + 15.5, abs=1e-6)


@pytest.mark.parametrize("options", [{"batch_norm": False}, {"bias": False}])
def test_the_variants_train(options: dict[str, bool]) -> None:
    torch.manual_seed(0)
    network = DeconvNet(3, width=NARROW, **options).train()
    nn.functional.cross_entropy(network(torch.randn(2, 3, 33, 40)), torch.ones(2, 33, 40).long()).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
