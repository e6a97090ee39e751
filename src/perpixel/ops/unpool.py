"""Max pooling that remembers where its maxima were, in two bits each, and its inverse.

    a b     code 0 1     four codes a byte: the codes lie in memory order, cut into four runs of equal length,
    c d          2 3     and byte i holds code i of each run

Pooling rounds the output size up, as Caffe does, so no row or column is ever dropped:
45 -> 23 -> 12. Unpooling therefore needs the size before pooling, 12 alone does not say
whether it was 23 or 24; `Switches` carries it.

On a CPU, maps are worked through in bands of rows that stay in the cache; that is where the time goes. Where Numba is
installed, float32 maps whose channels are last go through compiled functions (`unpool_compiled`).

Source: Badrinarayanan et al., "SegNet", TPAMI 2017, Sec. 3 (two bits for each 2 x 2 window); Caffe's pooling layer for
    the rounding.
Letters: N batch, C channels, H W pixels; h w are H and W halved, rounded up.
"""

import itertools
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from perpixel.ops.recording import is_recorded

BAND_BYTES = 2**21  # of a map, for each thread: with its indices and results it nearly fits a second-level cache
INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # as wide as a value


class Switches(NamedTuple):
    """Where pooling found its maxima.

    Attributes:
        where: Codes of 2 x 2 windows, four in a byte; or, for other windows and in a graph that is exported, the
            flat position of every maximum in its own H x W plane.
        shape: (N, C, h, w), of the maxima.
        size: (H, W) before pooling.
        channels_last: Whether the codes lie in that order.
    """

    where: UInt8[Tensor, " bytes"] | Int64[Tensor, "N C h w"]
    shape: tuple[int, ...]
    size: tuple[int, int]
    channels_last: bool = False

    def to_indices(self) -> Int64[Tensor, "N C h w"]:
        """Return the flat position of every maximum in its own H x W plane, as PyTorch's pooling returns it."""
        if self.where.dtype == torch.int64:
            return self.where
        return _positions(unpack(self), self.size[1])


def max_pool(features: Float[Tensor, "N C H W"], kernel_size: int = 2) -> tuple[Float[Tensor, "N C h w"], Switches]:
    """Take the maximum of every window, and remember where it was.

    Args:
        features: Any H and W from 1 up.
        kernel_size: Side of the window, and its stride. Only with 2 do switches take two bits; else 64.

    Returns: The maxima and their switches. Of equal values, the first in reading order wins. Maxima, switches
        and gradients equal PyTorch's pooling to the bit; there is no second derivative.

    Source: Badrinarayanan et al., "SegNet", TPAMI 2017, Sec. 3; Caffe's pooling layer for the rounding.
    """
    size = (features.shape[-2], features.shape[-1])
    if kernel_size == 2 and not is_recorded():
        pooled, packed = _Pool.apply(features)  # type: ignore[no-untyped-call]
        return pooled, Switches(packed, tuple(pooled.shape), size, _is_channels_last(features))
    pooled, indices = functional.max_pool2d(features, kernel_size, kernel_size, ceil_mode=True, return_indices=True)
    return pooled, Switches(indices, tuple(pooled.shape), size)


def max_unpool(
    features: Float[Tensor, "N C h w"], switches: Switches, kernel_size: int = 2
) -> Float[Tensor, "N C H W"]:
    """Put every value back where its maximum was, and zero everywhere else.

    Args:
        features: One value for each switch.
        switches: From the `max_pool` that this undoes.
        kernel_size: As given to that `max_pool`.

    Raises:
        ValueError: `features` and `switches` differ in shape.
    """
    if features.shape != switches.shape:
        raise ValueError(
            f"max_unpool: expected features of the switches' shape {tuple(switches.shape)}, "
            f"got {tuple(features.shape)}. Pass the switches of the pooling at the same depth."
        )
    if switches.where.dtype == torch.uint8:
        unpooled: Tensor = _Unpool.apply(features, switches)  # type: ignore[no-untyped-call]
        return unpooled
    window = [kernel_size, kernel_size]
    return functional.max_unpool2d(features, switches.where, window, window, output_size=list(switches.size))


class _Pool(torch.autograd.Function):
    """Pooling of 2 x 2 windows; the packed codes are all it keeps."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        pooled, codes = _pool(features)
        switches = Switches(pack(codes), tuple(pooled.shape), _size(features), _is_channels_last(features))
        ctx.mark_non_differentiable(switches.where)
        ctx.save_for_backward(switches.where)
        ctx.switches = switches._replace(where=torch.empty(0))
        return pooled, switches.where

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: None) -> Tensor:
        return place(gradient + 0, ctx.switches._replace(where=ctx.saved_tensors[0]))  # −0 to 0, as PyTorch


class _Unpool(torch.autograd.Function):
    """Unpooling of 2 x 2 windows."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, switches: Switches) -> Tensor:
        ctx.save_for_backward(switches.where)
        ctx.switches = switches._replace(where=torch.empty(0))
        return place(features, switches)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return pick(gradient, ctx.switches._replace(where=ctx.saved_tensors[0])), None


