"""Open a data set: cheap, holds no pixels; reads one pair at a time.

    data = open_dataset("street")             # a folder, a dataset.yaml, or IMAGES MASKS
    pixels, target = data.read(data.pairs("train")[0])
    for picture in data.pictures("train"):    # those that have tags but no mask too
        present = data.tags(picture)

Letters: H W pixels, C channels, K classes.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perpixel.data.annotations import label_meanings, read_drawn
from perpixel.data.images import (
    Pixels,
    exif_orientation,
    read_pixels,
    turn_upright,
)
from perpixel.data.layouts import list_data
from perpixel.data.masks import IGNORE, MaskCoding, Target, read_stored
from perpixel.data.pairs import Listing, Pair, Picture, split_names
from perpixel.data.spec import ANNOTATION_ENCODINGS, Color, DatasetSpec, nearest
from perpixel.data.supervision import Supervision
from perpixel.data.windows import background_id
from perpixel.errors import DataError

__all__ = ["Dataset", "Pair", "Picture", "open_dataset"]

YAML_NAMES = ("dataset.yaml", "dataset.yml")


class Dataset:
    """The pairs of a data set, and how to read them.

    Args:
        spec: The contents of `dataset.yaml`.
        root: The folder that its paths start from.

    Raises:
        DataError: A folder or file that the spec names is missing.
    """

    def __init__(self, spec: DatasetSpec, root: Path | str) -> None:
        self.spec = spec
        self.root = Path(root)
        self.coding = MaskCoding.from_spec(spec)
        self._tags_seen: dict[str, tuple[int, ...]] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of their ids."""
        return self.spec.classes

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.spec.classes)

    @property
    def channels(self) -> int:
        """C, of an image."""
        return self.spec.channels

    @cached_property
    def palette(self) -> tuple[Color, ...]:
        """A colour for each class: the data set's own, or well distinguishable ones."""
        from perpixel.data.palette import distinct_colors

        return self.spec.colors or tuple(distinct_colors(self.num_classes))

    @cached_property
    def _meanings(self) -> dict[str, int]:
        return label_meanings(self.spec)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits' names."""
        return split_names(self.spec.splits)

    @cached_property
    def listing(self) -> Listing:
        """Everything that was found, with what has no partner; excluded pairs included."""
        return list_data(self.spec, self.root, tagged=self.spec.has_tag_file)

    def pairs(self, split: str) -> list[Pair]:
        """Return a split's pairs by name, excluded ones left out.

        Raises:
            DataError: There is no such split.
        """
        if split not in self.splits:
            raise DataError(
                f"pairs: expected a split of {self.spec.name}, got {split!r}.{nearest(split, self.splits)} "
                f"Known: {', '.join(self.splits)}."
            )
        excluded = set(self.spec.exclude)
        return [
            p for p in self.listing.pairs if p.split == split and p.id not in excluded and self.supervision.shows(p)
        ]

    def pictures(self, split: str) -> list[Picture]:
        """Return the images of a split that say something, by name: its pairs, and those that have tags only.

        The latter have no mask: theirs is missing, or `masked` does not list it.

        Raises:
            DataError: There is no such split, or the tags cannot be used.
        """
        return self.supervision.pictures(split, self.pairs(split))

    def examples(self, split: str) -> Sequence[Picture]:
        """Return what shows what a split is like: its pairs; where it has none, the images that have tags.

        Raises:
            DataError: There is no such split, or the tags cannot be used.
        """
        return self.pairs(split) or self.pictures(split)

    @cached_property
    def supervision(self) -> Supervision:
        """Which masks may be used, and what is known of images besides."""
        return Supervision(self.spec, self.root, self.listing)

    @cached_property
    def background(self) -> int | None:
        """The id of the class that is no object; None where every class is one."""
        name = self.spec.background
        return background_id(self.classes) if name is None else self.classes.index(name)

    @cached_property
    def taggable(self) -> tuple[int, ...]:
        """The ids of the classes that can be tags: all but the background."""
        return tuple(i for i in range(self.num_classes) if i != self.background)

    @cached_property
    def mask_ids(self) -> tuple[int, ...]:
        """The ids that training may see in masks: `mask_classes` and the background."""
        names = self.spec.mask_classes
        return tuple(i for i, name in enumerate(self.classes) if names is None or name in names or i == self.background)

    def tags(self, picture: Picture) -> NDArray[np.bool_]:
        """Return which classes an image shows, (K,); the background is never among them.

        A mask that may be used decides for the classes it may show; the file of tags says the rest.

        Raises:
            DataError: It has neither tags nor a mask, or one cannot be read.
        """
        held = self._tags_seen.get(picture.id)
        if held is None:
            shown = self.supervision.mask_for_tags(picture)
            seen = None if shown is None else np.unique(self._read_whole_target(shown)).tolist()
            held = self.supervision.tags(picture, seen, self.mask_ids)
            self._tags_seen[picture.id] = held
        present = np.zeros(self.num_classes, np.bool_)
        present[[i for i in held if i != self.background]] = True
        return present

    def read_pixels(self, pair: Picture) -> Pixels:
        """Return the image, (H, W, C), uint8 or uint16 as `spec.bits` says.

        Raises:
            DataError: The file cannot be read, or has other channels or bits.
        """
        pixels = read_pixels(pair.image, channels=self.channels)
        if pixels.dtype.itemsize * 8 == self.spec.bits:
            return pixels
        if self.spec.bits == 16:
            return pixels.astype(np.uint16) * np.uint16(257)
        raise DataError(
            f"read_pixels: expected 8 bits a channel, got 16 in {pair.image}. Say `bits: 16` in dataset.yaml."
        )

    def read_target(self, pair: Pair) -> Target:
        """Return the class ids, (H, W), IGNORE where there is nothing to learn.

        In a training mask that includes the classes that `mask_classes` leaves out.

        Raises:
            DataError: The mask cannot be read, or holds values that mean nothing.
        """
        target = self._read_whole_target(pair)
        if self.spec.mask_classes is None or pair.split != "train":
            return target
        kept = np.full(IGNORE + 1, IGNORE, np.uint8)
        kept[list(self.mask_ids)] = self.mask_ids
        shown: Target = kept[target]
        return shown

    def _read_whole_target(self, pair: Pair) -> Target:
        if self.spec.encoding in ANNOTATION_ENCODINGS:
            return read_drawn(pair, self.spec.encoding, self._meanings)
        stored = read_stored(pair.mask, colors=self.coding.colors)
        return self.coding.decode(stored, str(pair.mask))

    def read(self, pair: Pair) -> tuple[Pixels, Target]:
        """Return both, of equal H and W.

        Raises:
            DataError: One cannot be read, or the sizes differ.
        """
        pixels, target = self.read_pixels(pair), self.read_target(pair)
        return pixels, match_sizes(pixels, target, pair)

    def fingerprint(self) -> str:
        """Return a short hash of the names, file sizes and coding: quick, and the same on every machine."""
        digest = hashlib.sha256(repr((self.spec.classes, sorted(self.coding.values.items()))).encode())
        for split in self.splits:
            for pair in self.pairs(split):
                sizes = (pair.image.stat().st_size, pair.mask.stat().st_size)
                digest.update(repr((pair.id, pair.key, sizes)).encode())
        if self.spec.tags is not None or self.spec.mask_classes is not None:
            pictures = [picture for split in self.splits for picture in self.pictures(split)]
            digest.update(self.supervision.fingerprint(pictures, self.mask_ids))
        return digest.hexdigest()[:16]


