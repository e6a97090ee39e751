"""Eight or sixteen classes at once: short vectors for Numba, which has none.

    load8(row, at)   store(row, at, v)     of a flat float32 array; peek and poke for one number
    fill8(x)                               x in every lane
    add_scaled(v, x, w)                    v + x·w, rounded once where the processor can
    plus(v, w)   minus(v, w)   scaled(x, v)   rounded(v)   larger(v, w)   below(v, w): 1 where v < w, 0 elsewhere
    where_equal(v, x, w, u)                w where v = x, u elsewhere
    fold(v)   halves(v)                    sixteen lanes to the eight largest, or to eight sums
    exponential(v)                         e^v, relative error 2e-7
    largest(v)   total(v)                  over the lanes

LLVM turns them into what the processor has. Left to itself it unrolls loops over so few classes and forgets to
vectorise them. After a change here delete the compiled functions in __pycache__: Numba watches only their own files.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import cgutils as untyped_cgutils
from numba.core import datamodel, types

# Numba has no types of its own for a type checker.
intrinsic: Callable[[Any], Any] = extending.intrinsic
cgutils: Any = untyped_cgutils
models: Any = datamodel.models
register_default: Callable[[Any], Callable[[type], type]] = getattr(datamodel, "register_default")  # noqa: B009 - exported, but not by name

FLOAT, INT = ir.FloatType(), ir.IntType(32)
LOG2_E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 0.693359375, -2.12194440e-4  # ln 2 in two parts, to lose no bits
LOWEST = -87.0  # e^x leaves the normal float32 range
SERIES = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)


class Lanes(types.Type):
    """The type of a vector of `width` float32."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Lanes({width})")


@register_default(Lanes)
class LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    """How LLVM keeps it: as one of its own vectors."""

    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, vector(kind))


EIGHT, SIXTEEN = Lanes(8), Lanes(16)


def vector(kind: Lanes) -> ir.VectorType:
    """Return LLVM's type."""
    return ir.VectorType(FLOAT, kind.width)


def constant(kind: Lanes, value: float) -> ir.Constant:
    """Return `value` in every lane, rounded to float32."""
    return ir.Constant(vector(kind), [float(value)] * kind.width)


def broadcast(builder: Any, value: Any, width: int) -> Any:
    """Return a number in every lane."""
    one = builder.insert_element(ir.Constant(ir.VectorType(FLOAT, width), ir.Undefined), value, INT(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(INT, width), [0] * width))


def part(builder: Any, value: Any, first: int, width: int) -> Any:
    """Return some neighbouring lanes."""
    lanes = ir.Constant(ir.VectorType(INT, width), list(range(first, first + width)))
    return builder.shuffle_vector(value, value, lanes)


def greater(builder: Any, one: Any, other: Any) -> Any:
    """Return the larger of each two lanes."""
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def across(builder: Any, value: Any, width: int, join: Any) -> Any:
    """Join all lanes into a number, halves first."""
    while width > 1:
        width //= 2
        value = join(part(builder, value, 0, width), part(builder, value, width, width))
    return builder.extract_element(value, INT(0))


def address(context: Any, builder: Any, signature: Any, arguments: Any, kind: Lanes) -> Any:
    """Return the pointer to the lanes of an array that begin at a position."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(cgutils.gep_inbounds(builder, array.data, arguments[1]), vector(kind).as_pointer())


def loader(kind: Lanes) -> Any:
    """Return the intrinsic that loads this many lanes."""

    def load(typing: Any, array: Any, at: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load(address(context, builder, signature, arguments, kind), align=4)

        return kind(array, types.intp), build

    return intrinsic(load)


def filler(kind: Lanes) -> Any:
    """Return the intrinsic that puts a number into every lane."""

    def fill(typing: Any, value: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return broadcast(builder, arguments[0], kind.width)

        return kind(types.float32), build

    return intrinsic(fill)


@intrinsic
def peek(typing: Any, array: Any, at: Any) -> Any:
    """array[at], for what is never negative: Numba would look whether it is."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load(cgutils.gep_inbounds(builder, array.data, arguments[1]))

    return array.dtype(array, types.intp), build


@intrinsic
def poke(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """array[at] = value, as `peek`."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        builder.store(arguments[2], cgutils.gep_inbounds(builder, array.data, arguments[1]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), build


load8, load16 = loader(EIGHT), loader(SIXTEEN)
fill8, fill16 = filler(EIGHT), filler(SIXTEEN)


@intrinsic
def store(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """array[at : at + width] = value."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = address(context, builder, signature, arguments, signature.args[2])
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), build


