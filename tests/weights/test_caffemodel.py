"""`.caffemodel` files, written by `caffe_writer` in both of Caffe's forms."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.errors import WeightsError
from perpixel.weights.caffemodel import MOST_BLOBS, Layer, parse_net, read_caffemodel
from tests.weights.caffe_writer import Layers, floats, integer, message, new_layer, new_net, old_net, varint

WEIGHT = torch.arange(2 * 3 * 3 * 3, dtype=torch.float32).view(2, 3, 3, 3)
BIAS = torch.tensor([0.5, -1.25])
DENSE = torch.arange(8.0).view(2, 4)
NET: Layers = [
    ("conv1_1", "Convolution", (WEIGHT, BIAS)),
    ("fc6", "InnerProduct", (DENSE, BIAS)),
    ("upscore", "Deconvolution", (WEIGHT,)),
]


def parse(data: bytes) -> list[Layer]:
    return parse_net(memoryview(data))


@pytest.mark.parametrize("write", [new_net, old_net], ids=["new", "old"])
def test_both_forms_give_names_types_shapes_and_numbers(write, tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(write(NET))
    for layer, (name, kind, blobs) in zip(read_caffemodel(path), NET, strict=True):
        assert (layer.name, layer.type) == (name, kind)
        assert [blob.shape for blob in layer.blobs] == [blob.shape for blob in blobs]
        assert all(torch.equal(read, written) for read, written in zip(layer.blobs, blobs, strict=True))


def test_an_old_1x1x1x1_convolution_keeps_its_four_dimensions() -> None:
    (layer,) = parse(old_net([("scale", "Convolution", (torch.ones(1, 1, 1, 1), torch.ones(1)))]))
    assert [blob.shape for blob in layer.blobs] == [(1, 1, 1, 1), (1,)]


def test_numbers_that_are_not_packed_are_read_too() -> None:
    (layer,) = parse(new_layer("fc6", "InnerProduct", (DENSE, BIAS), packed=False))
    assert torch.equal(layer.blobs[0], DENSE)


def test_doubles_become_floats() -> None:
    blob = message(7, message(1, varint(2))) + message(8, torch.tensor([1.5, 2.5]).double().numpy().tobytes())
    (layer,) = parse(message(100, message(1, b"fc") + message(7, blob)))
    assert layer.blobs[0].dtype == torch.float32
    assert layer.blobs[0].tolist() == [1.5, 2.5]


def test_layers_without_numbers_are_passed_over() -> None:
    assert [layer.name for layer in parse(new_net([("pool1", "Pooling", ()), *NET]))] == [name for name, _, _ in NET]


def test_read_numbers_are_ours_to_change(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(new_net(NET))
    read_caffemodel(path)[0].blobs[0].fill_(7)
    assert torch.equal(read_caffemodel(path)[0].blobs[0], WEIGHT)


def blob_message(shape: list[int], numbers: int) -> bytes:
    body = message(1, b"".join(varint(size) for size in shape))
    return message(100, message(1, b"x") + message(7, message(7, body) + floats(5, torch.zeros(numbers).numpy())))


HOSTILE = {
    "a length behind the end": message(100, b"")[:1] + b"\x06" + varint(2**40),
    "numbers that do not fill the shape": blob_message([2**20, 2**20], 4),
    "a shape that overflows": blob_message([2**63, 2**63], 0) + blob_message([2**63, 2], 0),
    "a side of 2^63 of nothing": blob_message([2**63, 0], 0),
    "a negative dimension": blob_message([2**64 - 1], 1),
    "too many dimensions": blob_message([1] * 40, 1),
    "a number that does not end": b"\xff" * 5,
    "a number of eleven bytes": b"\xff" * 10 + b"\x01",
    "a group": b"\x0b\x0c",
    "field 0": b"\x00\x00",
    "a third of a float": message(100, message(1, b"x") + message(7, message(5, b"12345"))),
    "two layers of a name": new_net([NET[0], NET[0]]),
    "a name of a megabyte": message(100, message(1, b"x" * 2**20)),
    "a name that is no text": message(100, message(1, b"\xff\xfe")),
    "many blobs": message(100, message(1, b"x") + message(7, integer(1, 0)) * (MOST_BLOBS + 1)),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WeightsError, match="expected"):
        parse(data)


@settings(max_examples=50)
@given(st.data())
def test_damage_anywhere_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    """No other exception, and no more memory than the file is long."""
    written = bytearray(new_net(NET) if data.draw(st.booleans()) else old_net(NET))
    for _ in range(data.draw(st.integers(1, 3))):
        written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(written)))
    try:
        layers = parse(bytes(written[:cut] if data.draw(st.booleans()) else written))
    except WeightsError:
        return
    assert sum(4 * blob.numel() for layer in layers for blob in layer.blobs) <= len(written)


def test_an_empty_file_and_one_without_layers_say_so(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match="is empty"):
        read_caffemodel(path)
    path.write_bytes(message(1, b"net"))
    with pytest.raises(WeightsError, match="mean image"):
        read_caffemodel(path)
