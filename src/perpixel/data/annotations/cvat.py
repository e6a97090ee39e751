"""CVAT for images 1.1: one XML for all images; polygons, boxes, ellipses, lines and run lengths.

Read as a stream, so a file of any length takes little memory; document types and entities are refused.

Source: docs.cvat.ai, XML annotation format, "Image".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat

from perpixel.data.annotations.files import MAX_BYTES, broken
from perpixel.data.annotations.run_lengths import fill
from perpixel.data.annotations.shapes import (
    MAX_SHAPES,
    Points,
    Region,
    Shape,
    box_points,
    ellipse_points,
    line_points,
    to_points,
)
from perpixel.data.images import check_size
from perpixel.errors import DataError

LINE_WIDTH = 10
_DRAWN = frozenset({"polygon", "box", "ellipse", "polyline", "points", "mask"})

Attributes = dict[str, str]


@dataclass(frozen=True)
class CvatImage:
    """An image's entry: its file's name, its size (H, W) and its shapes as attributes, lowest first."""

    file: str
    size: tuple[int, int]
    drawn: tuple[tuple[str, Attributes], ...]


@dataclass(frozen=True)
class CvatFile:
    """A whole file: image name -> entry, and the labels in order."""

    path: Path
    images: Mapping[str, CvatImage]
    labels: tuple[str, ...]

    def shapes(self, key: str) -> list[Shape]:
        """Return an image's shapes in the order of drawing.

        Raises:
            DataError: An outline or its run lengths are damaged.
        """
        image = self.images[key]
        try:
            return [_shape(kind, attributes) for kind, attributes in image.drawn[: MAX_SHAPES + 1]]
        except (ValueError, KeyError, OverflowError) as error:
            raise broken(self.path, str(error), f"image {key!r}") from None


def read_cvat(path: Path) -> CvatFile:
    """Read a CVAT file.

    Raises:
        DataError: It cannot be read, is not CVAT's, or defines entities.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: expected at most {MAX_BYTES:,} bytes, got more. Split the file.")
        reader = _Reader(path)
        with path.open("rb") as file:
            reader.parser.ParseFile(file)
    except OSError as error:
        raise DataError(f"{path}: expected annotations, cannot read them ({error.strerror}).") from None
    except expat.ExpatError as error:
        raise broken(path, f"expected XML, got something else ({error})") from None
    except (KeyError, ValueError) as error:
        raise broken(path, f"expected CVAT's images and shapes, got others ({error})") from None
    labels = reader.labels or list(dict.fromkeys(reader.used))
    return CvatFile(path, reader.images, tuple(dict.fromkeys(labels)))


class _Reader:
    """Listens to the parser, and keeps images, shapes and label names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images: dict[str, CvatImage] = {}
        self.labels: list[str] = []
        self.used: list[str] = []
        self._open: list[str] = []
        self._image: Attributes | None = None
        self._drawn: list[tuple[str, Attributes]] = []
        self._text: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._read_text
        self.parser.StartDoctypeDeclHandler = self._refuse()
        self.parser.EntityDeclHandler = self._refuse()

    def _refuse(self) -> Callable[..., None]:
        def refuse(*_: Any) -> None:
            raise broken(self.path, "expected no document type or entities, got one")

        return refuse

    def _start(self, tag: str, attributes: Attributes) -> None:
        if not self._open and tag != "annotations":
            raise ValueError(f"the outermost element is <{tag}>, not <annotations>")
        self._open.append(tag)
        self._text.clear()
        if tag == "image":
            self._image, self._drawn = attributes, []
        elif tag in _DRAWN and self._image is not None:
            self._drawn.append((tag, attributes))
            self.used.append(attributes["label"])

    def _end(self, tag: str) -> None:
        if self._open[-2:] == ["label", "name"]:
            self.labels.append("".join(self._text).strip())
        self._open.pop()
        if tag == "image" and self._image is not None:
            size = int(self._image["height"]), int(self._image["width"])
            check_size(self.path, *size)
            self._drawn.sort(key=lambda drawn: int(drawn[1].get("z_order", 0)))
            name = self._image["name"]
            self.images[name] = CvatImage(name, size, tuple(self._drawn))
            self._image = None

    def _read_text(self, text: str) -> None:
        if self._open[-2:] == ["label", "name"]:
            self._text.append(text)


def _shape(kind: str, attributes: Attributes) -> Shape:
    label = attributes["label"]
    if kind == "mask":
        return Shape(label, regions=(_region(attributes),))
    return Shape(label, polygons=_outlines(kind, attributes))


def _outlines(kind: str, attributes: Attributes) -> tuple[Points, ...]:
    if kind == "box":
        return (box_points(*(float(attributes[side]) for side in ("xtl", "ytl", "xbr", "ybr"))),)
    if kind == "ellipse":
        return (ellipse_points(*(float(attributes[name]) for name in ("cx", "cy", "rx", "ry"))),)
    points = to_points([pair.split(",") for pair in attributes["points"].split(";")])
    if kind == "points":
        return tuple(ellipse_points(x, y, LINE_WIDTH / 2, LINE_WIDTH / 2) for x, y in points)
    return line_points(points, LINE_WIDTH) if kind == "polyline" else (points,)


def _region(attributes: Attributes) -> Region:
    height, width = int(attributes["height"]), int(attributes["width"])
    check_size(Path("mask"), height, width)
    counts = [int(count) for count in attributes["rle"].split(",")]
    pixels = fill(counts, (height, width), columns=False)
    return Region(pixels, row=int(attributes["top"]), column=int(attributes["left"]))
