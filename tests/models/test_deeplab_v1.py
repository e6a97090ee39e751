"""DeepLab v1 against config/DeepLab*/{train,test}.prototxt."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from perpixel.models.deeplab_v1 import VARIANTS, DeepLabV1, DilatedVGG

NARROW = 1 / 16

ALIGNED = [("largefov", False), ("largefov", True), ("4x4", True)]


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def evened(variant: str, multi_scale: bool, classes: int = 1) -> DeepLabV1:
    """Return a network of averages: what a score depends on is then symmetric about its place."""
    network = DeepLabV1(classes, in_channels=1, width=0.001, variant=variant, multi_scale=multi_scale)
    for name, pool in list(network.encoder.pools.items()):
        assert isinstance(pool, nn.MaxPool2d)
        network.encoder.pools[name] = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, ceil_mode=True)
    for parameter in network.parameters():
        parameter.data.fill_(1 / parameter[0].numel() if parameter.ndim > 1 else 0)
    return network.double().eval()


def centroid(logit: Tensor, image: Tensor) -> float:
    """Return the row around which the rows lie that a logit depends on."""
    (gradient,) = torch.autograd.grad(logit, image, retain_graph=True)
    rows = gradient.sum((0, 1, 3))
    return float((rows * torch.arange(len(rows))).sum() / rows.sum())


@pytest.mark.parametrize(
    ("variant", "multi_scale", "count"),
    [
        ("7x7", False, 134_346_581),
        ("4x4", False, 65_140_565),
        ("4x4-rate8", False, 65_140_565),
        ("largefov", False, 20_505_429),
        ("largefov", True, 21_711_550),
        ("4x4", True, 66_346_686),
    ],
)
def test_every_variant_has_its_count(variant: str, multi_scale: bool, count: int) -> None:
    """Counted from the prototxts; Table 2 gives 134.3M, 65.1M and 20.5M. MSc adds 1,206,121."""
    with torch.device("meta"):
        assert size(DeepLabV1(21, variant=variant, multi_scale=multi_scale)) == count


@pytest.mark.parametrize(
    ("variant", "multi_scale", "side", "sizes"),
    [
        ("largefov", False, 321, [161, 81, 41, 41, 41]),
        ("largefov", False, 513, [257, 129, 65, 65, 65]),
        ("4x4", True, 321, [161, 81, 41, 41, 41]),
        ("4x4", False, 514, [258, 130, 66, 67, 67]),
    ],
)
def test_poolings_give_the_released_sizes(variant: str, multi_scale: bool, side: int, sizes: list[int]) -> None:
    """The prototxts' own comments: 161, 81, 41; and 67 places, enlarged to 529, cut to 514."""
    with torch.device("meta"):
        encoder = DeepLabV1(2, width=NARROW, variant=variant, multi_scale=multi_scale).encoder
        pooled = encoder(torch.empty(1, 3, side, side))
    assert [features.shape[-1] for features in pooled] == sizes


@pytest.mark.parametrize(("variant", "side", "places"), [("largefov", 321, 41), ("4x4", 306, 39), ("7x7", 306, 39)])
def test_training_scores_every_eighth_pixel(variant: str, side: int, places: int) -> None:
    """Sec. 3.2 and label_shrink: 39 x 39 labels of 306 pixels; 41 of 321."""
    with torch.device("meta"):
        (logits,) = DeepLabV1(2, width=NARROW, variant=variant).training_logits(torch.empty(1, 3, side, side))
    assert logits.shape == (1, 2, places, places)


@pytest.mark.parametrize(("variant", "multi_scale"), ALIGNED)
def test_every_eighth_pixel_is_predicted_as_it_was_trained(variant: str, multi_scale: bool) -> None:
    """MSc's branches stride in training and are dense in prediction; at the common places they agree."""
    torch.manual_seed(0)
    network = DeepLabV1(3, width=NARROW, variant=variant, multi_scale=multi_scale).eval()
    image = torch.randn(1, 3, 41, 57)
    with torch.inference_mode():
        logits, (trained,) = network(image), network.training_logits(image)
    torch.testing.assert_close(logits[..., ::8, ::8], trained, atol=1e-6, rtol=1e-4)


def test_logits_are_enlarged_corner_on_corner() -> None:
    """Interp with zoom_factor 8: 41 places become 321 pixels, align_corners=True."""
    torch.manual_seed(0)
    network = DeepLabV1(2, width=NARROW).eval()
    image = torch.randn(1, 3, 65, 73)
    with torch.inference_mode():
        logits, (places,) = network(image), network.training_logits(image)
    expected = functional.interpolate(places, (65, 73), mode="bilinear", align_corners=True)
    torch.testing.assert_close(logits, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("variant", "filled"), [("largefov", (57, 41)), ("4x4", (58, 42))])
