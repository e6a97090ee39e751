"""Sizes and fields of view of every map, as the released prototxts give them."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from perpixel.encoders.alexnet import AlexNet
from perpixel.encoders.googlenet import GoogLeNet
from perpixel.encoders.resnet import ResNet
from perpixel.encoders.vgg import VGG16_WIDTHS
from perpixel.models.catalog import MODELS, build
from perpixel.models.fcn import CROPS, FCN8s, FCN16s, FCN32s
from perpixel.models.segnet import SegNet, SegNetBasic
from perpixel.ops.receptive_field import Field, Layer, receptive_field

POOL = Layer(kernel_size=2, stride=2)


def ceil_half(length: int) -> int:
    return -(-length // 2)


def vgg_layers(padding: int = 1, stages: int = 5) -> Iterator[Layer]:
    for depth, stage in enumerate(VGG16_WIDTHS[:stages]):
        for index in range(len(stage)):
            yield Layer(kernel_size=3, padding=padding if depth == index == 0 else 1)
        yield POOL


FC6 = Layer(kernel_size=7)


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        (list(vgg_layers(100, stages=1)), Field(6, 2, -98.5)),
        (list(vgg_layers(100, stages=2)), Field(16, 4, -97.5)),
        (list(vgg_layers(100, stages=3)), Field(44, 8, -95.5)),
        (list(vgg_layers(100, stages=4)), Field(100, 16, -91.5)),
        (list(vgg_layers(100)), Field(212, 32, -83.5)),
        ([*vgg_layers(100), FC6], Field(404, 32, 12.5)),
    ],
)
def test_the_trunk_sees_what_the_table_says(layers: list[Layer], field: Field) -> None:
    """VGG-16 as released with FCN: field, stride and centre of element 0, in pixels."""
    assert receptive_field(layers) == field


BASIC = [Layer(kernel_size=7, padding=3), POOL] * 4
UNET = [Layer(kernel_size=3, padding=1)] * 2 + [POOL, *[Layer(kernel_size=3, padding=1)] * 2] * 4
# FRRN: the stem and three RUs, then what each stage's FRRUs add; the residual stream's pools see no further.
FRRN_A = [Layer(5, padding=2), *[Layer(3, padding=1)] * 6]
for units in (3, 4, 2, 2):
    FRRN_A += [POOL, *[Layer(3, padding=1)] * 2 * units]
FRRN_B = [*FRRN_A, POOL, *[Layer(3, padding=1)] * 4]


def deeplab_layers(side: int, fc6: Layer, average: bool = False) -> list[Layer]:
    """Return DeepLab's layers with poolings of `side`, from config/DeepLab*/test.prototxt."""
    halve, keep = Layer(side, stride=2, padding=1), Layer(side, padding=1)
    layers = []
    for number, (stage, pool) in enumerate(zip(VGG16_WIDTHS, [halve, halve, halve, keep, keep], strict=True), start=1):
        dilation = 2 if number == 5 else 1
        layers += [Layer(3, padding=dilation, dilation=dilation)] * len(stage)
        layers += [Layer(3, padding=1) if number == 5 else pool]
    return [*layers, *[Layer(3, padding=1)] * average, fc6]


def resnet101_layers() -> list[Layer]:
    """Return the dilated ResNet-101 up to res5c, from isht7/pytorch-deeplab-resnet, data/test_Scale1.prototxt."""
    layers = [Layer(7, stride=2, padding=3), Layer(3, stride=2, padding=1)]
    for blocks, stride, dilation in ((3, 1, 1), (4, 2, 1), (23, 1, 2), (3, 1, 4)):
        for block in range(blocks):
            reduce, expand = Layer(1, stride=stride if block == 0 else 1), Layer(1)
            layers += [reduce, Layer(3, padding=dilation, dilation=dilation), expand]
    return layers