def pack(codes: UInt8[Tensor, "N C h w"]) -> UInt8[Tensor, " bytes"]:
    """Put four codes, 0 to 3, in a byte."""
    flat = _in_memory_order(codes)
    run = -(-flat.numel() // 4)
    runs = functional.pad(flat, (0, 4 * run - flat.numel())).view(4, run)
    return runs[0] | runs[1] << 2 | runs[2] << 4 | runs[3] << 6


def unpack(switches: Switches) -> UInt8[Tensor, "N C h w"]:
    """Return the codes, 0 to 3, a byte each."""
    codes = torch.empty(
        switches.shape, dtype=torch.uint8, device=switches.where.device, memory_format=_format(switches.channels_last)
    )
    flat = _in_memory_order(codes)
    for number, run in enumerate(torch.split(flat, max(1, switches.where.numel()))):
        torch.bitwise_right_shift(switches.where[: run.numel()], 2 * number, out=run)
    return codes.bitwise_and_(3)


def place(values: Tensor, switches: Switches) -> Tensor:
    """Put `values` (N, C, h, w) at their switches in a map (N, C, H, W) of zeros; the layout is kept."""
    last = _is_channels_last(values)
    values, codes = (tensor.contiguous(memory_format=_format(last)) for tensor in (values, unpack(switches)))
    size = (*values.shape[:2], *switches.size)
    placed = torch.empty(size, dtype=values.dtype, device=values.device, memory_format=_format(last))
    if last and (compiled := _compiled(values)):
        compiled.place(values, codes, placed)
        return placed
    place_band = _place_rows if last else _place_planes
    for band, pooled_band in _bands(placed):
        place_band(values[pooled_band], codes[pooled_band], placed[band])
    return placed


def pick(features: Tensor, switches: Switches) -> Tensor:
    """Return the values (N, C, h, w) that lie at the switches in a map (N, C, H, W); the layout is kept."""
    last = _is_channels_last(features)
    features, codes = (tensor.contiguous(memory_format=_format(last)) for tensor in (features, unpack(switches)))
    picked = torch.empty(switches.shape, dtype=features.dtype, device=features.device, memory_format=_format(last))
    if last and (compiled := _compiled(features)):
        compiled.pick(features, codes, picked)
        return picked
    pick_band = _pick_rows if last else _pick_planes
    for band, pooled_band in _bands(features):
        pick_band(features[band], codes[pooled_band], picked[pooled_band])
    return picked


def _pool(features: Tensor) -> tuple[Tensor, UInt8[Tensor, "N C h w"]]:
    """Return the maxima and their codes, in the layout of `features`."""
    width = features.shape[-1]
    if features.device.type != "cpu":
        pooled, indices = functional.max_pool2d(features, 2, 2, ceil_mode=True, return_indices=True)
        return pooled, (indices // width % 2 * 2 + indices % width % 2).to(torch.uint8)
    shape = (*features.shape[:2], *(-(-length // 2) for length in features.shape[-2:]))
    last = _is_channels_last(features)
    pooled = torch.empty(shape, dtype=features.dtype, memory_format=_format(last))
    codes = torch.empty(shape, dtype=torch.uint8, memory_format=_format(last))
    if last and (compiled := _compiled(features)):
        compiled.pool(features, pooled, codes)
        return pooled, codes
    order = (1, 2, 0) if last else (0, 1, 2)
    for band, pooled_band in _bands(features):
        results = (result[pooled_band][0].permute(order) for result in (pooled, codes))
        _pool_band([corner[0].permute(order) for corner in _corners(features[band])], *results)
    return pooled, codes


def _compiled(features: Tensor) -> ModuleType | None:
    """Return the compiled functions where there are any for such a map."""
    return compiled_functions() if features.device.type == "cpu" and features.dtype == torch.float32 else None


@cache
def compiled_functions() -> ModuleType | None:
    """Return `unpool_compiled` where Numba is installed."""
    try:
        return import_module("perpixel.ops.unpool_compiled")
    except ImportError:  # no Numba
        return None


def _pool_band(corners: list[Tensor], pooled: Tensor, codes: Tensor) -> None:
    """Lay the four corners of all windows one after the other, and pool them as images of 2 x 2 pixels.

    The windows are the channels, last in memory: PyTorch's kernel then compares many at once, and the position of
    a maximum is its code. Corners that a window at the border lacks are −∞: they never win.
    """
    lacking = corners[3].shape != corners[0].shape
    rows, *run = pooled.shape
    windows = pooled.new_empty(rows, 4, *run) if not lacking else pooled.new_full((rows, 4, *run), -torch.inf)
    for number, corner in enumerate(corners):
        a, b, c = corner.shape
        windows[:a, number, :b, :c] = corner
    images = windows.view(rows, 2, 2, -1).permute(0, 3, 1, 2)
    maxima, indices = functional.max_pool2d(images, 2, return_indices=True)
    pooled.copy_(maxima.view(pooled.shape))
    codes.copy_(indices.view(pooled.shape))


def _place_rows(values: Tensor, codes: Tensor, placed: Tensor) -> None:
    """Multiply the values, as integers, by 1 in the corner that their code names, and by 0 in the others."""
    values, placed = _bits(values), _bits(placed)
    codes = codes.to(values.dtype)
    for number, corner in enumerate(_corners(placed)):
        h, w = corner.shape[-2:]
        torch.mul(values[:, :, :h, :w], _equal(codes[:, :, :h, :w], number), out=corner)


def _pick_rows(features: Tensor, codes: Tensor, picked: Tensor) -> None:
    """Add up the corners, as integers, each times 1 where the code names it, and 0 elsewhere."""
    features, picked = _bits(features), _bits(picked)
    codes = codes.to(features.dtype)
    first, *others = _corners(features)
    torch.mul(first, _equal(codes, 0), out=picked)
    for number, corner in enumerate(others, start=1):
        h, w = corner.shape[-2:]
        picked[:, :, :h, :w].addcmul_(corner, _equal(codes[:, :, :h, :w], number))


def _place_planes(values: Tensor, codes: Tensor, placed: Tensor) -> None:
    torch.ops.aten.max_unpool2d.out(values, _positions(codes, placed.shape[-1]), placed.shape[-2:], out=placed)


def _pick_planes(features: Tensor, codes: Tensor, picked: Tensor) -> None:
    positions = _positions(codes, features.shape[-1]).flatten(2)
    torch.gather(features.flatten(2), 2, positions, out=picked.flatten(2))


def _positions(codes: Tensor, width: int) -> Int64[Tensor, "N C h w"]:
    """Return the flat position in its H x W plane that each code names."""
    down, right = (torch.arange(0, 2 * length, 2, device=codes.device) for length in codes.shape[-2:])
    codes = codes.int()
    return torch.add(codes, codes >> 1, alpha=width - 2).add_((down[:, None] * width + right).int()).long()


def _corners(features: Tensor) -> Iterator[Tensor]:
    """Yield the first element of each window, then the second, third and fourth, where there is one."""
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        yield features[:, :, row::2, column::2]


def _equal(codes: Tensor, number: int) -> Tensor:
    """Return 1 where the code is `number`, else 0; integers, as a boolean would cost a slow conversion."""
    return torch.eq(codes, number, out=torch.empty_like(codes))


def _bands(features: Tensor) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Yield indices of parts that are contiguous in memory, each with that of its part of the pooled map.

    Rows of one image where channels are last, else planes; everything at once where there is no such cache.
    """
    if features.device.type != "cpu":
        yield (slice(None),), (slice(None),)
        return
    batch, channels, height, width = features.shape
    room = BAND_BYTES * torch.get_num_threads() // (width * features.element_size())  # rows of one channel
    last = _is_channels_last(features)
    length, step = (-(-height // 2), room // (2 * channels)) if last else (channels, room // height)
    for image, start in itertools.product(range(batch), range(0, length, max(1, step))):
        one, stop = slice(image, image + 1), start + max(1, step)
        part = (one, slice(start, stop))
        yield ((one, slice(None), slice(2 * start, 2 * stop)), (one, slice(None), part[1])) if last else (part, part)


def _bits(values: Tensor) -> Tensor:
    """Return the same memory as integers: no rounding, and infinities and NaN are values like others."""
    return values.view(INTEGERS[values.element_size()])


def _in_memory_order(codes: Tensor) -> Tensor:
    return (codes.permute(0, 2, 3, 1) if _is_channels_last(codes) else codes).reshape(-1)


def _is_channels_last(features: Tensor) -> bool:
    return features.shape[1] > 1 and features.stride(1) == 1 and features.stride(3) > 1


def _format(channels_last: bool) -> torch.memory_format:
    return torch.channels_last if channels_last else torch.contiguous_format


def _size(features: Tensor) -> tuple[int, int]:
    return features.shape[-2], features.shape[-1]
