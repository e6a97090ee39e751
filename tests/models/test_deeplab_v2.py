"""DeepLab v2 against the released layers and the losses of its multi-scale input."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.pooling import layer_of
from perpixel.encoders.resnet import ResNet
from perpixel.models.deeplab_v2 import ASPP_L, ASPP_S, LARGE_FOV, DeepLabV2, LinearASPP
from perpixel.ops.receptive_field import receptive_field
from perpixel.training.objective import Objective
from perpixel.training.recipe import Recipe

NARROW = 1 / 16


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class Linear(nn.Module):
    """An encoder of stride 8 that is one convolution: what MSC does around it can be computed by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, kernel_size=9, stride=8, padding=4)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.convolution(image)]


def multi_scale_network() -> DeepLabV2:
    torch.manual_seed(0)
    network = DeepLabV2(3, width=NARROW, encoder="resnet18", rates=(2,), multi_scale=True).eval()
    network.encoder = Linear()  # type: ignore[assignment]
    network.aspp = LinearASPP(8, 3, rates=(1, 2))
    return network.eval()


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"rates": ASPP_L}, 37_877_652),
        ({"rates": ASPP_S}, 37_877_652),
        ({"rates": LARGE_FOV}, 20_505_429),
        ({"encoder": "resnet101-msra"}, 43_943_188 + 105_344),
        ({"encoder": "resnet101"}, 43_943_188 + 105_344),
    ],
)
def test_counts(options: dict[str, object], count: int) -> None:
    """ResNet-101: convolutions, and scales and shifts of batch normalisation, from the prototxt."""
    with torch.device("meta"):
        assert size(DeepLabV2(21, **options)) == count  # type: ignore[arg-type]


def test_fields_of_view() -> None:
    """611 and 1411 pixels with rate 24."""
    with torch.device("meta"):
        vgg, resnet = DeepLabV2(2, width=NARROW), DeepLabV2(2, width=NARROW, encoder="resnet101-msra")
    fields = [
        receptive_field([*network.encoder.chain(), layer_of(network.aspp.get_submodule(last))])
        for network, last in ((vgg, "fc6_4"), (resnet, "fc1_c3"))
    ]
    assert [(field.size, field.stride, field.start) for field in fields] == [(611, 8, 0), (1411, 8, 0)]
    assert resnet.encoder.field.size == 1027


def test_resnet_layers_are_the_releases() -> None:
    """Stride in the first 1x1 of res3, pooling padded by 1; res4 dilated by 2 and res5 by 4."""
    with torch.device("meta"):
        encoder = DeepLabV2(2, width=NARROW, encoder="resnet101-msra").encoder
        maps = encoder(torch.empty(1, 3, 321, 321))
    assert isinstance(encoder, ResNet)
    assert [features.shape[-1] for features in maps] == [161, 81, 41, 41, 41]
    strided = [name for name, part in encoder.named_modules() if isinstance(part, nn.Conv2d) and part.stride[0] == 2]
    assert strided == ["conv1", "layer2.0.conv1", "layer2.0.downsample.0"]
    dilations = {
        name.split(".")[0]: {part.dilation[0] for part in layer.modules() if isinstance(part, nn.Conv2d)}
        for name, layer in encoder.named_children()
        if name.startswith("layer")
    }
    assert dilations == {"layer1": {1}, "layer2": {1}, "layer3": {1, 2}, "layer4": {1, 4}}


@pytest.mark.parametrize("encoder", ["vgg16", "resnet18"])
def test_the_scores_of_all_rates_are_summed(encoder: str) -> None:
    torch.manual_seed(0)
    network = DeepLabV2(2, width=NARROW, encoder=encoder).eval()
    image = torch.randn(1, 3, 65, 65)
    with torch.inference_mode():
        (together,) = network.training_logits(image)
        total = torch.zeros_like(together)
        for kept in network.aspp.scores():
            single = {id(score): score.weight.clone() for score in network.aspp.scores()}
            for score in network.aspp.scores():
                score.weight.mul_(1.0 if score is kept else 0.0)
            total += network.training_logits(image)[0]
            for score in network.aspp.scores():
                score.weight.copy_(single[id(score)])
    torch.testing.assert_close(together, total, atol=1e-5, rtol=1e-4)


def test_multi_scale_training_has_four_outputs_of_equal_weight() -> None:
    """Maps of 41, 31 (enlarged to 41) and 21 places for a crop of 321."""
    with torch.device("meta"):
        network = DeepLabV2(2, width=NARROW, encoder="resnet101-msra", multi_scale=True)
        pyramid = network.pyramid(torch.empty(1, 3, 321, 321))
        outputs = network.training_logits(torch.empty(1, 3, 321, 321))
    assert [scores.shape[-1] for scores in pyramid] == [41, 31, 21]
    assert [scores.shape[-1] for scores in outputs] == [41, 41, 41, 21]
    assert network.loss_weights == (1.0, 1.0, 1.0, 1.0)
    assert DeepLabV2(2, width=NARROW).loss_weights == (1.0,)