LARGE_FOV = Layer(3, padding=12, dilation=12)
RATE_24 = Layer(3, padding=24, dilation=24)
FOUR = Layer(4, padding=6, dilation=4)
DEEP_CONTEXTUAL = [*vgg_layers(stages=3), *[Layer(3, padding=1)] * 6]
COARSEST = {
    **{name: [*vgg_layers(100), FC6] for name in ("fcn32s", "fcn16s", "fcn8s", "fcn8s-at-once")},
    **{name: [*vgg_layers(100), FC6] for name in ("fcn8s-two-headed", "fcn32s-late-fusion")},
    "fcn32s-alexnet": [*AlexNet(width=0.01).chain(), Layer(6)],
    "fcn32s-googlenet": GoogLeNet(width=0.01).chain(),
    "fcn8s-any-encoder": ResNet(34, width=0.01).chain(),
    "segnet": list(vgg_layers()),
    **{name: BASIC for name in MODELS if MODELS[name].encoder == "segnet-basic"},
    "bayesian-segnet": list(vgg_layers()),
    "deconvnet": [*vgg_layers(), FC6],
    "decouplednet": [*vgg_layers(), FC6],
    "transfernet": list(vgg_layers())[:-1],
    "activation-maps": [*list(vgg_layers())[:-1], Layer(2)],  # pool5 without its stride
    "deeplab-v1-largefov": deeplab_layers(3, LARGE_FOV, average=True),
    "deeplab-v1-msc-largefov": deeplab_layers(3, LARGE_FOV, average=True),
    "deeplab-v1-7x7": deeplab_layers(2, Layer(7, padding=12, dilation=4)),
    "deeplab-v1-4x4": deeplab_layers(2, FOUR),
    "deeplab-v2-vgg16-aspp-s": deeplab_layers(3, LARGE_FOV),
    "deeplab-v2-vgg16-aspp-l": deeplab_layers(3, RATE_24),
    "deeplab-v2-resnet101": [*resnet101_layers(), RATE_24],
    "frrn-a": FRRN_A,
    "frrn-b": FRRN_B,
    "deep-contextual": DEEP_CONTEXTUAL,
    "unet": [layer._replace(padding=0) for layer in UNET],
    "unet-same": UNET,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_catalogue_gives_the_field_and_stride_of_the_coarsest_map(name: str) -> None:
    field = receptive_field(COARSEST[name])
    assert (field.size, field.stride) == (MODELS[name].receptive_field, MODELS[name].output_stride)


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        (deeplab_layers(3, LARGE_FOV, average=True)[:-1], Field(243, 8, 0)),
        (deeplab_layers(3, FOUR), Field(323, 8, 0)),
        (deeplab_layers(3, RATE_24)[:-1], Field(227, 8, 0)),
        (resnet101_layers(), Field(1027, 8, 0)),
        (deeplab_layers(2, FOUR), Field(308, 8, -7.5)),
    ],
)
def test_deeplab_sees_what_its_prototxts_say(layers: list[Layer], field: Field) -> None:
    """pool5a, MSc on 4x4, v2's pool5, res5c; and the base network, whose map starts 7.5 pixels outside."""
    assert receptive_field(layers) == field


@pytest.mark.parametrize("padding", [100, 1])
def test_crops_follow_from_where_each_map_lies(padding: int) -> None:
    """A deconvolution by f puts element 0 at (f − 1/2) finer steps from its own start."""
    fc6_padding = 0 if padding == 100 else 3
    pool3, pool4 = (receptive_field(vgg_layers(padding, stages)).start for stages in (3, 4))
    score = receptive_field([*vgg_layers(padding), Layer(7, padding=fc6_padding)]).start
    from_score = score - 1.5 * 16
    from_pool4 = from_score - 1.5 * 8 if padding == 100 else pool4 - 1.5 * 8
    crops = CROPS[padding]
    assert crops.pool4 == (from_score - pool4) / 16
    assert crops.pool3 == (from_pool4 - pool3) / 8
    assert crops.x32 == 31.5 - score
    at_pool4, at_pool3 = (from_score, from_pool4) if padding == 100 else (pool4, pool3)
    assert crops.x16 == 15.5 - at_pool4
    assert crops.x8 == 7.5 - at_pool3


