"""What every trunk keeps to."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from perpixel.encoders.alexnet import ALEXNET_2012, CAFFENET, ONE_TOWER, AlexNet
from perpixel.encoders.encoder import Layered, Pace
from perpixel.encoders.googlenet import GoogLeNet, GoogLeNetBN
from perpixel.encoders.resnet import ResNet
from perpixel.encoders.vgg import VGG, VGG16_WIDTHS, scaled_widths

NARROW = 1 / 16
NARROW_VGG = scaled_widths(VGG16_WIDTHS, NARROW)

Build = Callable[..., Layered]

TRUNKS: dict[str, Build] = {
    "vgg16": lambda **options: VGG(widths=NARROW_VGG, **options),
    "vgg16-bn": lambda **options: VGG(widths=NARROW_VGG, batch_norm=True, **options),
    "vgg16-1x1": lambda **options: VGG(widths=NARROW_VGG, pointwise=True, **options),
    "vgg11-lrn": lambda **options: VGG(widths=NARROW_VGG, local_response_norm=True, **options),
    "alexnet-caffe": lambda **options: AlexNet(width=NARROW, plan=ALEXNET_2012, **options),
    "caffenet": lambda **options: AlexNet(width=NARROW, plan=CAFFENET, **options),
    "alexnet": lambda **options: AlexNet(width=NARROW, plan=ONE_TOWER, **options),
    "googlenet-caffe": lambda **options: GoogLeNet(width=NARROW, **options),
    "googlenet": lambda **options: GoogLeNetBN(width=NARROW, **options),
    "resnet18": lambda **options: ResNet(18, width=NARROW, **options),
    "resnet50": lambda **options: ResNet(50, width=NARROW, **options),
    "resnet50-msra": lambda **options: ResNet(
        50, width=NARROW, stride_in="1x1", pool_padding=0, pool_ceil=True, **options
    ),
}

every_trunk = pytest.mark.parametrize("build", TRUNKS.values(), ids=TRUNKS)


@every_trunk
@pytest.mark.parametrize("output_stride", [32, 16, 8])
def test_maps_are_as_announced(build: Build, output_stride: int) -> None:
    encoder = build(output_stride=output_stride).eval()
    with torch.inference_mode():
        maps = encoder(torch.randn(1, 3, 97, 141))
    assert encoder.channels == tuple(features.shape[1] for features in maps)
    assert list(encoder.strides) == sorted(encoder.strides)
    assert encoder.strides[-1] == encoder.field.stride == output_stride
    for elements, length in zip(maps[-1].shape[-2:], (97, 141), strict=True):
        assert abs(elements * output_stride - length) <= 2 * encoder.field.start + 2 * output_stride


@every_trunk
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 1), (17, 31), (33, 33)])
@pytest.mark.parametrize("output_stride", [32, 8])
def test_one_image_of_any_size_trains(build: Build, size: tuple[int, int], output_stride: int) -> None:
    torch.manual_seed(0)
    encoder = build(output_stride=output_stride).train()
    total = sum(features.square().sum() for features in encoder(torch.randn(1, 3, *size)))
    assert isinstance(total, Tensor)
    total.backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@every_trunk
@pytest.mark.parametrize(("output_stride", "every"), [(16, 2), (8, 4)])
@pytest.mark.parametrize("size", [(150, 201), (163, 228)])
def test_dilation_computes_the_same_features_at_more_places(
    build: Build, output_stride: int, every: int, size: tuple[int, int]
) -> None:
    """DeepLab v1, Sec. 3.1: the finer map holds the coarser one, to rounding in float64, borders included."""
    torch.manual_seed(0)
    coarse, fine = build().double().eval(), build(output_stride=output_stride).double().eval()
    lively(coarse)
    fine.load_state_dict(coarse.state_dict())
    image = torch.randn(1, 3, *size, dtype=torch.float64)
    with torch.inference_mode():
        expected, dense = coarse(image)[-1], fine(image)[-1]
    torch.testing.assert_close(dense[..., ::every, ::every], expected, rtol=1e-9, atol=1e-12)
    assert expected.std() > 0


def lively(encoder: nn.Module) -> None:
    """Draw weights that keep the signal from dying before the deepest map."""
    for parameter in encoder.parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")


@pytest.mark.parametrize("output_stride", [0, 4, 12, 64])
def test_other_output_strides_are_refused(output_stride: int) -> None:
    with pytest.raises(ValueError, match=r"Encoder: expected output_stride 8, 16 or 32, got \d+"):
        Pace(output_stride)


def test_a_trunk_that_may_not_shrink_dilates_instead() -> None:
    pace = Pace(8)
    assert [pace.step(2) for _ in range(5)] == [2, 2, 2, 1, 1]
    assert (pace.stride, pace.dilation) == (8, 4)


@every_trunk
@pytest.mark.parametrize("left", [1, 2])
def test_a_trunk_may_be_cut_behind_a_map(build: Build, left: int) -> None:
    """What stays gives what it gave before."""
    torch.manual_seed(0)
    whole, cut = build().eval(), build().eval()
    maps = len(whole.channels) - left
    cut.keep(maps)
    assert (whole.cut, cut.cut) == (False, True)
    kept = cut.state_dict()
    cut.load_state_dict({name: value for name, value in whole.state_dict().items() if name in kept})
    assert (cut.channels, cut.strides) == (whole.channels[:maps], whole.strides[:maps])
    image = torch.randn(1, 3, 97, 64)
    with torch.inference_mode():
        expected, found = whole(image), cut(image)
    assert len(found) == maps
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=False))
    assert cut.field.stride == cut.strides[-1]