def match_sizes(pixels: Pixels, target: Target, pair: Pair) -> Target:
    """Return the target in the image's size: turned, where only the photo says it is rotated.

    Raises:
        DataError: The sizes differ otherwise.
    """
    if pixels.shape[:2] == target.shape:
        return target
    orientation = exif_orientation(pair.image)
    if orientation >= 5 and pixels.shape[:2] == target.shape[::-1]:
        return turn_upright(target, orientation)
    raise DataError(
        f"read: expected a mask of {_size(pixels)} pixels like its image, got {_size(target)} in {pair.mask}. "
        f"Correct it, or leave it out: `exclude: [{pair.id}]` in dataset.yaml."
    )


def open_dataset(*paths: Path | str, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Open a folder with `dataset.yaml`, that file, a folder that can be recognised, or IMAGES MASKS.

    A folder without `dataset.yaml` is inspected first: every mask is looked at.

    Args:
        paths: One or two.
        progress: Called with (pairs inspected, pairs in all).

    Raises:
        DataError: It cannot be used; all that is wrong is listed.
    """
    given = [Path(path) for path in paths]
    if len(given) == 1:
        if given[0].suffix.lower() in (".yaml", ".yml"):
            return Dataset(DatasetSpec.load(given[0]), given[0].parent.resolve())
        for name in YAML_NAMES:
            if (given[0] / name).is_file():
                return Dataset(DatasetSpec.load(given[0] / name), given[0].resolve())
    from perpixel.data.inspection import inspect  # it reads through this package's other modules

    inspection = inspect(*given, progress=progress)
    return Dataset(inspection.spec, inspection.root)


def _size(array: NDArray[np.generic]) -> str:
    return f"{array.shape[0]} × {array.shape[1]}"
