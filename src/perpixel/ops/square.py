"""Images of any shape to a network that sees squares of one side, and its maps back.

    image (H, W) -> black at the right and bottom -> square -> side x side -> network
    maps (h, w) -> the square's own side -> what lies on the image (H, W)

Source: HyeonwooNoh/DecoupledNet, inference/DecoupledNet_inference.m; maga33/TransferNet,
    inference/TransferNet_inference.m.
Letters: N batch, C channels, H W pixels, h w at the network.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from perpixel.ops.resize import resize


def to_square(image: Float[Tensor, "N C H W"], black: Float[Tensor, " C"], side: int) -> Float[Tensor, "N C h w"]:
    """Pad an image at the right and bottom to a square, and resize that.

    Args:
        image: Normalised.
        black: What a black pixel is once normalised.
        side: h and w of the result, in pixels.
    """
    height, width = image.shape[-2:]
    longest = longer(height, width)
    black = black.to(image.dtype).view(1, -1, 1, 1)
    square = functional.pad(image - black, (0, longest - width, 0, longest - height)) + black
    return resize(square, (side, side))


def from_square(
    maps: Float[Tensor, "N C h w"], size: Sequence[int], mode: str = "bilinear"
) -> Float[Tensor, "N C H W"]:
    """Undo `to_square`, on maps.

    Args:
        maps: Of a square.
        size: (H, W) of the image.
        mode: bilinear or bicubic.
    """
    height, width = size
    longest = longer(height, width)
    enlarged = functional.interpolate(maps, (longest, longest), mode=mode, align_corners=False)
    return enlarged[..., :height, :width]


def longer(height: int, width: int) -> int:
    """Return the longer side; as a function of both in an exported graph too."""
    side: int = torch.sym_max(height, width)  # type: ignore[no-untyped-call]
    return side
