"""FCN on AlexNet, GoogLeNet and any other encoder: counts, crops, and where maps lie."""

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.alexnet import CAFFENET, AlexNet
from perpixel.encoders.classifier import build_classifier
from perpixel.encoders.encoder import Encoder
from perpixel.encoders.googlenet import GoogLeNet
from perpixel.errors import UsageError
from perpixel.models.fcn_encoders import ALEXNET_CROPS, AnyFCN, FCN32sAlexNet
from perpixel.ops.receptive_field import Layer, after
from perpixel.weights import transplant
from perpixel.weights.reading import Pretrained


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_alexnet_and_googlenet_have_the_papers_counts() -> None:
    """FCN, CVPR 2015, Table 1: 57 million and 6 million."""
    with torch.device("meta"):
        assert count(FCN32sAlexNet(21)) == 56_954_261
        assert count(AnyFCN(21, encoder="googlenet-caffe", finest=32)) == 5_995_077


def test_their_fields_are_the_papers() -> None:
    """Table 1: 355 and 907; the latter only with the 7 x 7 average that the network leaves out, else 715."""
    assert after(AlexNet(width=0.01).field, Layer(6)).size == 355
    trunk = GoogLeNet(width=0.01).field
    assert (trunk.size, after(trunk, Layer(7)).size) == (715, 907)


@pytest.mark.parametrize("padding", [100, 1])
def test_alexnets_crop_follows_from_where_its_scores_lie(padding: int) -> None:
    """voc-fcn-alexnet/net.py: a 63 x 63 deconvolution, cropped by 18. Its element 0 has its peak at 31."""
    score = after(AlexNet(plan=CAFFENET, width=0.01, padding=padding).field, Layer(6, padding=3 if padding == 1 else 0))
    assert ALEXNET_CROPS[padding] == 31 - score.start


@pytest.mark.parametrize(
    ("layer", "size"), [("conv1", 173), ("pool1", 86), ("pool2", 43), ("conv5", 43), ("pool5", 21), ("fc6", 16)]
)
def test_alexnets_maps_have_the_released_sizes(layer: str, size: int) -> None:
    """voc-fcn-alexnet/net.py at 500 pixels."""
    with torch.device("meta"):
        network = FCN32sAlexNet(2)
        part = network.hidden.fc6 if layer == "fc6" else network.encoder.get_submodule(layer)
        sizes: list[tuple[int, ...]] = []
        part.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[-2:])))
        network(torch.empty(1, 3, 500, 500))
    assert sizes == [(size, size)]


