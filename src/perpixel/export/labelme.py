"""labelme: a JSON an image, to correct a prediction by hand and train on it again.

labelme's polygons have no holes, and lie one over the other in the order of the file. So the largest come first, and
what lies in a hole is drawn over it. The background needs no shape but where it would otherwise be covered.

Source: labelme (wkentaro/labelme), labelme/label_file.py: its fields. imageData is left empty, the image is opened
    from imagePath.
"""

from collections.abc import Sequence
from typing import Any

from perpixel.export.polygons import Polygon

VERSION = "5.5.0"  # whose fields these are
BACKGROUND = "background"  # what no shape covers is that, for our reader


def to_labelme(
    polygons: Sequence[Polygon], size: tuple[int, int], image: str, classes: Sequence[str]
) -> dict[str, Any]:
    """Return a labelme document.

    Args:
        polygons: From `find_polygons`: the largest outline first.
        size: (H, W).
        image: The image's path from the document's folder.
        classes: K names.
    """
    drawn = [
        polygon for polygon in polygons if not (classes[polygon.label].lower() == BACKGROUND and polygon.at_border)
    ]
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [_shape(polygon, classes) for polygon in drawn],
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }


def _shape(polygon: Polygon, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "label": classes[polygon.label],
        "points": polygon.outline.astype(float).tolist(),
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }
