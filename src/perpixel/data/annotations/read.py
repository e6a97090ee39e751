"""Draw one image's annotations as class ids."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perpixel.data.annotations.coco import CocoFile, read_coco
from perpixel.data.annotations.cvat import CvatFile, read_cvat
from perpixel.data.annotations.files import broken
from perpixel.data.annotations.labelme import read_labelme
from perpixel.data.annotations.shapes import Shape, draw
from perpixel.data.images import check_size, image_size
from perpixel.data.masks import IGNORE
from perpixel.data.pairs import Pair
from perpixel.data.spec import DatasetSpec, nearest
from perpixel.errors import DataError

BACKGROUND = "background"
_BACKGROUND_LABELS = frozenset({"_background_", "__background__"})  # labelme's word for it
_IGNORED_LABELS = frozenset({"__ignore__", "_ignore_"})
SPECIAL_LABELS = _BACKGROUND_LABELS | _IGNORED_LABELS  # labels that are no classes of their own


def read_drawn(pair: Pair, encoding: str, meanings: Mapping[str, int]) -> NDArray[np.uint8]:
    """Return an image's class ids, (H, W), drawn from its annotation file.

    Args:
        pair: Names the file, and the image in it.
        encoding: coco, labelme or cvat.
        meanings: Label -> class id or IGNORE; "" is where no shape lies. See `label_meanings`.

    Raises:
        DataError: The file is damaged, or holds a label that means nothing.
    """
    size, shapes = _shapes(pair, encoding)
    _check_labels(shapes, meanings, pair)
    try:
        return draw(shapes, size, meanings, meanings[""])
    except ValueError as error:
        raise broken(pair.mask, str(error), f"image {pair.name}") from None


def label_meanings(spec: DatasetSpec) -> dict[str, int]:
    """Return what each label of an annotation file means: class id, or IGNORE; "" is where no shape lies."""
    ids = {name: i for i, name in enumerate(spec.classes)}
    rest = next((i for name, i in ids.items() if name.lower() == BACKGROUND), IGNORE)
    meanings = dict.fromkeys(_BACKGROUND_LABELS, rest) | dict.fromkeys(_IGNORED_LABELS, IGNORE) | ids | {"": rest}
    given = {str(label): IGNORE if name is None else ids[name] for label, name in spec.mask_values.items()}
    for label in _BACKGROUND_LABELS & given.keys():
        given[""] = given[label]
    return meanings | given


def open_coco(path: Path) -> CocoFile:
    """Read a COCO file once, as long as it does not change."""
    return _open_coco(path, path.stat().st_mtime_ns if path.is_file() else 0)


def open_cvat(path: Path) -> CvatFile:
    """Read a CVAT file once, as long as it does not change."""
    return _open_cvat(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=4)
def _open_coco(path: Path, _changed: int) -> CocoFile:
    return read_coco(path)


@lru_cache(maxsize=4)
def _open_cvat(path: Path, _changed: int) -> CvatFile:
    return read_cvat(path)


def _shapes(pair: Pair, encoding: str) -> tuple[tuple[int, int], list[Shape]]:
    """Return the size (H, W) and the shapes."""
    if encoding == "labelme":
        file = read_labelme(pair.mask)
        return _sized(file.size, pair), list(file.shapes)
    if encoding == "coco":
        coco = open_coco(pair.mask)
        assert pair.key is not None
        size = _sized(coco.images[pair.key].size, pair)
        return size, coco.shapes(pair.key, size)
    cvat = open_cvat(pair.mask)
    return cvat.images[str(pair.key)].size, cvat.shapes(str(pair.key))


def _sized(stated: tuple[int, int] | None, pair: Pair) -> tuple[int, int]:
    size = stated or image_size(pair.image)
    check_size(pair.mask, *size)
    return size


def _check_labels(shapes: list[Shape], meanings: Mapping[str, int], pair: Pair) -> None:
    unknown = sorted({shape.label for shape in shapes} - meanings.keys())
    if unknown:
        known = [label for label in meanings if label and label not in SPECIAL_LABELS]
        raise DataError(
            f"masks: {pair.mask}, image {pair.name}, is labelled {unknown[0]!r}, which is no class."
            f"{nearest(unknown[0], known)} Classes: {', '.join(known)}. Add it to `classes` in dataset.yaml, or "
            f"say what it means: `mask_values: {{{unknown[0]}: name}}`, or null to ignore it."
        )
