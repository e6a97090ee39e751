"""How far a network's outputs lie from what they see.

    image       . . . . [ . . . . . . . ] . . . .      what an output depends on: its centroid ...
                                ^
    logits      . . . . . . . [ . . ] . . . . . .      ... against the place of the output itself
                                 ^
                               offset

A wrong crop, a stretched map or a padding on one side moves every output, and training cannot undo it: labels
are then predicted from what lies beside them. Well-known copies of FCN are off by up to 32 pixels.

Letters: N batch, C channels, H W pixels, K classes, s cells' side.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from perpixel.explain.linear import linearised
from perpixel.explain.trace import first_channels


class Offset(NamedTuple):
    """How one cell of the output lies.

    Attributes:
        place: Centre of the cell, (row, column) in pixels.
        offset: Centroid of what it sees, less `place`: (rows, columns) in pixels, positive down and right.
    """

    place: tuple[float, float]
    offset: tuple[float, float]


def alignment(
    module: nn.Module,
    image_size: tuple[int, int] = (512, 512),
    places: int = 5,
    cell: int = 32,
    in_channels: int | None = None,
    centred: bool = False,
) -> list[Offset]:
    """Measure how far outputs lie from the centroid of what they see.

    A cell of `cell` x `cell` logits is summed, and its gradient with respect to the image taken, with weights all
    equal, maxima replaced by means and nothing nonlinear left: a matter of geometry only. A cell as large as
    the network's coarsest stride evens out where in its cell a value happened to come from.

    Args:
        module: image (1, C, H, W) -> map, which is taken to cover the image: a smaller one has larger pixels.
        image_size: (H, W). What the cells see must fit well inside, or the border pulls the centroid inwards.
        places: Number of cells, spread over the middle third, along the diagonal.
        cell: In pixels of the output; a multiple of the coarsest stride.
        in_channels: C; read from the first convolution if not given.
        centred: A smaller map is the middle of the image, pixel by pixel, as unpadded convolutions leave it.

    Returns: One offset for each place, in pixels of the image; an aligned network has at most half a pixel.
    Raises:
        ValueError: The output is no map, or is smaller than a cell.
    """
    channels = first_channels(module) if in_channels is None else in_channels
    parameter = next(module.parameters(), torch.zeros(()))
    image = torch.ones(1, channels, *image_size, device=parameter.device, dtype=parameter.dtype, requires_grad=True)
    with torch.enable_grad(), linearised(module):
        logits = module(image)
        _check(logits, cell)
        corners = [_corner(logits, cell, index, places) for index in range(places)]
        return [_offset(logits, image, corner, cell, centred) for corner in corners]


def _corner(logits: Tensor, cell: int, index: int, places: int) -> tuple[int, int]:
    share = 0.5 if places == 1 else (1 + index / (places - 1)) / 3
    row, column = (round(share * length - cell / 2) for length in logits.shape[-2:])
    return max(row, 0), max(column, 0)


def _offset(logits: Tensor, image: Tensor, corner: tuple[int, int], cell: int, centred: bool) -> Offset:
    rows, columns = (slice(start, start + cell) for start in corner)
    (gradient,) = torch.autograd.grad(logits[..., rows, columns].sum(), image, retain_graph=True)
    seen = gradient.double().sum((0, 1))
    place, centroid = [], []
    for axis in (0, 1):
        whole, length = image.shape[axis - 2], logits.shape[axis - 2]
        scale, margin = (1, (whole - length) / 2) if centred else (whole / length, 0)
        middle = corner[axis] + min(cell, length - corner[axis]) / 2
        place.append(middle * scale + margin - 0.5)
        along = seen.sum(1 - axis)
        centroid.append(float((along * torch.arange(len(along), device=along.device)).sum() / along.sum()))
    return Offset((place[0], place[1]), (centroid[0] - place[0], centroid[1] - place[1]))


def _check(logits: object, cell: int) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 4:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"alignment: expected a map (N, K, H, W), got {got}. Wrap the network in a module that returns its logits."
        )
    if min(logits.shape[-2:]) < cell and 1 not in logits.shape[-2:]:
        raise ValueError(
            f"alignment: expected a map of at least {cell} x {cell}, got {tuple(logits.shape[-2:])}. "
            "Give a larger image_size, or a smaller cell."
        )
