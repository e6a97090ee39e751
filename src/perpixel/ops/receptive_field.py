"""How much of the image one element of a feature map sees, and where: arithmetic on layers, no tensors.

Element i of a map lies at pixel `start` + `stride`·i and sees `size` pixels around it.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Layer(NamedTuple):
    """A convolution or a pooling, along one axis."""

    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


class Field(NamedTuple):
    """What an element of a map sees.

    Attributes:
        size: Side of the square it sees, in pixels.
        stride: Pixels from one element to the next.
        start: Centre of the square that element 0 sees, in pixels; outside the image where padding moved it.
    """

    size: int = 1
    stride: int = 1
    start: float = 0.0


def after(field: Field, layer: Layer) -> Field:
    """Return the field of a layer's output, from the field of its input."""
    reach = layer.dilation * (layer.kernel_size - 1)
    return Field(
        size=field.size + reach * field.stride,
        stride=field.stride * layer.stride,
        start=field.start + (reach / 2 - layer.padding) * field.stride,
    )


def receptive_field(layers: Iterable[Layer]) -> Field:
    """Return the field at the end of a chain of layers, first layer first."""
    field = Field()
    for layer in layers:
        field = after(field, layer)
    return field
