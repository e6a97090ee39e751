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

from perpixel.errors import UsageError
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
    """An encoder whose layers are known one by one, as all of perpixel's own are.

    Attributes:
        cut: Whether `keep` has left layers out; pretrained weights then bring layers that have no place.
    """

    cut = False

    def chain(self) -> list[Layer]:
        """Return the layers between the image and the deepest map, on the path that sees most."""
        raise NotImplementedError

    def keep(self, maps: int) -> None:
        """Leave out what lies behind map number `maps`, counted from 1: the deepest map then sees less around it."""
        self.cut = maps < len(self.channels)
        self._drop_behind(maps)
        self.channels, self.strides = self.channels[:maps], self.strides[:maps]

    def _drop_behind(self, maps: int) -> None:
        """Delete the layers behind map number `maps`."""
        raise NotImplementedError

    @property
    def field(self) -> Field:
        """What an element of the deepest map sees, and where it lies in the image."""
        return receptive_field(self.chain())


def keep_stages(trunk: Layered, stages: int) -> None:
    """Leave the deepest maps out, and the layers that lead to them, for small images.

    Args:
        trunk: Changed in place.
        stages: How many maps stay; a VGG has one a stage, 1 to 5.

    Raises:
        UsageError: It has no such number of maps.
    """
    most = len(trunk.channels)
    if not 1 <= stages <= most:
        raise UsageError(f"keep_stages: expected 1 to {most} stages, got {stages}. {most} leave nothing out.")
    trunk.keep(stages)


def drop_after(trunk: nn.Module, name: str) -> None:
    """Delete a module's children behind the one of this name."""
    names = [child for child, _ in trunk.named_children()]
    for later in names[names.index(name) + 1 :]:
        delattr(trunk, later)


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