@intrinsic
def add_scaled(typing: Any, value: Any, scale: Any, other: Any) -> Any:
    """Value + scale · other."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return scaled_sum(builder, broadcast(builder, arguments[1], value.width), arguments[2], arguments[0], value)

    return value(value, types.float32, other), build


def scaled_sum(builder: Any, scale: Any, value: Any, addend: Any, kind: Lanes) -> Any:
    """Return scale · value + addend, fused where the processor can."""
    kinds = [vector(kind)] * 3
    name = f"llvm.fmuladd.v{kind.width}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(kinds[0], kinds), name),
                        [scale, value, addend])  # fmt: skip


@intrinsic
def scaled(typing: Any, scale: Any, value: Any) -> Any:
    """Scale · value."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(broadcast(builder, arguments[0], value.width), arguments[1])

    return value(types.float32, value), build


@intrinsic
def plus(typing: Any, one: Any, other: Any) -> Any:
    """One + other."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments)

    return one(one, other), build


@intrinsic
def minus(typing: Any, one: Any, other: Any) -> Any:
    """One − other."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fsub(*arguments)

    return one(one, other), build


@intrinsic
def below(typing: Any, one: Any, other: Any) -> Any:
    """Return 1 in the lanes where one < other, 0 in the rest."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *arguments), constant(one, 1), constant(one, 0))

    return one(one, other), build


@intrinsic
def where_equal(typing: Any, value: Any, number: Any, one: Any, other: Any) -> Any:
    """Return `one` in the lanes where value = number, `other` in the rest."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, number, one, other = arguments
        equal = builder.fcmp_ordered("==", value, broadcast(builder, number, signature.args[0].width))
        return builder.select(equal, one, other)

    return value(value, types.float32, one, other), build


@intrinsic
def rounded(typing: Any, value: Any) -> Any:
    """Return the nearest whole numbers; halves go to the even one."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return whole(builder, arguments[0], value)

    return value(value), build


def whole(builder: Any, value: Any, kind: Lanes) -> Any:
    """Emit `rounded`."""
    kinds = [vector(kind)]
    name = f"llvm.rint.v{kind.width}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(kinds[0], kinds), name), [value])


@intrinsic
def larger(typing: Any, one: Any, other: Any) -> Any:
    """Return the larger of each two lanes."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return greater(builder, *arguments)

    return one(one, other), build


@intrinsic
def fold(typing: Any, value: Any) -> Any:
    """Return the larger of each lane and the one eight further on."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return greater(builder, part(builder, arguments[0], 0, 8), part(builder, arguments[0], 8, 8))

    return EIGHT(value), build


@intrinsic
def halves(typing: Any, value: Any) -> Any:
    """Return the sum of each lane and the one eight further on."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(part(builder, arguments[0], 0, 8), part(builder, arguments[0], 8, 8))

    return EIGHT(value), build


@intrinsic
def largest(typing: Any, value: Any) -> Any:
    """Return the largest lane."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return across(builder, arguments[0], value.width, lambda one, other: greater(builder, one, other))

    return types.float32(value), build


@intrinsic
def total(typing: Any, value: Any) -> Any:
    """Return the sum of the lanes."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return across(builder, arguments[0], value.width, builder.fadd)

    return types.float32(value), build


@intrinsic
def exponential(typing: Any, value: Any) -> Any:
    """Return e^value for values up to 88; 0 below −87.

    e^x = 2ⁿ · e^r with n whole and |r| ≤ ½ ln 2; e^r by a polynomial (Cephes, expf).
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return exponent(builder, arguments[0], value)

    return value(value), build


def exponent(builder: Any, value: Any, kind: Lanes) -> Any:
    """Emit `exponential`."""
    whole_numbers = ir.VectorType(INT, kind.width)
    clipped = greater(builder, value, constant(kind, LOWEST))
    power = whole(builder, builder.fmul(clipped, constant(kind, LOG2_E)), kind)
    rest = scaled_sum(builder, power, constant(kind, -LN2_HIGH), clipped, kind)
    rest = scaled_sum(builder, power, constant(kind, -LN2_LOW), rest, kind)
    series = constant(kind, SERIES[0])
    for factor in SERIES[1:]:
        series = scaled_sum(builder, series, rest, constant(kind, factor), kind)
    small = scaled_sum(builder, series, builder.fmul(rest, rest), builder.fadd(rest, constant(kind, 1.0)), kind)
    biased = builder.add(builder.fptosi(power, whole_numbers), ir.Constant(whole_numbers, [127] * kind.width))
    two_to_n = builder.bitcast(builder.shl(biased, ir.Constant(whole_numbers, [23] * kind.width)), vector(kind))
    answer = builder.fmul(small, two_to_n)
    return builder.select(builder.fcmp_ordered(">", value, constant(kind, LOWEST)), answer, constant(kind, 0.0))
