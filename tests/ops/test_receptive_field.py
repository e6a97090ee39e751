"""Receptive fields of plain chains of layers."""

import pytest

from perpixel.ops.receptive_field import Field, Layer, receptive_field

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
