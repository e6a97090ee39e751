"""Networks, drawn."""

import xml.etree.ElementTree as ElementTree

import pytest
import torch
from torch import nn

from perpixel.explain.blocks import blocks
from perpixel.explain.drawing import Line, Polygon, Words
from perpixel.explain.fidelity import explain_model
from perpixel.explain.layout import diagram
from perpixel.explain.trace import explain
from perpixel.models.catalog import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_every_network_can_be_drawn(name: str) -> None:
    """Valid SVG; every shape inside the page; one image and one last box."""
    drawing = diagram(explain_model(name, image_size=(96, 128)))
    root = ElementTree.fromstring(drawing.svg())
    assert root.tag.endswith("svg")
    for shape in drawing.shapes:
        points = (shape.at,) if isinstance(shape, Words) else shape.points
        assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in points), shape
    assert sum(isinstance(shape, Polygon) for shape in drawing.shapes) >= 9
    assert sum(isinstance(shape, Words) and shape.text == "image" for shape in drawing.shapes) == 1


def test_segnet_is_five_stages_down_and_five_up_with_switches_between() -> None:
    """Two, two, three, three, three convolutions, and back; five pairs of pooling and unpooling."""
    boxes = blocks(explain_model("segnet"))
    assert sum(box.layers for box in boxes) == 26
    assert [len(box.switches_of) for box in boxes].count(1) == 5
    assert [box.kind for box in boxes] == ["encoder"] * 9 + ["decoder"] * 8 + ["score"]
    dashed = [shape for shape in diagram(explain_model("segnet")).shapes if isinstance(shape, Line) and shape.dashed]
    assert len(dashed) == 5 + 1  # and the key's


def test_unet_joins_each_level_to_its_own() -> None:
    boxes = blocks(explain_model("unet-same"))
    joins = [(boxes[min(box.inputs)].output, box.output) for box in boxes if box.join == "concatenated"]
    assert len(joins) == 4
    assert all(skip[1:] == joined[1:] for skip, joined in joins)


def test_branches_side_by_side_are_counted() -> None:
    """ASPP: four dilated convolutions that read the same map."""
    boxes = blocks(explain_model("deeplab-v2-vgg16-aspp-l"))
    assert max(box.branches for box in boxes) == 4
    assert sum(box.branches == 3 for box in blocks(explain_model("fcn32s-googlenet"))) >= 5


def test_a_network_of_ones_own_is_drawn_too() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 1), nn.Upsample(scale_factor=2)
    )
    drawing = diagram(explain(network, (20, 30), name="mine <1>"))
    assert "mine &lt;1&gt;" in drawing.svg()
    picture = drawing.png()
    assert picture.size == (round(2 * drawing.width), round(2 * drawing.height))
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    assert pixels.unique().numel() > 50  # something is on the page
