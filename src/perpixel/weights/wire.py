"""Protobuf's wire format: tagged values, read from bytes that nobody vouches for.

    message = field*     field = tag value     tag = number << 3 | kind
    kind 0 varint | 1 eight bytes | 2 a length and as many bytes | 5 four bytes

Source: protobuf.dev, Encoding.
Differs: groups (kinds 3 and 4), which Caffe's messages do not use, are refused.
"""

from collections.abc import Iterator
from typing import NamedTuple

from perpixel.errors import WeightsError

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
VARINT_BYTES = 10  # what 64 bits need, seven at a time
MOST_FIELDS = 1_000_000  # in one message; numbers that come one by one are as many fields


class Field(NamedTuple):
    """One value of a message; `raw` holds the bytes of every kind but the varint."""

    number: int
    kind: int
    integer: int
    raw: memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message in the order of the file.

    Raises:
        WeightsError: A field ends behind the message, or is of no known kind.
    """
    position, count = 0, 0
    nothing = message[:0]
    while position < len(message):
        tag, position = varint(message, position)
        number, kind = tag >> 3, tag & 7
        count += 1
        if number == 0 or count > MOST_FIELDS:
            raise _damaged("a field of number 0" if number == 0 else f"more than {MOST_FIELDS:,} fields")
        if kind == VARINT:
            integer, position = varint(message, position)
            yield Field(number, kind, integer, nothing)
            continue
        length, position = _length(message, position, kind)
        if length > len(message) - position:
            raise _damaged(f"a value of {length:,} bytes where {len(message) - position:,} are left")
        yield Field(number, kind, 0, message[position : position + length])
        position += length


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return an unsigned number of up to 64 bits, and where it ends."""
    value = 0
    for index in range(VARINT_BYTES):
        if position + index >= len(message):
            raise _damaged("a number that does not end")
        byte = message[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + index + 1
    raise _damaged("a number of more than 64 bits")


def varints(packed: memoryview) -> Iterator[int]:
    """Yield numbers that stand one behind the other."""
    position = 0
    while position < len(packed):
        value, position = varint(packed, position)
        yield value


def _length(message: memoryview, position: int, kind: int) -> tuple[int, int]:
    if kind == BYTES:
        return varint(message, position)
    sizes = {EIGHT_BYTES: 8, FOUR_BYTES: 4}
    if kind not in sizes:
        raise _damaged(f"a field of kind {kind}")
    return sizes[kind], position


def _damaged(what: str) -> WeightsError:
    return WeightsError(
        f"wire: expected a protobuf message, got {what}. The file is damaged, or is no .caffemodel; download it again."
    )