def test_an_image_is_filled_up_with_zeros_and_its_logits_cut(variant: str, filled: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = DeepLabV1(2, width=NARROW, variant=variant).eval()
    image = torch.randn(1, 3, 51, 37)
    padded = functional.pad(image, (0, filled[1] - 37, 0, filled[0] - 51))
    with torch.inference_mode():
        torch.testing.assert_close(network(image), network(padded)[..., :51, :37])


@pytest.mark.parametrize(("variant", "multi_scale"), ALIGNED)
def test_pixels_lie_over_what_they_see(variant: str, multi_scale: bool) -> None:
    network, image = evened(variant, multi_scale), torch.ones(1, 1, 961, 1, dtype=torch.float64, requires_grad=True)
    logits = network(image)
    for row in (464, 475, 480, 487, 496):
        assert centroid(logits[0, 0, row, 0], image) == pytest.approx(row, abs=1e-4)
    (places,) = network.training_logits(image)
    for place in (58, 60, 62):
        assert centroid(places[0, 0, place, 0], image) == pytest.approx(8 * place, abs=1e-4)


@pytest.mark.parametrize("variant", ["4x4", "4x4-rate8", "7x7"])
def test_with_2x2_pooling_pixels_lie_half_a_pixel_beside_what_they_see(variant: str) -> None:
    """Windows of two are centred between pixels; test.prototxt cuts 7 pixels off one side and 8 off the other."""
    network, image = evened(variant, False), torch.ones(1, 1, 482, 42, dtype=torch.float64, requires_grad=True)
    logits, (places,) = network(image), network.training_logits(image)
    for row in (237, 240, 243):
        assert centroid(logits[0, 0, row, 9], image) == pytest.approx(row - 0.5, abs=1e-4)
    for place in (29, 30):
        assert centroid(places[0, 0, place, 1], image) == pytest.approx(8 * place + 0.5, abs=1e-4)
        assert abs(place * 481 / 60 - (8 * place + 0.5)) <= 0.5  # where a target shrunk corner on corner is read


@pytest.mark.parametrize("height", [955, 960, 964])
def test_training_places_reach_from_corner_to_corner_at_any_size(height: int) -> None:
    """A target shrunk corner on corner then meets what each place sees, to half a pixel."""
    network, image = evened("largefov", False), torch.ones(1, 1, height, 1, dtype=torch.float64, requires_grad=True)
    (places,) = network.training_logits(image)
    last = places.shape[2] - 1
    for place in (58, 60, 62):
        expected = place * (height - 1) / last
        assert centroid(places[0, 0, place, 0], image) == pytest.approx(expected, abs=0.01)


def test_msc_starts_as_released() -> None:
    """train.prototxt: deviation 0.001, pool4_fc 0.005, scores 0.01, and pool3_ms zero."""
    torch.manual_seed(0)
    msc = DeepLabV1(40, multi_scale=True, variant="largefov", width=0.5).msc
    assert msc is not None
    stds = {name: layer.weight.std().item() for name, layer in msc.named_children() if isinstance(layer, nn.Conv2d)}
    assert len(stds) == 15
    expected = {"data_conv": 0.001, "pool2_fc": 0.001, "pool4_fc": 0.005, "data_ms": 0.01, "pool3_ms": 0.0}
    assert {name: stds[name] for name in expected} == pytest.approx(expected, rel=0.1)


def test_the_average_counts_zeros_around_the_map() -> None:
    """Caffe divides by the whole window, which reaches into the padding."""
    averaged = DeepLabV1(2, width=NARROW).pool5a(torch.ones(1, 1, 3, 3))
    torch.testing.assert_close(averaged[0, 0, 0], torch.tensor([4.0, 6.0, 4.0]) / 9)


def test_stage_five_is_dilated_and_nothing_before() -> None:
    convolutions = [layer for layer in DilatedVGG(widths=((8,),) * 5).modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.dilation[0] for layer in convolutions] == [1, 1, 1, 1, 2]


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_trained_has_gradients_at_every_size(variant: str) -> None:
    torch.manual_seed(0)
    network = DeepLabV1(2, width=NARROW, variant=variant).train()
    for side in (1, 2, 17, 34):
        network.zero_grad()
        (logits,) = network.training_logits(torch.randn(1, 3, side, side + 3))
        logits.square().mean().backward()
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="'5x5'"):
        DeepLabV1(2, variant="5x5")
