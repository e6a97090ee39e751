"""COCO: one JSON for all images; a region with holes, which COCO's polygons cannot have, as run lengths.

Each image first gets a document of its own; `join_coco` makes one of many, without holding them all.

Source: cocodataset.org, Data format; COCO API, common/maskApi.c, for run lengths as text.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.annotations.run_lengths import pack_counts
from perpixel.data.annotations.shapes import fill_polygon
from perpixel.export.polygons import Polygon


def to_coco(polygons: Sequence[Polygon], size: tuple[int, int], file: str, classes: Sequence[str]) -> dict[str, Any]:
    """Return a COCO document about one image.

    Args:
        polygons: From `find_polygons`.
        size: (H, W).
        file: The image, as `file_name`: relative to the folder of images.
        classes: K names; category k + 1 is class k.
    """
    image = {"id": 1, "file_name": file, "height": size[0], "width": size[1]}
    categories = [{"id": k + 1, "name": name, "supercategory": ""} for k, name in enumerate(classes)]
    annotations = [{"id": i + 1, "image_id": 1, **_annotation(p, size)} for i, p in enumerate(polygons)]
    return {"images": [image], "annotations": annotations, "categories": categories}


def join_coco(documents: Iterable[Path], file: IO[str]) -> int:
    """Write one document that says all that others say, with ids of its own; return how many images it has.

    Args:
        documents: Files of `to_coco` with the same classes, in the order in which their images are to appear.
        file: Written piece by piece; what is held is one document at a time.
    """
    paths = list(documents)
    images = _numbered(_entries(paths, "images"), "image")
    annotations = _numbered(_entries(paths, "annotations"), "annotation")
    categories = _read(paths[0])["categories"] if paths else []
    file.write('{"images": [')
    _write_list(file, images)
    file.write('],\n"annotations": [')
    _write_list(file, annotations)
    file.write(f'],\n"categories": {json.dumps(categories, ensure_ascii=False)}}}\n')
    return len(paths)


def _annotation(polygon: Polygon, size: tuple[int, int]) -> dict[str, Any]:
    low, high = polygon.outline.min(axis=0), polygon.outline.max(axis=0)
    annotation = {
        "category_id": polygon.label + 1,
        "iscrowd": 0,
        "area": polygon.pixels,
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "segmentation": _run_lengths(polygon, size) if polygon.holes else [polygon.outline.ravel().tolist()],
    }
    return annotation if polygon.score is None else annotation | {"score": round(polygon.score, 4)}


def _run_lengths(polygon: Polygon, size: tuple[int, int]) -> dict[str, Any]:
    """Return what lies inside a polygon, counted down the columns."""
    (left, top), (right, bottom) = polygon.outline.min(axis=0), polygon.outline.max(axis=0)
    inside = np.zeros(size, bool)
    part = inside[top:bottom, left:right]
    for ring in (polygon.outline, *polygon.holes):
        part ^= fill_polygon((ring - (left, top)).astype(np.float64), (int(bottom - top), int(right - left)))
    return {"size": list(size), "counts": pack_counts(_counts(inside))}


def _counts(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many 0s, then 1s, then 0s … follow one another down the columns."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    return np.diff(changes, prepend=0, append=len(flat))


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _entries(paths: Sequence[Path], what: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, path in enumerate(paths, 1):
        for entry in _read(path)[what]:
            yield number, entry


def _numbered(entries: Iterator[tuple[int, dict[str, Any]]], kind: str) -> Iterator[dict[str, Any]]:
    for count, (image, entry) in enumerate(entries, 1):
        yield entry | ({"id": image} if kind == "image" else {"id": count, "image_id": image})


def _write_list(file: IO[str], entries: Iterator[dict[str, Any]]) -> None:
    for count, entry in enumerate(entries):
        file.write((",\n" if count else "\n") + json.dumps(entry, ensure_ascii=False))
