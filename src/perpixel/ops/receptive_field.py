"""How much of the image one element of a feature map sees, and where: arithmetic on layers, no tensors.

Element i of a map lies at pixel `start` + `stride`·i and sees `size` pixels around it.

    image        . . . . . . . . .        size 1, stride 1
    3 x 3          [ . . . ]              size 3
    pooled 2 x 2   [ . . . . ]            size 4, stride 2: one more element, one pixel further

Downwards every layer adds its reach times the stride so far. Upwards the stride shrinks again, and an element
sees what the coarse elements that reach it saw. How much of this is really used: `explain.effective`.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Layer(NamedTuple):
    """A convolution or a pooling, along one axis."""

    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def reach(self) -> int:
        """Elements from the first tap to the last."""
        return self.dilation * (self.kernel_size - 1)


class Field(NamedTuple):
    """What an element of a map sees.

    Attributes:
        size: Side of the square it sees, in pixels.
        stride: Pixels from one element to the next.
        start: Centre of the square that element 0 sees, in pixels; outside the image where padding moved it.
    """

    size: int = 1
    stride: float = 1
    start: float = 0.0


def after(field: Field, layer: Layer) -> Field:
    """Return the field of a layer's output, from the field of its input."""
    return Field(
        size=math.ceil(field.size + layer.reach * field.stride),
        stride=field.stride * layer.stride,
        start=field.start + (layer.reach / 2 - layer.padding) * field.stride,
    )


def receptive_field(layers: Iterable[Layer]) -> Field:
    """Return the field at the end of a chain of layers, first layer first."""
    field = Field()
    for layer in layers:
        field = after(field, layer)
    return field


def after_deconvolution(field: Field, layer: Layer) -> Field:
    """Return the field of a deconvolution's output: at most ⌈side / stride⌉ elements reach each.

    Where the stride does not divide the side, or is as large, elements of one cell see different places;
    `start` is then their mean.
    """
    reaching = math.ceil((layer.reach + 1) / layer.stride)
    stride = field.stride / layer.stride
    return Field(
        size=math.ceil(field.size + (reaching - 1) * field.stride),
        stride=stride,
        start=field.start - (layer.reach / 2 - layer.padding) * stride,
    )


def after_interpolation(field: Field, factor: float, taps: int = 2, corners: bool = False) -> Field:
    """Return the field of a resized map.

    Args:
        field: Of the map.
        factor: Elements out for each element in; with `corners`, between the outermost elements' centres.
        taps: Elements that are mixed: 1 nearest, 2 linear, 4 cubic.
        corners: The outermost elements stay where they are (`align_corners=True`).
    """
    stride = field.stride / factor
    return Field(
        size=math.ceil(field.size + (taps - 1) * field.stride),
        stride=stride,
        start=field.start if corners else field.start + (stride - field.stride) / 2,
    )


def moved(field: Field, elements: float) -> Field:
    """Return the field of a map without its first `elements`; padding counts as negative."""
    return field._replace(start=field.start + elements * field.stride)


def joined(fields: Sequence[Field]) -> Field:
    """Return the field of maps that are added or concatenated: the smallest that holds all of theirs."""
    first = min(field.start - (field.size - 1) / 2 for field in fields)
    last = max(field.start + (field.size - 1) / 2 for field in fields)
    return Field(math.ceil(last - first) + 1, max(field.stride for field in fields), (first + last) / 2)
