"""From a verdict to the fields of `dataset.yaml`, and from there to the class of every stored value."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.inspection.histogram import Held, Histogram, unpack_color
from perpixel.data.inspection.verdict import Verdict
from perpixel.data.masks import IGNORE, MaskCoding, unpack

UNKNOWN = -1


def fields_of(verdict: Verdict) -> dict[str, Any]:
    """Return classes, colors, ignore, mask_values, encoding and color_tolerance."""
    fields: dict[str, Any] = {"classes": verdict.classes, "encoding": verdict.encoding}
    if verdict.colors:
        fields["colors"] = verdict.colors
    if verdict.tolerance:
        fields["color_tolerance"] = verdict.tolerance
    if verdict.ignored:
        rgb = verdict.encoding == "rgb"
        fields["ignore"] = tuple(unpack_color(value) if rgb else value for value in verdict.ignored)
    stored = [values[0] for values in verdict.values]
    if verdict.encoding != "rgb" and stored != list(range(len(stored))):
        fields["mask_values"] = dict(zip(stored, verdict.classes, strict=True))
    return fields


def stored_of(coding: MaskCoding) -> list[int | list[int]]:
    """Return the stored value (or colour) that each class is written back as."""
    first: dict[int, int] = {}
    for value, class_id in coding.values.items():
        first.setdefault(class_id, value)
    values = [first[class_id] for class_id in range(coding.num_classes)]
    return [list(unpack_color(value)) for value in values] if coding.colors else [*values]


def meanings(coding: MaskCoding, values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the class id of each stored value (colours packed), IGNORE, or UNKNOWN where it has none."""
    ids = np.full(len(values), UNKNOWN, np.int64)
    known = np.ones(len(values), np.bool_)
    if not coding.tolerance:
        labels = np.where(values >= 1000, values // 1000, values) if coding.encoding == "instance" else values
        objects = coding.encoding == "instance" and set(coding.values) <= {0, 1, IGNORE}
        known = np.isin(labels, list(coding.values)) | objects
    stored = values[known][None]
    if stored.size:
        ids[known] = coding.decode(unpack(stored).astype(np.uint8) if coding.colors else stored)[0]
    return ids


def class_pixels(coding: MaskCoding, counts: Histogram) -> NDArray[np.int64]:
    """Return the pixels of each class, and of IGNORE at index 255."""
    return _sum_by_class(meanings(coding, counts.values), counts.pixels)


def pixels_of(coding: MaskCoding, held: Held) -> NDArray[np.int64]:
    """Return the same of one mask."""
    return _sum_by_class(meanings(coding, held.values), held.pixels)


def present_ids(coding: MaskCoding, held: Held) -> list[int]:
    """Return the ids of the classes that a mask shows."""
    ids = np.unique(meanings(coding, held.values)[held.pixels > 0])
    return [int(i) for i in ids if i not in (UNKNOWN, IGNORE)]


def image_statistics(coding: MaskCoding, held: Sequence[Held]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each class, the images that hold it and the counted pixels of those images together."""
    images, pixels = np.zeros(coding.num_classes, np.int64), np.zeros(coding.num_classes, np.int64)
    for one in held:
        amounts = pixels_of(coding, one)[: coding.num_classes]
        images += amounts > 0
        pixels += np.where(amounts > 0, amounts.sum(), 0)
    return images, pixels


def _sum_by_class(ids: NDArray[np.int64], pixels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    kept = ids != UNKNOWN
    return np.bincount(ids[kept], weights=pixels[kept], minlength=IGNORE + 1).astype(np.int64)
