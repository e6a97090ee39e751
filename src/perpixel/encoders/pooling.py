"""Max pooling as the trunks need it: rounded up or down, dense on demand, and for maps smaller than its window.

    stride 2, rounded up     [0 1 2] [2 3 4] [4 5 .]      `.` never wins
    dense, dilation 1        [0 1 2] [1 2 3] [2 3 4] [3 4 5] [4 5 .]     every second one is the above

Letters: N batch, C channels, H W pixels.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.encoder import Pace
from perpixel.ops.receptive_field import Layer


class MaxPool(nn.MaxPool2d):
    """Max pooling that halves the map; or, past an encoder's `output_stride`, looks at every place.

    Args:
        pace: Of the trunk, moved on.
        kernel_size: Side of the window.
        stride: Wanted; 1 past the limit.
        padding: Around the map; it never wins.
        ceil_mode: Round the number of windows up, as Caffe does; torchvision rounds down.
    """

    def __init__(self, pace: Pace, kernel_size: int, stride: int = 2, padding: int = 0, ceil_mode: bool = True) -> None:
        dilation, wanted = pace.dilation, stride
        super().__init__(kernel_size, pace.step(stride), padding * dilation, dilation, ceil_mode=ceil_mode)
        self.extra = dilation * (wanted - 1) if ceil_mode and wanted != self.stride else 0

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
        """Return the largest values; a map smaller than the window gives one."""
        layer = layer_of(self)
        around = 0 if self.dilation == 1 else layer.padding  # PyTorch pads dilated windows by too little
        features = enlarged(input, around, self._missing(layer, input.shape[-2:]))
        if self.dilation == 1:
            return functional.max_pool2d(
                features, self.kernel_size, stride=self.stride, padding=self.padding, ceil_mode=self.ceil_mode
            )
        return functional.max_pool2d(features, self.kernel_size, stride=self.stride, dilation=self.dilation)

    def _missing(self, layer: Layer, size: Sequence[int]) -> list[int]:
        """Return how many rows and columns the last windows lack."""
        cut_short = layer.stride - 1 if self.ceil_mode else 0
        smallest = layer.dilation * (layer.kernel_size - 1) + 1 - 2 * layer.padding - cut_short
        return [max(self.extra, smallest - length) for length in size]


def enlarged(features: Float[Tensor, "N C H W"], around: int, missing: Sequence[int]) -> Float[Tensor, "N C _ _"]:
    """Surround a map with what never wins, and add rows and columns of it at the bottom and the right."""
    if around == 0 and not any(missing):
        return features
    sides = (around, around + missing[1], around, around + missing[0])
    return functional.pad(features, sides, value=float("-inf"))


def layer_of(layer: nn.Module) -> Layer:
    """Return what the arithmetic of fields needs of a square convolution or pooling."""
    sides = (getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation"))
    return Layer(*(side if isinstance(side, int) else side[0] for side in sides))
