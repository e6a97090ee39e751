"""Codings that everybody's copy of a public data set shares, so that nobody has to type them again.

Only where the evidence fits: the folder's name and the ids, or the colours themselves.
"""

import re
from dataclasses import dataclass

from perpixel.data.inspection.names import Color


@dataclass(frozen=True)
class Coding:
    """Names and colours in the order of the ids; `void` is the id or colour that is not labelled."""

    name: str
    classes: tuple[str, ...]
    colors: tuple[Color, ...]
    void_id: int
    void_color: Color


# Badrinarayanan et al., TPAMI 2017: eleven classes of CamVid, in the order of the SegNet tutorial's files.
CAMVID = Coding(
    name="CamVid",
    classes=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    colors=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    void_id=11,
    void_color=(0, 0, 0),
)

_VOC_CLASSES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow "
    "diningtable dog horse motorbike person pottedplant sheep sofa train tvmonitor"
)


def _voc_color(index: int) -> Color:
    """Return the colour of an id: its bits dealt to red, green and blue in turn, highest first."""
    channels = [0, 0, 0]
    for bit in range(8):
        channels[bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return channels[0], channels[1], channels[2]


# Everingham et al., The PASCAL VOC development kit: VOCcode/VOClabelcolormap.m
VOC = Coding(
    name="PASCAL VOC",
    classes=tuple(_VOC_CLASSES.split()),
    colors=tuple(_voc_color(index) for index in range(21)),
    void_id=255,
    void_color=(224, 224, 192),
)

# Cordts et al., CVPR 2016: cityscapesScripts, helpers/labels.py, the nineteen classes that count.
CITYSCAPES = Coding(
    name="Cityscapes",
    classes=(
        "road",
        "sidewalk",
        "building",
        "wall",
        "fence",
        "pole",
        "traffic light",
        "traffic sign",
        "vegetation",
        "terrain",
        "sky",
        "person",
        "rider",
        "car",
        "truck",
        "bus",
        "train",
        "motorcycle",
        "bicycle",
    ),
    colors=(
        (128, 64, 128),
        (244, 35, 232),
        (70, 70, 70),
        (102, 102, 156),
        (190, 153, 153),
        (153, 153, 153),
        (250, 170, 30),
        (220, 220, 0),
        (107, 142, 35),
        (152, 251, 152),
        (70, 130, 180),
        (220, 20, 60),
        (255, 0, 0),
        (0, 0, 142),
        (0, 0, 70),
        (0, 60, 100),
        (0, 80, 100),
        (0, 0, 230),
        (119, 11, 32),
    ),
    void_id=255,
    void_color=(0, 0, 0),
)

# labels.py again: the trainId of each of the 34 ids that masks named *_labelIds and *_instanceIds store.
CITYSCAPES_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10,
    24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip

CODINGS = (CAMVID, VOC, CITYSCAPES)


def known_by_name(about: str, ids: tuple[int, ...]) -> Coding | None:
    """Return the coding whose name the data bears, if the masks hold its ids and no others."""
    words = set(re.split(r"[^a-z]+", about.lower()))
    for coding in CODINGS:
        count = len(coding.classes)
        fits = set(ids) <= {*range(count), coding.void_id} and len(ids) > count // 2
        if fits and coding.name.split()[-1].lower() in words:
            return coding
    return None
