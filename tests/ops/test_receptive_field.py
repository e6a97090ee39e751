"""Receptive fields of plain chains of layers."""

import pytest

from perpixel.ops.receptive_field import (
    Field,
    Layer,
    after,
    after_deconvolution,
    after_interpolation,
    joined,
    moved,
    receptive_field,
)

CONVOLUTION = Layer(kernel_size=3, padding=1)
POOL = Layer(kernel_size=2, stride=2)


def test_no_layer_sees_one_pixel() -> None:
    assert receptive_field([]) == Field(size=1, stride=1, start=0.0)


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ([CONVOLUTION], Field(3, 1, 0)),
        ([CONVOLUTION, CONVOLUTION, POOL], Field(6, 2, 0.5)),
        ([Layer(3, padding=12, dilation=12)], Field(25, 1, 0)),
        ([Layer(11, stride=4)], Field(11, 4, 5)),
    ],
)
def test_a_field_grows_by_the_kernel_times_the_stride_so_far(layers: list[Layer], field: Field) -> None:
    assert receptive_field(layers) == field


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        (Layer(64, stride=32), Field(404 + 32, 1, -19)),  # FCN-32s: the result is cropped at 19
        (Layer(4, stride=2), Field(404 + 32, 16, -11.5)),
        (Layer(2, stride=2), Field(404, 16, 4.5)),
    ],
)
def test_a_deconvolution_refines_the_stride_and_starts_earlier(layer: Layer, field: Field) -> None:
    """fc7 of FCN lies at 12.5 + 32 i; voc-fcn32s/net.py crops 19."""
    assert after_deconvolution(Field(404, 32, 12.5), layer) == field


def test_a_deconvolution_puts_elements_back_where_a_convolution_took_them() -> None:
    for layer in (Layer(3, 2, 1), Layer(2, 2), Layer(5, 3, 2), Layer(3, 1, 2, 2)):
        there = after(Field(9, 4, 1.5), layer)
        back = after_deconvolution(there, layer)
        assert (back.stride, back.start) == (4, 1.5)
        assert back.size >= 9


@pytest.mark.parametrize(
    ("factor", "taps", "corners", "field"),
    [
        (2, 1, False, Field(10, 4, 1.5)),
        (2, 2, False, Field(18, 4, 1.5)),
        (8, 2, True, Field(18, 1, 3.5)),
        (0.5, 2, False, Field(18, 16, 7.5)),
    ],
)
def test_interpolation_keeps_the_edges_or_the_corners(factor: float, taps: int, corners: bool, field: Field) -> None:
    assert after_interpolation(Field(10, 8, 3.5), factor, taps, corners) == field


def test_a_crop_moves_the_start_and_nothing_else() -> None:
    assert moved(Field(404, 16, -91.5), 5) == Field(404, 16, -11.5)


def test_joined_maps_see_what_either_sees() -> None:
    assert joined([Field(3, 1, 0), Field(7, 1, 0)]) == Field(7, 1, 0)
    assert joined([Field(4, 2, 0.5), Field(4, 2, 4.5)]) == Field(8, 2, 2.5)
