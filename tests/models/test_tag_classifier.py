"""The classifier of tags, and its way back."""

import pytest
import torch

from perpixel.errors import UsageError
from perpixel.models.tag_classifier import TagClassifier, pooled

NARROW = 1 / 16


def test_it_has_the_parameters_of_the_release() -> None:
    """VGG-16's convolutions, fc6, fc7 and 20 scores: 001_*/fp_bp_network.prototxt, weights of the way back tied."""
    with torch.device("meta"):
        network = TagClassifier(20)
    assert sum(parameter.numel() for parameter in network.parameters()) == 134_342_484


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize(
    ("side", "encoder"),
    [(256, "vgg16"), (64, "vgg11-bn"), (256, "resnet18"), (256, "alexnet"), (40, "googlenet"), (250, "resnet50-msra")],
)
def test_the_way_back_equals_autograd(side: int, encoder: str, pooling: str) -> None:
    """Whatever the encoder, and where its last map is smaller than fc6's window."""
    torch.manual_seed(0)
    network = TagClassifier(5, width=NARROW, encoder=encoder).double().eval()
    reading = network.read(torch.randn(2, 3, side, side, dtype=torch.float64))
    weights = torch.rand(2, 5, dtype=torch.float64)
    (expected,) = torch.autograd.grad((weights * pooled(reading.scores, pooling)).sum(), reading.pool5)
    actual = network.back_propagate(reading, weights, pooling)
    assert expected.any()
    torch.testing.assert_close(actual, expected, atol=1e-14, rtol=1e-10)


def test_at_320_pixels_maps_have_the_released_sizes() -> None:
    """pool5 10 x 10, fc6, fc7 and scores 4 x 4; pool5-bp as pool5."""
    with torch.device("meta"):
        network = TagClassifier(20)
        reading = network.read(torch.empty(1, 3, 320, 320))
        back = network.back_propagate(reading, torch.empty(1, 20))
    assert reading.pool5.shape == back.shape == (1, 512, 10, 10)
    assert reading.open6.shape == reading.open7.shape == (1, 4096, 4, 4)
    assert reading.scores.shape == (1, 20, 4, 4)
    assert [where.size for where in reading.switches] == [(side, side) for side in (320, 160, 80, 40, 20)]


def test_a_label_without_weight_leaves_no_trace() -> None:
    torch.manual_seed(0)
    network = TagClassifier(3, width=NARROW).eval()
    reading = network.read(torch.randn(1, 3, 64, 64))
    assert not network.back_propagate(reading, torch.zeros(1, 3)).any()
    one, other = (network.back_propagate(reading, weights) for weights in torch.eye(3)[:2, None])
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "alexnet"])
def test_other_encoders_give_coarse_scores_and_a_map_of_their_last_one(name: str) -> None:
    network = TagClassifier(3, encoder=name, width=NARROW, window=3, stages=4).eval()
    reading = network.read(torch.randn(1, 3, 100, 120))
    back = network.back_propagate(reading, torch.ones(1, 3))
    assert reading.pool5.shape == back.shape == (1, network.encoder.channels[-1], *reading.pool5.shape[-2:])
    assert network.encoder.strides[-1] == 16
    assert back.any()


def test_an_encoder_that_is_not_known_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no classifier named 'resnet19'. Did you mean 'resnet1"):
        TagClassifier(3, encoder="resnet19", width=NARROW)
