"""Pooling and unpooling of 2 x 2 windows, compiled: one pass over the map, sixteen channels at a time.

    four corners -> larger of each two, with its code -> the maximum and its code     pool
    a value and its code -> the value in one corner, zero in three                    place
    four corners and a code -> the value that the code names                          pick
    four corners -> the maximum alone, in a map that may be part of another           halve

For maps in float32 whose channels are last, on a CPU. Needs Numba, an extra; results equal PyTorch's to the bit.

Letters: N batch, C channels, H W pixels; h w are H and W halved, rounded up.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, UInt8
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils as untyped_cgutils
from torch import Tensor

from perpixel.ops.compiled import compiled
from perpixel.ops.team import standing_team

# Numba has no types of its own for a type checker.
intrinsic: Callable[[Any], Any] = extending.intrinsic
cgutils: Any = untyped_cgutils
LANES = 16
VALUES, CODES = (ir.VectorType(kind, LANES) for kind in (ir.FloatType(), ir.IntType(8)))


def pool(features: Float[Tensor, "N C H W"], pooled: Float[Tensor, "N C h w"], codes: UInt8[Tensor, "N C h w"]) -> None:
    """Fill `pooled` with the maxima, and `codes` with where they were."""
    run(pool_rows, features, [pooled, codes])


def place(values: Float[Tensor, "N C h w"], codes: UInt8[Tensor, "N C h w"], placed: Float[Tensor, "N C H W"]) -> None:
    """Fill `placed` with zeros, and the values in the corners that their codes name."""
    run(place_rows, placed, [values, codes])


def pick(features: Float[Tensor, "N C H W"], codes: UInt8[Tensor, "N C h w"], picked: Float[Tensor, "N C h w"]) -> None:
    """Fill `picked` with what lies in the corners that the codes name."""
    run(pick_rows, features, [picked, codes])


def halve(image: Float[Tensor, "H W C"], halved: Float[Tensor, "h w C"]) -> None:
    """Fill `halved`, contiguous, with the maxima; h and w may be rounded up or down. Channels lie side by side."""
    height, width, channels = image.shape
    below, right = image.stride()[:2]
    reach = (height - 1) * below + (width - 1) * right + channels
    full, target = image.detach().as_strided((reach,), (1,)).numpy(), halved.detach().view(-1).numpy()
    team = standing_team(torch.get_num_threads())
    team.run(
        halve_rows, team.share(halved.shape[0]), full, target, height, width, below, right, halved.shape[1], channels
    )


def run(rows: Callable[..., None], full: Tensor, halved: Sequence[Tensor]) -> None:
    """Call a function for parts of all rows of windows, on as many threads as PyTorch's operators use."""
    batch, channels, height, width = full.shape
    arrays = [tensor.detach().permute(0, 2, 3, 1).reshape(-1).numpy() for tensor in (full, *halved)]
    team = standing_team(torch.get_num_threads())
    team.run(rows, team.share(batch * -(-height // 2)), *arrays, height, width, channels)


@compiled
def window(row: int, column: int, height: int, width: int, channels: int) -> tuple[int, int, int, int]:
    """Return where a window begins in the map, where its maximum lies, and how far right and down its corners are.

    0 for what the window lacks. Rows are counted through all images.
    """
    rows, columns = (height + 1) // 2, (width + 1) // 2
    image, above = row // rows, 2 * (row % rows)
    at = ((image * height + above) * width + 2 * column) * channels
    right = channels if 2 * column + 1 < width else 0
    below = width * channels if above + 1 < height else 0
    return at, (row * columns + column) * channels, right, below


@compiled
def pool_rows(
    first: int, last: int, full: Any, pooled: Any, codes: Any, height: int, width: int, channels: int
) -> None:
    """Pool some rows of windows."""
    for row in range(first, last):
        for column in range((width + 1) // 2):
            at, to, right, below = window(row, column, height, width, channels)
            c = 0
            if below > 0 and right > 0:
                while c + LANES <= channels:
                    pool16(full, at + c, right, below, pooled, codes, to + c)
                    c += LANES
            while c < channels:
                most, code = full[at + c], 0
                for corner in range(1, 4):
                    if (corner % 2 == 0 or right > 0) and (corner < 2 or below > 0):
                        value = full[at + c + corner % 2 * right + corner // 2 * below]
                        if value > most or value != value:
                            most, code = value, corner
                pooled[to + c], codes[to + c] = most, code
                c += 1


@compiled
def halve_rows(
    first: int, last: int, full: Any, halved: Any,
    height: int, width: int, below: int, right: int, columns: int, channels: int,
) -> None:  # fmt: skip
    """Take the maxima of some rows of windows; for a corner that a window lacks, its neighbour counts twice."""
    for row in range(first, last):
        down = below if 2 * row + 1 < height else 0
        for column in range(columns):
            across = right if 2 * column + 1 < width else 0
            at, to, c = 2 * row * below + 2 * column * right, (row * columns + column) * channels, 0
            while c + LANES <= channels:
                most16(full, at + c, across, down, halved, to + c)
                c += LANES
            while c < channels:
                most = full[at + c]
                for corner in range(1, 4):
                    value = full[at + c + corner % 2 * across + corner // 2 * down]
                    if value > most or value != value:
                        most = value
                halved[to + c] = most
                c += 1


@compiled
def place_rows(
    first: int, last: int, full: Any, values: Any, codes: Any, height: int, width: int, channels: int
) -> None:
    """Unpool some rows of windows."""
    for row in range(first, last):
        for column in range((width + 1) // 2):
            to, at, right, below = window(row, column, height, width, channels)
            c = 0
            if below > 0 and right > 0:
                while c + LANES <= channels:
                    place16(full, to + c, right, below, values, codes, at + c)
                    c += LANES
            while c < channels:
                for corner in range(4):
                    if (corner % 2 == 0 or right > 0) and (corner < 2 or below > 0):
                        value = values[at + c] if codes[at + c] == corner else full.dtype.type(0)
                        full[to + c + corner % 2 * right + corner // 2 * below] = value
                c += 1


@compiled
def pick_rows(
    first: int, last: int, full: Any, picked: Any, codes: Any, height: int, width: int, channels: int
) -> None:
    """Pick from some rows of windows."""
    for row in range(first, last):
        for column in range((width + 1) // 2):
            at, to, right, below = window(row, column, height, width, channels)
            c = 0
            if below > 0 and right > 0:
                while c + LANES <= channels:
                    pick16(full, at + c, right, below, picked, codes, to + c)
                    c += LANES
            while c < channels:
                code = codes[to + c]
                picked[to + c] = full[at + c + code % 2 * right + code // 2 * below]
                c += 1


def corners(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Return pointers to sixteen values in each corner of a window."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    _, at, right, below = arguments[:4]
    offsets = [at, builder.add(at, right), builder.add(at, below), builder.add(builder.add(at, right), below)]
    return [pointer(builder, array, offset, VALUES) for offset in offsets]


def pointer(builder: Any, array: Any, at: Any, kind: Any) -> Any:
    """Return the pointer to the lanes of an array that begin at a position."""
    return builder.bitcast(cgutils.gep_inbounds(builder, array.data, at), kind.as_pointer())


def halved(context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[Any, Any]:
    """Return pointers to a window's sixteen values and codes."""
    values, codes = (context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (4, 5))
    return pointer(builder, values, arguments[6], VALUES), pointer(builder, codes, arguments[6], CODES)


def lanes(code: int) -> Any:
    """Return a code in every lane."""
    return ir.Constant(CODES, [code] * LANES)


def typed(full: Any, halved: Any, codes: Any) -> Any:
    """Return the signature that all three have."""
    return types.void(full, types.intp, types.intp, types.intp, halved, codes, types.intp)


@intrinsic
def pool16(typing: Any, full: Any, at: Any, right: Any, below: Any, pooled: Any, codes: Any, to: Any) -> Any:
    """Store the largest of four corners and its code; of equals the first, and NaN before all else."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        most, code = None, lanes(0)
        for number, corner in enumerate(corners(context, builder, signature, arguments)):
            value = builder.load(corner, align=4)
            if most is None:
                most = value
                continue
            wins = builder.or_(builder.fcmp_ordered(">", value, most), builder.fcmp_unordered("uno", value, value))
            most, code = builder.select(wins, value, most), builder.select(wins, lanes(number), code)
        values, codes_at = halved(context, builder, signature, arguments)
        builder.store(most, values, align=4)
        builder.store(code, codes_at, align=1)
        return context.get_dummy_value()

    return typed(full, pooled, codes), build


@intrinsic
def most16(typing: Any, full: Any, at: Any, right: Any, below: Any, halved: Any, to: Any) -> Any:
    """Store the largest of four corners, NaN before all else."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        most, *others = (builder.load(corner, align=4) for corner in corners(context, builder, signature, arguments))
        for value in others:
            wins = builder.or_(builder.fcmp_ordered(">", value, most), builder.fcmp_unordered("uno", value, value))
            most = builder.select(wins, value, most)
        array = context.make_array(signature.args[4])(context, builder, arguments[4])
        builder.store(most, pointer(builder, array, arguments[5], VALUES), align=4)
        return context.get_dummy_value()

    return types.void(full, types.intp, types.intp, types.intp, halved, types.intp), build


@intrinsic
def place16(typing: Any, full: Any, to: Any, right: Any, below: Any, values: Any, codes: Any, at: Any) -> Any:
    """Store each value in the corner that its code names, and zeros in the others."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values_at, codes_at = halved(context, builder, signature, arguments)
        value, code = builder.load(values_at, align=4), builder.load(codes_at, align=1)
        zero = ir.Constant(VALUES, [0.0] * LANES)
        for number, corner in enumerate(corners(context, builder, signature, arguments)):
            named = builder.icmp_unsigned("==", code, lanes(number))
            builder.store(builder.select(named, value, zero), corner, align=4)
        return context.get_dummy_value()

    return typed(full, values, codes), build


@intrinsic
def pick16(typing: Any, full: Any, at: Any, right: Any, below: Any, picked: Any, codes: Any, to: Any) -> Any:
    """Store the values in the corners that the codes name."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values_at, codes_at = halved(context, builder, signature, arguments)
        code = builder.load(codes_at, align=1)
        value = None
        for number, corner in enumerate(corners(context, builder, signature, arguments)):
            here = builder.load(corner, align=4)
            value = (
                here if value is None else builder.select(builder.icmp_unsigned("==", code, lanes(number)), here, value)
            )
        builder.store(value, values_at, align=4)
        return context.get_dummy_value()

    return typed(full, picked, codes), build
