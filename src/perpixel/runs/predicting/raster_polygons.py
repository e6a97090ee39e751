"""Polygons of a labelled raster, in constant memory: window by window, each written before the next is read.

    NAME.tif -> 2048 x 2048 class ids -> polygons -> moved to the window's place -> one GeoJSON

A region that crosses the border of a window is cut there: its parts are features of their own, side by side without a
gap. Regions of fewer than `min_area` pixels are absorbed within their window.

Letters: H W pixels.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from perpixel.data.georeference import Place, Transform, place_of
from perpixel.data.rasters.raster import Tag
from perpixel.data.rasters.tiff import TiffRaster
from perpixel.export.geojson import to_geojson
from perpixel.export.polygons import Outlining, find_polygons
from perpixel.runs.predicting.stored import Stored

WINDOW = 2048
PIXELS: Transform = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def write_raster_polygons(
    path: Path,
    labelled: Path,
    stored: Stored,
    classes: Sequence[str],
    palette: Sequence[tuple[int, int, int]],
    outlining: Outlining,
) -> None:
    """Write the polygons of a labelled raster as GeoJSON, in the map's coordinates where it lies on one.

    Args:
        path: Where.
        labelled: The class ids, or what masks store.
        stored: What it holds for each class.
        classes: K names.
        palette: K colours.
        outlining: How exact, and what is too small.
    """
    with (
        closing(TiffRaster(labelled, indices=True)) as raster,
        path.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        place = where(raster.facts.place)
        head = json.dumps(to_geojson([], classes, palette, *(place or ())), ensure_ascii=False)
        file.write(head.removesuffix("]}"))
        separator = "\n"
        for rows, columns in windows(raster.facts.size):
            ids = stored.decode(raster.values(rows, columns))
            found = [polygon for polygon in find_polygons(ids, outlining) if polygon.label < len(classes)]
            moved = shifted(place.transform if place else PIXELS, rows.start, columns.start)
            for feature in to_geojson(found, classes, palette, moved)["features"]:
                file.write(separator + json.dumps(feature, ensure_ascii=False))
                separator = ",\n"
        file.write("\n]}\n")


def windows(size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Cut a raster into windows."""
    for row in range(0, size[0], WINDOW):
        for column in range(0, size[1], WINDOW):
            yield slice(row, min(row + WINDOW, size[0])), slice(column, min(column + WINDOW, size[1]))


def shifted(transform: Transform, row: int, column: int) -> Transform:
    """Return the transform of a window that begins at a row and column."""
    a, b, c, d, e, f = transform
    return a, b, c + a * column + b * row, d, e, f + d * column + e * row


def where(tags: Sequence[Tag]) -> Place | None:
    """Return where a raster lies; None where nothing says so."""
    values: dict[int, Any] = {tag.code: tag.value for tag in tags}
    return place_of(values)
