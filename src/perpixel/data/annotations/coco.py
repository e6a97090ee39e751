"""COCO: one JSON for all images; polygons, or run lengths, packed or not.

Crowds are drawn first, so that single objects lie over the rough regions that hold many.

Source: cocodataset.org, Data format; COCO API, common/maskApi.c.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perpixel.data.annotations.files import broken, read_json
from perpixel.data.annotations.run_lengths import fill, unpack_counts
from perpixel.data.annotations.shapes import MAX_SHAPES, Region, Shape, to_points
from perpixel.data.images import check_size


@dataclass(frozen=True)
class CocoImage:
    """An image's entry: its file's name, its size (H, W) if stated, and its annotations, still packed."""

    file: str
    size: tuple[int, int] | None
    annotations: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class CocoFile:
    """A whole file: image id -> entry, and the categories' names in order."""

    path: Path
    images: Mapping[int | str, CocoImage]
    labels: tuple[str, ...]

    def shapes(self, key: int | str, size: tuple[int, int]) -> list[Shape]:
        """Return an image's shapes in the order of drawing.

        Raises:
            DataError: An outline or its run lengths are damaged.
        """
        shapes = []
        for label, segmentation in self.images[key].annotations[: MAX_SHAPES + 1]:
            try:
                shapes.append(_shape(label, segmentation, size))
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise broken(self.path, str(error), f"image {key}") from None
        return shapes


def read_coco(path: Path) -> CocoFile:
    """Read a COCO file.

    Raises:
        DataError: It cannot be read, or is not COCO.
    """
    values = read_json(path)
    try:
        labels = {c["id"]: str(c["name"]) for c in values["categories"]}
        drawn: dict[int | str, list[tuple[bool, str, Any]]] = {image["id"]: [] for image in values["images"]}
        for a in values["annotations"]:
            if a["image_id"] in drawn and a.get("segmentation"):
                crowd = bool(a.get("iscrowd"))
                drawn[a["image_id"]].append((crowd, labels[a["category_id"]], _compact(a["segmentation"])))
        images = {image["id"]: _image(image, drawn[image["id"]], path) for image in values["images"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise broken(path, f"expected COCO's images, annotations and categories, got others ({error!r})") from None
    return CocoFile(path, images, tuple(dict.fromkeys(labels.values())))


def _image(image: dict[str, Any], drawn: list[tuple[bool, str, Any]], path: Path) -> CocoImage:
    size = (int(image["height"]), int(image["width"])) if image.get("height") and image.get("width") else None
    if size is not None:
        check_size(path, *size)
    drawn.sort(key=lambda item: not item[0])
    return CocoImage(str(image["file_name"]), size, tuple((label, what) for _, label, what in drawn))


def _compact(segmentation: Any) -> Any:
    """Keep outlines as arrays: a tenth of the memory of lists of numbers."""
    if isinstance(segmentation, list):
        return tuple(np.asarray(outline, np.float32) for outline in segmentation)
    return segmentation


def _shape(label: str, segmentation: Any, size: tuple[int, int]) -> Shape:
    if isinstance(segmentation, tuple):
        return Shape(label, polygons=tuple(to_points(outline) for outline in segmentation))
    counts = segmentation["counts"]
    stated = tuple(int(side) for side in segmentation["size"])
    if stated != size:
        raise ValueError(f"expected run lengths of {size[0]} × {size[1]} pixels, got {stated}")
    runs = unpack_counts(counts) if isinstance(counts, str) else counts
    return Shape(label, regions=(Region(fill(runs, size, columns=True)),))