def test_alexnet_covers_every_image_with_15_to_46_pixels_to_spare() -> None:
    for size in range(1, 601):
        length = (size + 200 - 11) // 4 + 1
        for _ in range(3):
            length = -(-(length - 3) // 2) + 1
        raw = 32 * (length - 6) + 63
        assert 15 <= raw - size - ALEXNET_CROPS[100] <= 46


def test_alexnet_pools_before_it_normalises() -> None:
    """CaffeNet's order; the 2012 net's is the other."""
    names = list(dict(FCN32sAlexNet(2, width=0.01).encoder.named_children()))
    assert names.index("pool1") < names.index("norm1") < names.index("conv2")
    assert names.index("pool2") < names.index("norm2") < names.index("conv3")


def test_fresh_networks_score_every_class_zero() -> None:
    """The first loss is ln K."""
    for network in (FCN32sAlexNet(5, width=0.01), AnyFCN(5, width=0.125)):
        logits = network.eval()(torch.randn(1, 3, 20, 20))
        loss = functional.cross_entropy(logits, torch.zeros(1, 20, 20, dtype=torch.int64))
        assert not logits.any()
        assert loss.item() == pytest.approx(torch.tensor(5.0).log().item())


def made_linear(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Average instead of taking maxima, weigh all equally: what is left is symmetric about what each element saw."""
    monkeypatch.setattr(functional, "max_pool2d", functional.avg_pool2d)
    for layer in list(network.modules()):
        for name, child in layer.named_children():
            if isinstance(child, nn.LocalResponseNorm | nn.BatchNorm2d):
                setattr(layer, name, nn.Identity())
    for parameter in network.parameters():
        parameter.data.fill_(1 / parameter[0].numel() if parameter.ndim > 1 else 0)
    return network.eval()


def centroids(network: nn.Module, stride: int = 32) -> list[float]:
    """Return how far blocks of logits lie from the middle of what they depend on, in pixels, at three places."""
    image = torch.ones(1, 1, 1600, 128, requires_grad=True)  # wide enough for every window
    logits, offsets = network(image)[0, 0], []
    for start in (768, 800, 832):
        (gradient,) = torch.autograd.grad(logits[start : start + stride].sum(), image, retain_graph=True)
        rows = gradient.sum((0, 1, 3))
        offsets.append(((rows * torch.arange(1600)).sum() / rows.sum()).item() - start - (stride - 1) / 2)
    return offsets


@pytest.mark.parametrize("padding", [100, 1])
def test_alexnet_puts_every_block_over_what_it_saw(padding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = made_linear(FCN32sAlexNet(1, in_channels=1, width=0.001, padding=padding), monkeypatch)
    assert centroids(network) == pytest.approx([0] * 3, abs=5e-3)


@pytest.mark.parametrize("finest", [32, 8])
@pytest.mark.parametrize("encoder", ["googlenet-caffe", "resnet18", "resnet50-msra", "vgg11", "alexnet"])
def test_any_encoders_blocks_lie_over_what_they_saw(encoder: str, finest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the places of the maps GoogLeNet's would be 15 pixels off, and ResNet's as far the other way."""
    network = made_linear(AnyFCN(1, in_channels=1, width=0.001, encoder=encoder, finest=finest), monkeypatch)
    assert centroids(network) == pytest.approx([0] * 3, abs=0.05)


def test_a_margin_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = made_linear(AnyFCN(1, 1, 0.001, encoder="googlenet-caffe", finest=32, margin=100), monkeypatch)
    assert centroids(network) == pytest.approx([0] * 3, abs=0.05)


@pytest.mark.parametrize("encoder", ["alexnet-caffe", "vgg16-bn", "googlenet", "resnet34"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 31), (97, 41)])
def test_any_size_trains_on_any_encoder(encoder: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = AnyFCN(4, width=1 / 16, encoder=encoder).train()
    logits = network(torch.randn(1, 3, *size))
    assert logits.shape == (1, 4, *size)
    functional.cross_entropy(logits, torch.zeros(1, *size, dtype=torch.int64)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert not name.startswith("score") or not name.endswith("bias") or parameter.grad.any(), name


def test_hidden_layers_come_along() -> None:
    """VGG-16's fc6 and fc7 as convolutions, with their names; residual networks have none."""
    with torch.device("meta"):
        vgg, resnet = AnyFCN(21, encoder="vgg16"), AnyFCN(21, encoder="resnet50")
    assert vgg.hidden.fc6.weight.shape == (4096, 512, 7, 7)
    assert count(vgg) == 134_362_751  # FCN-8s
    assert isinstance(resnet.hidden, nn.Dropout)
    assert count(resnet) == 23_508_032 + 21 * (2048 + 1024 + 512 + 3)


class Stripes(Encoder):
    """An encoder of somebody else's, which does not know where its maps lie: no `chain`."""

    channels, strides = (4, 6), (8, 16)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 8, 1), nn.Conv2d(4, 6, 3, 2, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return two maps."""
        return [first := self.first(image), self.second(first)]


def test_an_encoder_of_ones_own_will_do_and_keeps_its_weights() -> None:
    encoder = Stripes()
    before = encoder.first.weight.clone()
    network = AnyFCN(4, encoder=encoder)
    assert network(torch.randn(1, 3, 21, 50)).shape == (1, 4, 21, 50)
    assert torch.equal(encoder.first.weight, before)
    assert network.score_fr.in_channels == 6
    assert network.places == {8: 0.0, 16: 0.0}


def test_unknown_encoders_and_strides_are_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'resnet50'"):
        AnyFCN(2, encoder="resnet51")
    with pytest.raises(ValueError, match=r"expected finest to be a stride of the encoder, got 4\. It has 8, 16\."):
        AnyFCN(2, encoder=Stripes(), finest=4)
    with pytest.raises(ValueError, match="FCN: expected padding 100 or 1, got 50"):
        FCN32sAlexNet(2, padding=50)


@pytest.mark.parametrize("name", ["caffenet", "googlenet-caffe", "vgg11", "resnet18"])
def test_a_classifiers_weights_find_their_places(name: str) -> None:
    """All but its last layer are taken; what is fresh are the scores."""
    classifier = build_classifier(name, 10, width=1 / 16)
    keys = {re.sub(r"^(encoder\.(stages\.stage\d\.)?|head\.)", "", key): key for key in classifier.state_dict()}
    tensors = {key: classifier.state_dict()[own] for key, own in keys.items()}
    network = FCN32sAlexNet(3, width=1 / 16) if name == "caffenet" else AnyFCN(3, width=1 / 16, encoder=name)
    done = transplant(network, Pretrained(tensors, name, None, "a test"))
    assert all(key.startswith("score") for key in done.fresh)
    assert torch.equal(next(network.encoder.parameters()), next(classifier.encoder.parameters()))
