r"""Dense predictions from a strided network: by running it on shifted images, or by dilating its filters.

    image shifted by 0,0   0,1   1,0   1,1          stride 2 -> stride 1
             |     |     |     |          or:            |
          a . a .  b . b .  c . c .  d . d .       filters with holes,
             \     interlaced     /                twice as wide
                a b a b / c d c d                        |
                        =                          the same numbers

Both are exact and equal; dilation shares the work between the shifts, and so costs less.

Source: Shelhamer, Long, Darrell, "Fully Convolutional Networks", CVPR 2015, arXiv:1411.4038, Sec. 3.2 (the
    trick and the rarefied filter); Giusti et al., ICIP 2013, arXiv:1302.1700.
Letters: N batch, C K channels in and out, H W pixels, f stride.
"""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Network = Callable[[Tensor], Tensor]
Strided = nn.Conv2d | nn.MaxPool2d


def shift_and_stitch(network: Network, image: Float[Tensor, "N C H W"], factor: int) -> Float[Tensor, "N K h w"]:
    """Run a network once for each of f² shifts of the image, and interlace what it returns.

    Args:
        network: Of stride f and without padding; its output need not cover the image.
        image: At least f − 1 pixels larger than what one output sees.
        factor: f, from 1 up.

    Returns: One output for every place that the network's field fits into: what the same network with stride 1
        and dilated filters returns, to the last bit if its sums run in the same order.
    Raises:
        ValueError: `factor` is below 1.
    """
    if factor < 1:
        raise ValueError(f"shift_and_stitch: expected a factor of 1 or more, got {factor}. Give the network's stride.")
    shifts = [(row, column) for row in range(factor) for column in range(factor)]
    parts = {(row, column): network(image[..., row:, column:]) for row, column in shifts}
    height = sum(parts[row, 0].shape[-2] for row in range(factor))
    width = sum(parts[0, column].shape[-1] for column in range(factor))
    stitched = parts[0, 0].new_empty(*parts[0, 0].shape[:-2], height, width)
    for (row, column), part in parts.items():
        stitched[..., row::factor, column::factor] = part
    return stitched


def without_strides(network: nn.Sequential) -> nn.Sequential:
    """Return a copy with every stride 1, and every later filter dilated by the strides before it.

    Args:
        network: Convolutions and max poolings without padding, and layers that work on each value alone.

    Returns: Weights are copies; the output is `shift_and_stitch`'s of the original.
    Raises:
        ValueError: A layer is padded: its border would no longer lie where it was.
    """
    dense, dilation = copy.deepcopy(network), 1
    for name, layer in dense.named_children():
        if not isinstance(layer, Strided):
            continue
        if _pair(layer.padding) != (0, 0):
            raise ValueError(
                f"without_strides: expected layers without padding, got padding {layer.padding} in {name}. "
                "Pad the image instead."
            )
        stride = _pair(layer.stride)[0]
        dense.set_submodule(name, _unstrided(layer, dilation))
        dilation *= stride
    return dense


def _unstrided(layer: Strided, dilation: int) -> nn.Module:
    holes = tuple(dilation * own for own in _pair(layer.dilation))
    if isinstance(layer, nn.MaxPool2d):
        return nn.MaxPool2d(layer.kernel_size, stride=1, dilation=holes)
    layer.stride, layer.dilation = (1, 1), (holes[0], holes[1])
    return layer


def rarefied(weight: Float[Tensor, "K C h w"], factor: int) -> Float[Tensor, "K C H W"]:
    """Spread a filter: its values `factor` apart, zeros between; f'(i, j) = f(i/f, j/f) where that is whole.

    Convolving with it is convolving with the filter itself at dilation `factor`. Source: FCN, Sec. 3.2.
    """
    height, width = (factor * (side - 1) + 1 for side in weight.shape[-2:])
    spread = torch.zeros(*weight.shape[:2], height, width, dtype=weight.dtype, device=weight.device)
    spread[..., ::factor, ::factor] = weight
    return spread


def _pair(value: int | str | tuple[int, ...] | None) -> tuple[int, int]:
    if isinstance(value, tuple):
        return value[0], value[-1]
    if not isinstance(value, int):
        raise ValueError(f"without_strides: expected numbers, got {value!r}. Name strides and paddings in pixels.")
    return value, value
