"""Write `.caffemodel` files as Caffe does, old and new, so that tests read the real format."""

import struct
from collections.abc import Sequence

import numpy as np
from torch import Tensor

OLD_NUMBERS = {"Convolution": 4, "InnerProduct": 14, "Deconvolution": 39}


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def message(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def floats(number: int, values: np.ndarray, packed: bool = True) -> bytes:
    if packed:
        return message(number, values.astype("<f4").tobytes())
    tag = varint(number << 3 | 5)
    return b"".join(tag + struct.pack("<f", value) for value in values.ravel())


def new_blob(values: Tensor, packed: bool = True) -> bytes:
    dims = b"".join(varint(size) for size in values.shape)
    gradient = floats(6, np.ones(2))
    return message(7, message(1, dims)) + floats(5, values.numpy(), packed) + gradient


def old_blob(values: Tensor) -> bytes:
    shape = [1] * (4 - values.ndim) + list(values.shape)
    head = b"".join(integer(number, size) for number, size in enumerate(shape, start=1))
    return head + floats(5, values.numpy())


def new_layer(name: str, kind: str, blobs: Sequence[Tensor], packed: bool = True) -> bytes:
    body = message(1, name.encode()) + message(2, kind.encode()) + message(3, b"bottom") + integer(10, 1)
    return message(100, body + b"".join(message(7, new_blob(blob, packed)) for blob in blobs))


def old_layer(name: str, kind: str, blobs: Sequence[Tensor]) -> bytes:
    body = message(2, b"bottom") + message(3, b"top") + message(4, name.encode()) + integer(5, OLD_NUMBERS[kind])
    return message(2, body + b"".join(message(6, old_blob(blob)) for blob in blobs) + floats(7, np.ones(2)))


Layers = Sequence[tuple[str, str, Sequence[Tensor]]]


def new_net(layers: Layers) -> bytes:
    return message(1, b"net") + b"".join(new_layer(*layer) for layer in layers)


def old_net(layers: Layers) -> bytes:
    head = message(1, b"net") + message(3, b"data") + integer(4, 10)
    return head + b"".join(old_layer(*layer) for layer in layers)
