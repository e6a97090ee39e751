"""GeoJSON: polygons that maps and web pages draw, one feature a region.

Coordinates are pixels, x to the right and y down from the image's upper left corner, unless a transform to a map is
given. Every ring ends where it began, outlines run counter-clockwise on the map.

Source: RFC 7946; its predecessor of 2008, Sec. 3, for `crs`, which GDAL and QGIS read.
Differs: RFC 7946 knows longitude and latitude only. Pixels and other coordinates are outside it; readers take them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.georeference import Transform
from perpixel.export.polygons import Polygon

PIXELS = "pixels: x to the right, y down, from the upper left corner of the image"


def to_geojson(
    polygons: Sequence[Polygon],
    classes: Sequence[str],
    colors: Sequence[tuple[int, int, int]] = (),
    transform: Transform | None = None,
    crs: str | None = None,
) -> dict[str, Any]:
    """Return a FeatureCollection.

    Args:
        polygons: From `find_polygons`.
        classes: K names.
        colors: K, for viewers that use `fill`; none leaves it out.
        transform: (a, b, c, d, e, f): x = a·column + b·row + c, y = d·column + e·row + f, as rasterio orders them.
        crs: The map's coordinate system, e.g. "EPSG:32632".

    Returns: Each feature has `class`, `id`, `pixels`, and where they are known `score` and `fill`.
    """
    document: dict[str, Any] = {"type": "FeatureCollection"}
    if crs is not None:
        document["crs"] = {"type": "name", "properties": {"name": _urn(crs)}}
    elif transform is None:
        document["coordinates_are"] = PIXELS
    return document | {"features": [_feature(polygon, classes, colors, transform) for polygon in polygons]}


def _feature(
    polygon: Polygon, classes: Sequence[str], colors: Sequence[tuple[int, int, int]], transform: Transform | None
) -> dict[str, Any]:
    properties: dict[str, Any] = {"class": classes[polygon.label], "id": polygon.label, "pixels": polygon.pixels}
    if polygon.score is not None:
        properties["score"] = round(polygon.score, 4)
    if colors:
        properties["fill"] = "#{:02x}{:02x}{:02x}".format(*colors[polygon.label])
    rings = [_ring(ring, transform) for ring in (polygon.outline, *polygon.holes)]
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": rings}}


def _ring(ring: NDArray[np.int64], transform: Transform | None) -> list[list[float]]:
    closed = np.concatenate([ring, ring[:1]])
    if transform is None:
        return closed.tolist()  # type: ignore[no-any-return]
    a, b, c, d, e, f = transform
    moved = closed @ np.array([[a, d], [b, e]]) + (c, f)
    mirrors = a * e - b * d < 0  # as north-up maps do: their rows run down
    return (moved[::-1] if mirrors else moved).tolist()  # type: ignore[no-any-return]


def _urn(crs: str) -> str:
    authority, _, code = crs.partition(":")
    return f"urn:ogc:def:crs:{authority.upper()}::{code}" if code.isdigit() else crs