def test_fcn_maps_follow_the_size_algebra() -> None:
    """For every size the skips overlap, and what is left after the crop covers the image."""
    for size in range(1, 601):
        pool3 = ceil_half(ceil_half(ceil_half(size + 198)))
        pool4, pool5 = ceil_half(pool3), ceil_half(ceil_half(pool3))
        assert (pool3, pool4, pool5) == (
            -(-(size + 198) // 8),
            -(-(size + 198) // 16),
            -(-(size + 198) // 32),
        )
        score = pool5 - 6
        assert score >= 1
        from_score = 2 * score + 2
        from_pool4 = 2 * from_score + 2
        assert from_score == 2 * pool5 - 10 <= pool4 - CROPS[100].pool4
        assert from_pool4 == 4 * pool5 - 18 <= pool3 - CROPS[100].pool3
        assert 19 <= 32 * score + 32 - size - CROPS[100].x32 <= 50
        assert 27 <= 16 * from_score + 16 - size - CROPS[100].x16 <= 58
        assert 31 <= 8 * from_pool4 + 8 - size - CROPS[100].x8 <= 62


def test_poolings_that_round_down_would_fall_short() -> None:
    """The crops would still fit, but up to 12 pixels of FCN-32s's image, and 4 of FCN-16s's, would have no score."""
    short = [0, 0, 0]
    for size in range(1, 601):
        score = (size + 198) // 32 - 6
        results = (32 * score + 32, 16 * (2 * score + 2) + 16, 8 * (4 * score + 6) + 8)
        crops = (CROPS[100].x32, CROPS[100].x16, CROPS[100].x8)
        if score > 0:
            short = [max(s, size + crop - result) for s, crop, result in zip(short, crops, results, strict=True)]
    assert short == [12, 4, 0]


@pytest.mark.parametrize(
    ("size", "pool3", "pool4", "fc7"),
    [(500, 88, 44, 16), (1, 25, 13, 1), (321, 65, 33, 11), (224, 53, 27, 8)],
)
def test_real_fcn_maps_have_those_sizes(size: int, pool3: int, pool4: int, fc7: int) -> None:
    """voc-fcn8s/net.py at 500 pixels: 88, 44, 16."""
    with torch.device("meta"):
        features = FCN8s(2).encoder(torch.empty(1, 3, size, size))
    assert [tuple(part.shape[-2:]) for part in features] == [(pool3, pool3), (pool4, pool4), (fc7, fc7)]


def recorded_sizes(network: nn.Module, height: int, width: int) -> list[tuple[int, int]]:
    """Return the size at which every convolution works."""
    sizes: list[tuple[int, int]] = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[-2:])))
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, height, width))
    return sizes


FULL = [(360, 480), (180, 240), (90, 120), (45, 60), (23, 30)]


def test_segnet_maps_at_the_camvid_size() -> None:
    """Models/segnet_train.prototxt: 45 -> 23 -> 12 and back, by upsample_h 23 and 45."""
    repeats = [2, 2, 3, 3, 3, 3, 3, 3, 2, 2]
    expected = [size for size, count in zip(FULL + FULL[::-1], repeats, strict=True) for _ in range(count)]
    assert recorded_sizes(SegNet(2, width=0.01), 360, 480) == expected


def test_segnet_basic_maps_at_the_camvid_size() -> None:
    expected = [*FULL[:4], *FULL[3::-1], FULL[0]]
    assert recorded_sizes(SegNetBasic(2, width=0.01), 360, 480) == expected


@pytest.mark.parametrize("network", [FCN32s, FCN16s, FCN8s])
@pytest.mark.parametrize("padding", [100, 1])
def test_fcn_puts_every_block_over_what_it_saw(
    network: type[FCN8s], padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The centroid of what a 32 x 32 block of logits depends on is the block's own centre, exactly.

    With average pooling and equal weights the dependence is symmetric; a wrong crop or a stretched map shows.
    """
    monkeypatch.setattr(nn.functional, "max_pool2d", nn.functional.avg_pool2d)
    model = network(1, in_channels=1, width=0.001, padding=padding).eval()
    for parameter in model.parameters():
        parameter.data.fill_(1 / parameter[0].numel() if parameter.ndim > 1 else 0)
    image = torch.ones(1, 1, 960, 1, requires_grad=True)
    for start in (448, 480, 512):
        (gradient,) = torch.autograd.grad(model(image)[0, 0, start : start + 32].sum(), image)
        rows = gradient.sum((0, 1, 3))
        centroid = (rows * torch.arange(960)).sum() / rows.sum()
        assert centroid.item() == pytest.approx(start + 15.5, abs=2e-3)


def test_networks_are_built_as_they_are_named() -> None:
    with torch.device("meta"):
        assert isinstance(build("fcn32s", 21), FCN32s)
        assert isinstance(build("fcn16s", 21), FCN16s)
