"""Read a `.caffemodel` without Caffe: the named layers of a network, each with its blobs of numbers.

    NetParameter -+- 1 name
                  +- 2 layers*   (until 2014)   4 name   5 type: a number   6 blobs*
                  +- 100 layer*  (since)        1 name   2 type: a word     7 blobs*
    BlobProto  ---+- 1..4 num, channels, height, width   or   7 shape { 1 dim* }
                  +- 5 data, packed floats               or   8 double_data
    Gradients (6 and 9) are passed over.

The file is mapped, not read: memory grows by the numbers that are kept, never by what a length claims.

Source: BVLC/caffe, src/caffe/proto/caffe.proto.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perpixel.errors import WeightsError
from perpixel.weights.wire import BYTES, EIGHT_BYTES, FOUR_BYTES, VARINT, Field, fields, varints

MOST_LAYERS = 10_000
MOST_BLOBS = 64  # of one layer
MOST_DIMENSIONS = 32  # Caffe's kMaxBlobAxes
LONGEST_NAME = 256
LONGEST_SIDE = 2**31 - 1  # of a blob

# caffe.proto, V1LayerParameter.LayerType: those with weights
OLD_TYPES = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution", 1: "Accuracy", 21: "SoftmaxWithLoss"}


@dataclass(frozen=True)
class Layer:
    """A layer that holds numbers.

    Attributes:
        name: As in the network's definition, e.g. conv1_1.
        type: Caffe's word, e.g. Convolution, or the number of an old type that we have no word for.
        blobs: Usually weight and bias. A vector is one-dimensional and a fully connected weight (O, I), in
            the old form too, which stores them as (1, 1, 1, O) and (1, 1, O, I).
    """

    name: str
    type: str
    blobs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Dialect:
    """Where an old or a new layer message keeps things."""

    name: int
    type: int
    blobs: int


DIALECTS = {2: Dialect(name=4, type=5, blobs=6), 100: Dialect(name=1, type=2, blobs=7)}


def read_caffemodel(path: Path) -> list[Layer]:
    """Return the layers that hold numbers, in the order of the file.

    Raises:
        WeightsError: The file is not a `.caffemodel`, is damaged, or holds no layer with numbers.
    """
    if path.stat().st_size == 0:
        raise WeightsError(f"read_caffemodel: {path} is empty. Download it again.")
    message = np.memmap(path, dtype=np.uint8, mode="r").data
    try:
        layers = parse_net(message)
    except WeightsError as error:
        raise WeightsError(f"read_caffemodel: {path} cannot be read. {error}") from None
    if not layers:
        raise WeightsError(
            f"read_caffemodel: {path} holds no layer with numbers. It may be another protobuf file: a mean image, "
            "or a solver's state. Give the .caffemodel."
        )
    return layers


def parse_net(message: memoryview) -> list[Layer]:
    """Return the layers with blobs of a NetParameter message."""
    layers: dict[str, Layer] = {}
    count = 0
    for field in fields(message):
        if field.number not in DIALECTS or field.kind != BYTES:
            continue
        count += 1
        if count > MOST_LAYERS:
            raise _unusable(f"more than {MOST_LAYERS:,} layers")
        layer = _layer(field.raw, DIALECTS[field.number])
        if layer.blobs and layer.name in layers:
            raise _unusable(f"two layers named {layer.name!r}")
        if layer.blobs:
            layers[layer.name] = layer
    return list(layers.values())


def _layer(message: memoryview, dialect: Dialect) -> Layer:
    name, kind = "", ""
    blobs: list[Tensor] = []
    for field in fields(message):
        if field.number == dialect.name and field.kind == BYTES:
            name = _text(field.raw)
        elif field.number == dialect.type:
            kind = _text(field.raw) if field.kind == BYTES else OLD_TYPES.get(field.integer, str(field.integer))
        elif field.number == dialect.blobs and field.kind == BYTES:
            if len(blobs) == MOST_BLOBS:
                raise _unusable(f"more than {MOST_BLOBS} blobs in layer {name!r}")
            blobs.append(_blob(field.raw))
    squeezed = tuple(_without_ones(blob, kind, index) for index, blob in enumerate(blobs))
    return Layer(name, kind, squeezed)


def _blob(message: memoryview) -> Tensor:
    old = [1, 1, 1, 1]
    shape: list[int] | None = None
    pieces: list[np.ndarray] = []
    for field in fields(message):
        if field.number <= 4 and field.kind == VARINT:
            old[field.number - 1] = field.integer
        elif field.number == 7 and field.kind == BYTES:
            shape = _shape(field.raw)
        elif field.number in (5, 8):
            pieces.append(_numbers(field))
    return _tensor(pieces, old if shape is None else shape)


def _shape(message: memoryview) -> list[int]:
    shape: list[int] = []
    for field in fields(message):
        if field.number != 1:
            continue
        shape.extend([field.integer] if field.kind == VARINT else varints(field.raw))
        if len(shape) > MOST_DIMENSIONS:
            raise _unusable(f"a blob of more than {MOST_DIMENSIONS} dimensions")
    return shape


def _numbers(field: Field) -> np.ndarray:
    """View floats (field 5) or doubles (field 8), packed or one by one."""
    size, alone = (4, FOUR_BYTES) if field.number == 5 else (8, EIGHT_BYTES)
    if field.kind not in (BYTES, alone) or len(field.raw) % size:
        raise _unusable(f"{len(field.raw)} bytes for numbers of {size}")
    return np.frombuffer(field.raw, dtype=f"<f{size}")


def _tensor(pieces: list[np.ndarray], shape: list[int]) -> Tensor:
    count = sum(piece.size for piece in pieces)
    if math.prod(shape) != count or max(shape, default=1) > LONGEST_SIDE:
        raise _unusable(f"{count:,} numbers for a blob of shape {tuple(shape)}")
    values = np.concatenate(pieces, dtype=np.float32, casting="same_kind") if pieces else np.zeros(0, np.float32)
    return torch.from_numpy(values.reshape(shape))


def _without_ones(blob: Tensor, kind: str, index: int) -> Tensor:
    """Return an old four-dimensional blob in the shape that its layer means."""
    if blob.ndim != 4:
        return blob
    if kind == "InnerProduct" and index == 0 and blob.shape[:2] == (1, 1):
        return blob[0, 0]
    is_vector = index > 0 or kind not in ("Convolution", "Deconvolution", "InnerProduct")
    return blob.flatten() if is_vector and blob.shape[:3] == (1, 1, 1) else blob


def _text(raw: memoryview) -> str:
    if len(raw) > LONGEST_NAME:
        raise _unusable(f"a name of {len(raw):,} bytes")
    try:
        return bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise _unusable("a name that is not UTF-8") from None


def _unusable(what: str) -> WeightsError:
    return WeightsError(f"caffemodel: expected the layers of a network, got {what}. Download the file again.")
