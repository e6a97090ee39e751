"""What every encoder is: from an image to feature maps at several strides.

    image -> features[0] -> features[1] -> ... -> features[-1]
    stride   strides[0]     strides[1]           strides[-1]       of channels[0], channels[1], ...

Past `output_stride` nothing shrinks any more. The layers that follow are dilated instead, so that they see
what they saw before: the finer map holds the coarser one at every second (fourth) place.

Source: Chen et al., "DeepLab", ICLR 2015, arXiv:1412.7062, Sec. 3.1; Yu & Koltun, ICLR 2016, arXiv:1511.07122.
Letters: N batch, C channels, H W pixels.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from perpixel.ops.receptive_field import Field, Layer, receptive_field

OUTPUT_STRIDES = (8, 16, 32)


class Encoder(nn.Module):
    """What a segmentation network may stand on; any module with these three members will do.

    Attributes:
        channels: Of each map, shallowest first.
        strides: Of each map, in pixels; they never fall.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def forward(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N _ _ _"]]:
        """Return the maps, shallowest first, for an image of any size from 1 x 1 up."""
        raise NotImplementedError


class Layered(Encoder):
    """An encoder whose layers are known one by one, as all of perpixel's own are."""

    def chain(self) -> list[Layer]:
        """Return the layers between the image and the deepest map, on the path that sees most."""
        raise NotImplementedError

    @property
    def field(self) -> Field:
        """What an element of the deepest map sees, and where it lies in the image."""
        return receptive_field(self.chain())


@dataclass
class Pace:
    """How far a trunk under construction has shrunk the image.

    Attributes:
        output_stride: Where shrinking ends: 8, 16 or 32.
        stride: Of the map that the next layer gets.
        dilation: That the next layer needs to see what it would see without this limit.
    """

    output_stride: int
    stride: int = 1
    dilation: int = 1

    def __post_init__(self) -> None:
        """Refuse strides that no network of the family has.

        Raises:
            ValueError: Not 8, 16 or 32.
        """
        if self.output_stride not in OUTPUT_STRIDES:
            raise ValueError(
                f"Encoder: expected output_stride 8, 16 or 32, got {self.output_stride}. 32 is the classifiers' own."
            )

    def step(self, stride: int) -> int:
        """Return the stride that a layer wanting `stride` takes: its own, or 1 past the limit."""
        if self.stride * stride <= self.output_stride:
            self.stride *= stride
            return stride
        self.dilation *= stride
        return 1
