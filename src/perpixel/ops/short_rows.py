"""Rows of two or four numbers, several of them in one vector of sixteen.

    load(array, at, width)   so many lanes as `width`, a tuple of any numbers, has entries
    zeros(width)             as many zeros
    swapped1(v) swapped2(v)  each lane changes places with the one 1 or 2 further on, within its row
    over(v, w)               v / w
    softmax(v, width)        of every row for itself
    logarithm(v)             ln v, error 2e-7, of what is positive and not subnormal

A tuple's length belongs to its type: so one source is compiled for each width.
"""

from typing import Any

from llvmlite import ir
from numba.core import types

from perpixel.ops.compiled import compiled
from perpixel.ops.lanes import (
    INT,
    LN2_HIGH,
    LN2_LOW,
    Lanes,
    address,
    constant,
    exponential,
    intrinsic,
    larger,
    minus,
    plus,
    scaled_sum,
    vector,
)

ROOT_HALF = 0.70710678118654752
SERIES = (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
          2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)  # fmt: skip


@intrinsic
def load(typing: Any, array: Any, at: Any, width: Any) -> Any:
    """Return array[at : at + len(width)]."""
    kind = Lanes(width.count)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(address(context, builder, signature, arguments, kind), align=4)

    return kind(array, types.intp, width), build


@intrinsic
def zeros(typing: Any, width: Any) -> Any:
    """Return len(width) zeros."""
    kind = Lanes(width.count)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return constant(kind, 0)

    return kind(width), build


def swapper(step: int) -> Any:
    """Return the intrinsic that exchanges lanes which lie `step` apart."""

    def swap(typing: Any, value: Any) -> Any:
        places = ir.Constant(ir.VectorType(INT, value.width), [lane ^ step for lane in range(value.width)])

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.shuffle_vector(arguments[0], arguments[0], places)

        return value(value), build

    return intrinsic(swap)


swapped1, swapped2 = swapper(1), swapper(2)


@intrinsic
def over(typing: Any, one: Any, other: Any) -> Any:
    """One / other."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fdiv(*arguments)

    return one(one, other), build


@compiled
def softmax(rows: Any, width: Any) -> Any:
    """Return the softmax of each row of two or four."""
    top = larger(rows, swapped1(rows))
    if len(width) == 4:
        top = larger(top, swapped2(top))
    powers = exponential(minus(rows, top))
    sums = plus(powers, swapped1(powers))
    if len(width) == 4:
        sums = plus(sums, swapped2(sums))
    return over(powers, sums)


@intrinsic
def logarithm(typing: Any, value: Any) -> Any:
    """Return ln v = e · ln 2 + ln m, where v = m · 2^e and m is from √½ to √2 (Cephes, logf)."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return natural(builder, arguments[0], value)

    return value(value), build


def natural(builder: Any, value: Any, kind: Lanes) -> Any:
    """Emit `logarithm`."""
    whole = ir.VectorType(INT, kind.width)

    def every(number: int) -> Any:
        return ir.Constant(whole, [number] * kind.width)

    bits = builder.bitcast(value, whole)
    power = builder.sitofp(builder.sub(builder.lshr(bits, every(23)), every(126)), vector(kind))
    fraction = builder.or_(builder.and_(bits, every(0x7FFFFF)), every(0x3F000000))
    mantissa = builder.bitcast(fraction, vector(kind))  # from a half to one
    small = builder.fcmp_ordered("<", mantissa, constant(kind, ROOT_HALF))
    power = builder.fsub(power, builder.select(small, constant(kind, 1), constant(kind, 0)))
    mantissa = builder.fadd(mantissa, builder.select(small, mantissa, constant(kind, 0)))
    rest = builder.fsub(mantissa, constant(kind, 1))
    series = constant(kind, SERIES[0])
    for factor in SERIES[1:]:
        series = scaled_sum(builder, series, rest, constant(kind, factor), kind)
    square = builder.fmul(rest, rest)
    tail = scaled_sum(builder, power, constant(kind, LN2_LOW), builder.fmul(series, builder.fmul(rest, square)), kind)
    tail = scaled_sum(builder, square, constant(kind, -0.5), tail, kind)
    return scaled_sum(builder, power, constant(kind, LN2_HIGH), builder.fadd(rest, tail), kind)