def test_multi_scale_fuses_the_largest_scores_before_they_are_enlarged() -> None:
    """Images at 3/4 and 1/2 corner on corner; scores interpolated to those of scale 1; the largest; times 8."""
    network, image = multi_scale_network(), torch.randn(2, 3, 65, 97)

    def shrunk(scale: float) -> Tensor:
        sides = (int(64 * scale) + 1, int(96 * scale) + 1)
        return functional.interpolate(image, sides, mode="bilinear", align_corners=True)

    def scores(pixels: Tensor) -> Tensor:
        places = network.aspp(network.encoder(pixels)[-1])
        return functional.interpolate(places, (9, 13), mode="bilinear", align_corners=True)

    with torch.inference_mode():
        one, three_quarters, half = scores(image), scores(shrunk(0.75)), scores(shrunk(0.5))
        fused = torch.stack((one, three_quarters, half)).amax(0)
        expected = functional.interpolate(fused, (65, 97), mode="bilinear", align_corners=True)
        torch.testing.assert_close(network(image), expected, atol=1e-5, rtol=1e-4)
        outputs = network.training_logits(image)
    for output, wanted in zip(outputs, (fused, one, three_quarters), strict=False):
        torch.testing.assert_close(output, wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(outputs[3], half[..., ::2, ::2], atol=1e-5, rtol=1e-4)


def test_training_adds_four_losses_against_labels_shrunk_by_8_and_16() -> None:
    """train.py of the port: fused, 1 and 3/4 at stride 8, 1/2 at stride 16; void places count nowhere."""
    network, image = multi_scale_network(), torch.randn(2, 3, 65, 97)
    target = torch.randint(3, (2, 65, 97))
    target[:, 20:40] = 255
    objective = Objective(network, Recipe(model="deeplab-v2-resnet101", loss_normalization="valid"))
    with torch.inference_mode():
        outputs = network.training_logits(image)
        labels = [target[:, ::8, ::8]] * 3 + [target[:, ::16, ::16]]
        losses = [functional.cross_entropy(*pair, ignore_index=255) for pair in zip(outputs, labels, strict=True)]
        torch.testing.assert_close(objective(image, target), torch.stack(losses).sum())


@pytest.mark.parametrize("height", [321, 300])
def test_every_scale_lies_on_the_same_pixels(height: int) -> None:
    """A place of any scale's scores sees the image around its own pixel, at sizes of 8n + 1 and at others."""
    network = multi_scale_network().double()
    for parameter in network.parameters():
        parameter.data.fill_(1.0 if parameter.ndim > 1 else 0.0)
    image = torch.ones(1, 3, height, 1, dtype=torch.float64, requires_grad=True)
    for output in network.training_logits(image)[1:]:
        places = output.shape[2]
        middle = places // 2
        (gradient,) = torch.autograd.grad(output[0, 0, middle, 0], image, retain_graph=True)
        rows = gradient.sum((0, 1, 3))
        centroid = float((rows * torch.arange(height)).sum() / rows.sum())
        assert centroid == pytest.approx(middle * (height - 1) / (places - 1), abs=0.05)


def test_frozen_batch_normalisation_stays_as_it_was_loaded() -> None:
    torch.manual_seed(0)
    network = DeepLabV2(2, width=NARROW, encoder="resnet18", freeze_batch_norm=True).train()
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
    network(torch.randn(2, 3, 33, 33)).mean().backward()
    after = [norm.running_mean for norm in norms if norm.running_mean is not None]
    assert len(before) == len(norms)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert all(parameter.grad is None for norm in norms for parameter in norm.parameters())
    assert all(score.weight.grad is not None for score in network.aspp.scores())


@pytest.mark.parametrize("encoder", ["vgg11", "vgg13-bn", "vgg19", "resnet18", "resnet50", "resnet50-msra"])
def test_other_encoders_serve(encoder: str) -> None:
    network = DeepLabV2(3, in_channels=4, width=NARROW, encoder=encoder, rates=(2, 4)).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 4, 21, 34)).shape == (1, 3, 21, 34)


@pytest.mark.parametrize("side", [1, 2, 17, 34])
def test_multi_scale_trains_at_every_size(side: int) -> None:
    torch.manual_seed(0)
    network = DeepLabV2(2, width=NARROW, encoder="resnet18", multi_scale=True).train()
    assert network(torch.randn(1, 3, side, side + 3)).shape == (1, 2, side, side + 3)
    outputs = network.training_logits(torch.randn(1, 3, side, side + 3))
    torch.stack([output.square().mean() for output in outputs]).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_unknown_encoders_and_no_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="'resnet99'"):
        DeepLabV2(2, encoder="resnet99")
    with pytest.raises(ValueError, match="at least one rate"):
        DeepLabV2(2, rates=())
