"""Predictions as polygons, written beside the class ids.

OUT/NAME.geojson            for maps and web pages; of a GeoTIFF in the map's coordinates
    labelme/NAME.json       to be corrected in labelme: `labelme PHOTOS --output OUT/labelme`
    coco.json               of all images, made of .coco/NAME.json, which a rerun needs
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from perpixel.data.georeference import read_place
from perpixel.errors import UsageError
from perpixel.export.coco import join_coco, to_coco
from perpixel.export.geojson import to_geojson
from perpixel.export.labelme import to_labelme
from perpixel.export.polygons import EXACT, Outlining, find_polygons
from perpixel.inference.prediction import Prediction
from perpixel.runs.predicting.inputs import Input
from perpixel.runs.predicting.outputs import replace

Format = Literal["geojson", "coco", "labelme"]
PLACES = {"geojson": "*.geojson", "coco": ".coco/*.json", "labelme": "labelme/*.json"}
COCO = "coco.json"


@dataclass(frozen=True)
class Vectors:
    """Which polygons are written.

    Args:
        format: geojson, coco or labelme.
        outlining: How exact, and what is too small.

    Raises:
        UsageError: Another format.
    """

    format: Format
    outlining: Outlining = EXACT

    def __post_init__(self) -> None:
        if self.format not in get_args(Format):
            raise UsageError(
                f"--vector: expected {', '.join(get_args(Format))}, got {self.format!r}. Most programs read geojson."
            )

    @property
    def place(self) -> str:
        """An image's file below the folder; the star is the image's name."""
        return PLACES[self.format]

    def to_json(self) -> dict[str, Any]:
        """Return what decides the polygons, as plain values."""
        return {"simplify": self.outlining.simplify, "min_area": self.outlining.min_area}


def write_polygons(path: Path, result: Prediction, vectors: Vectors, item: Input, *, scored: bool = False) -> None:
    """Write one image's polygons in one step.

    Args:
        path: The file; its folder exists.
        result: What was predicted.
        vectors: How.
        item: The image, which labelme and COCO name.
        scored: Tell how probable each region's class is, on average.
    """
    found = find_polygons(result.prediction, vectors.outlining, result.probabilities if scored else None)
    found = [polygon for polygon in found if polygon.label < len(result.classes)]  # others: there is no data
    size = (int(result.prediction.shape[0]), int(result.prediction.shape[1]))
    document: dict[str, Any]
    if vectors.format == "geojson":
        place = read_place(item.source)
        document = to_geojson(found, result.classes, result.palette, *(place or ()))
    elif vectors.format == "coco":
        document = to_coco(found, size, file_name(item), result.classes)
    else:
        document = to_labelme(found, size, _relative(item.source, path.parent), result.classes)
    text = json.dumps(document, ensure_ascii=False)
    replace(path, lambda beside: _write(beside, text))


def join_all(out: Path, names: Iterable[str]) -> int:
    """Write `coco.json` of the images that have polygons; return how many."""
    documents = [path for name in names if (path := out / PLACES["coco"].replace("*", name)).is_file()]

    def write(beside: Path) -> None:
        with beside.open("w", encoding="utf-8", errors="backslashreplace") as file:
            join_coco(documents, file)

    replace(out / COCO, write)
    return len(documents)


def file_name(item: Input) -> str:
    """Return an image's path below the folder of images that was asked for."""
    path, suffix = item.source.as_posix(), item.source.suffix
    return item.name if path.endswith("/" + item.name) or path == item.name else item.name + suffix


def _relative(source: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(source.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return source.resolve().as_posix()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
