"""How much of the image one element of a feature map sees, and where: arithmetic on layers, no tensors.

Element i of a map lies at pixel `start` + `stride`·i and sees `size` pixels around it.

    image        . . . . . . . . .        size 1, stride 1
    3 x 3          [ . . . ]              size 3
    pooled 2 x 2   [ . . . . ]            size 4, stride 2: one more element, one pixel further

Downwards every layer adds its reach times the stride so far. For what goes upwards too, and for whole networks,
see `perpixel.explain`; for how much of this is really used, `perpixel.explain.effective`.
"""

from collections.abc import Iterable
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
    stride: int = 1
    start: float = 0.0


def after(field: Field, layer: Layer) -> Field:
    """Return the field of a layer's output, from the field of its input."""
    return Field(
        size=field.size + layer.reach * field.stride,
        stride=field.stride * layer.stride,
        start=field.start + (layer.reach / 2 - layer.padding) * field.stride,
    )


def receptive_field(layers: Iterable[Layer]) -> Field:
    """Return the field at the end of a chain of layers, first layer first."""
    field = Field()
    for layer in layers:
        field = after(field, layer)
    return field
