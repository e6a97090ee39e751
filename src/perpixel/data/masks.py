"""Read masks, and turn what they store into class ids and back.

    stored    what the file holds: (H, W) integers, or (H, W, 3) uint8 colours
    target    class ids 0..K-1, uint8 (H, W), with IGNORE where nothing is to be learned or counted

Letters: H W pixels, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.images import decode_image, read_pixels, turn_upright
from perpixel.data.spec import ANNOTATION_ENCODINGS, Color, DatasetSpec, parse_color
from perpixel.errors import DataError

IGNORE = 255
MAX_CLASSES = 255  # ids are one byte, and one value means IGNORE

Stored = NDArray[Any]
Target = NDArray[np.uint8]

_UNKNOWN = -1
_UNSEEN = -2
_SHOWN = 8  # stored values named in an error


def read_stored(path: Path | str, *, colors: bool = False) -> Stored:
    """Read a mask's raw values.

    Args:
        path: An image file or a `.npy` array.
        colors: Whether a palette stands for colours; otherwise its indices are the values.

    Returns: (H, W) integers, or (H, W, 3) uint8 where the file holds colours. Alpha is left out.

    Raises:
        DataError: No file, not an image, truncated, or too large.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return _drop_channels(read_pixels(path))
    image, orientation = decode_image(path)
    if image.mode == "P" and not colors:
        stored = np.asarray(image)
    elif image.mode == "1":
        stored = np.asarray(image).astype(np.uint8)
    elif image.mode == "I":
        stored = np.asarray(image)
    else:
        stored = _drop_channels(read_pixels(path))
        orientation = 1
    return turn_upright(stored, orientation) if orientation != 1 else stored


def _drop_channels(pixels: Stored) -> Stored:
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


@dataclass(frozen=True)
class MaskCoding:
    """How stored values and class ids correspond.

    Args:
        encoding: One of `perpixel.data.spec.Encoding`.
        classes: Names, in the order of their ids.
        values: Stored value (a colour packed as 0xRRGGBB) -> class id, or IGNORE.
        tolerance: How far a value or a colour may lie from a known one, in levels (Euclidean in RGB);
            what lies farther is ignored. 0 demands exact values.
    """

    encoding: str
    classes: tuple[str, ...]
    values: Mapping[int, int] = field(hash=False)
    tolerance: int = 0

    @classmethod
    def from_spec(cls, spec: DatasetSpec) -> "MaskCoding":
        """Build the coding that a `dataset.yaml` describes."""
        values = _color_values(spec) if spec.encoding == "rgb" else _integer_values(spec)
        return cls(spec.encoding, tuple(spec.classes), values, spec.color_tolerance)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    @property
    def colors(self) -> bool:
        """Whether masks are colours."""
        return self.encoding == "rgb"

    def decode(self, stored: Stored, name: str = "the mask") -> Target:
        """Return class ids (H, W), IGNORE where the mask says nothing.

        Args:
            stored: What `read_stored` returned.
            name: The file, for the error.

        Raises:
            DataError: A value is neither a class nor ignored.
        """
        codes = pack_colors(stored) if self.colors else self._plain(stored, name)
        ids = self._look_up_colors(codes) if self.colors else self._look_up(codes, name)
        if ids.size and ids.min() < 0:
            raise DataError(self._complaint(np.unique(codes[ids < 0], return_counts=True), name))
        return ids.astype(np.uint8)

    def encode(self, prediction: NDArray[Any]) -> NDArray[np.uint8 | np.uint16]:
        """Return what a mask of the data set would store for these class ids (H, W).

        Raises:
            DataError: A class has no stored value, or an id is no class.
        """
        if prediction.size and not 0 <= int(prediction.min()) <= int(prediction.max()) < self.num_classes:
            raise DataError(
                f"encode: expected ids 0..{self.num_classes - 1}, got {prediction.min()}..{prediction.max()}. "
                "Predictions hold classes only; leave ignored pixels out."
            )
        table = np.array([self._value_of(i) for i in range(self.num_classes)], np.int64)
        if self.colors:
            colors: NDArray[np.uint8] = unpack(table).astype(np.uint8)[prediction]
            return colors
        stored: NDArray[np.uint16] = table.astype(np.uint8 if table.max() < 256 else np.uint16)[prediction]
        return stored

    def _value_of(self, class_id: int) -> int:
        for value, meaning in self.values.items():
            if meaning == class_id:
                return value
        raise DataError(
            f"encode: expected a stored value for class {self.classes[class_id]!r}, found none. "
            "Add one to `mask_values` in dataset.yaml."
        )

    def _plain(self, stored: Stored, name: str) -> Stored:
        """Return (H, W) integers; grey saved as colour is grey, colours of instances are numbers."""
        if stored.dtype == np.bool_:
            stored = stored.view(np.uint8)
        if self.encoding == "instance":
            return self._classes_of_instances(stored if stored.ndim == 2 else pack_colors(stored))
        return stored if stored.ndim == 2 else _grey(stored, name)

    def _classes_of_instances(self, stored: Stored) -> Stored:
        """Reduce instance ids: to 0 and 1 where the classes are background and object, else to id // 1000."""
        if self.num_classes == 2 and set(self.values) <= {0, 1, IGNORE}:
            objects: Stored = (stored > 0).astype(np.uint8)
            return np.where(stored == IGNORE, np.uint8(IGNORE), objects) if IGNORE in self.values else objects
        return np.where(stored >= 1000, stored // 1000, stored)

    def _look_up(self, stored: Stored, name: str) -> NDArray[np.int16]:
        if stored.dtype != np.uint8 and stored.size:
            low, high = int(stored.min()), int(stored.max())
            if low < 0 or high > 65535:
                raise DataError(
                    f"masks: expected stored values from 0 to 65535, got {low} to {high} in {name}. "
                    "If these are instances, say `encoding: instance` in dataset.yaml."
                )
        ids: NDArray[np.int16] = self._table.take(stored)
        return ids

    @cached_property
    def _table(self) -> NDArray[np.int16]:
        """Class ids of every 16-bit value."""
        table = np.full(65536, _UNKNOWN, np.int16)
        if self.tolerance:
            table[:] = self._nearest(np.arange(65536)[:, None], np.array(list(self.values))[:, None])
        for value, meaning in self.values.items():
            table[value] = meaning
        return table

    @cached_property
    def _color_table(self) -> NDArray[np.int16]:
        """Class ids of every colour, found when first seen: 32 MB."""
        table = np.full(1 << 24, _UNSEEN, np.int16)
        for value, meaning in self.values.items():
            table[value] = meaning
        return table

    def _look_up_colors(self, codes: NDArray[np.uint32]) -> NDArray[np.int16]:
        ids: NDArray[np.int16] = self._color_table.take(codes)
        unseen = ids == _UNSEEN
        if unseen.any():
            new = np.unique(codes[unseen])
            near = self._nearest(unpack(new), unpack(np.array(list(self.values)))) if self.tolerance else _UNKNOWN
            self._color_table[new] = near
            ids = self._color_table.take(codes)
        return ids

    def _nearest(self, points: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int16]:
        """Return the class of the nearest known value within the tolerance, else IGNORE."""
        meanings = np.array(list(self.values.values()), np.int16)
        best = np.full(len(points), IGNORE, np.int16)
        least = np.full(len(points), self.tolerance**2 + 1, np.int64)
        for value, meaning in zip(known.astype(np.int64), meanings, strict=True):
            distance = ((points.astype(np.int64) - value) ** 2).sum(axis=1)
            closer = distance < least
            best[closer], least[closer] = meaning, distance[closer]
        return best

    def _complaint(self, found: tuple[NDArray[Any], NDArray[Any]], name: str) -> str:
        values, counts = found
        order = np.argsort(-counts)[:_SHOWN]
        shown = ", ".join(f"{self._show(int(values[i]))} ({int(counts[i]):,} pixels)" for i in order)
        more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
        known = sorted(v for v, meaning in self.values.items() if meaning != IGNORE)
        ignored = sorted(v for v, meaning in self.values.items() if meaning == IGNORE)
        also = f", ignored: {self._show_all(ignored)}" if ignored else ""
        return (
            f"masks: {name} holds {shown}{more}, neither a class nor ignored. "
            f"Classes: {self._show_all(known)}{also}. {self._fix(int(values[order[0]]))}"
        )

    def _fix(self, value: int) -> str:
        if self.colors:
            color = list(unpack(np.array([value]))[0].tolist())
            return (
                f"In dataset.yaml, add the colour to `colors` with its class, say `ignore: [{color}]` if it means "
                "nothing, or `color_tolerance: 30` if edges or JPEG blur the colours."
            )
        if self.encoding == "instance":
            return "If ids count objects, list two classes, background and object, in dataset.yaml."
        return (
            f"If {value} means nothing, say `ignore: [{value}]` in dataset.yaml; if it is a class, say which: "
            f"`mask_values: {{…, {value}: name}}`."
        )

    def _show(self, value: int) -> str:
        return str(tuple(unpack(np.array([value]))[0].tolist())) if self.colors else str(value)

    def _show_all(self, values: list[int]) -> str:
        if len(values) > 2 and not self.colors and values == list(range(values[0], values[-1] + 1)):
            return f"{values[0]}..{values[-1]}"
        more = ", …" if len(values) > 2 * _SHOWN else ""
        return ", ".join(self._show(v) for v in values[: 2 * _SHOWN]) + more

    def __getstate__(self) -> dict[str, Any]:
        """Leave the tables out: another process builds its own."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_table", "_color_table")}


def pack_colors(stored: Stored) -> NDArray[np.uint32]:
    """Return (H, W) colours as 0xRRGGBB; grey values stand for grey colours."""
    wide = stored.astype(np.uint32)
    if stored.ndim == 2:
        return np.multiply(np.minimum(wide, 255), 0x010101, dtype=np.uint32)
    codes: NDArray[np.uint32] = np.left_shift(wide[..., 0], 16, dtype=np.uint32)
    codes |= np.left_shift(wide[..., 1], 8, dtype=np.uint32)
    codes |= wide[..., 2]
    return codes


def unpack(codes: NDArray[Any]) -> NDArray[Any]:
    """Return colours (…, 3) of 0xRRGGBB codes."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1)


def _grey(stored: Stored, name: str) -> Stored:
    if not (np.array_equal(stored[..., 0], stored[..., 1]) and np.array_equal(stored[..., 0], stored[..., 2])):
        raise DataError(
            f"masks: expected one value a pixel, got colours in {name}. "
            "Say `encoding: rgb` and list `colors` in dataset.yaml; perpixel inspect DATA --write does it."
        )
    return stored[..., 0]


def _integer_values(spec: DatasetSpec) -> dict[int, int]:
    ids = {name: i for i, name in enumerate(spec.classes)}
    if spec.encoding in ANNOTATION_ENCODINGS:
        return dict(enumerate(range(len(ids)))) | {IGNORE: IGNORE}
    values = {int(v): IGNORE if c is None else ids[c] for v, c in spec.mask_values.items()}
    if not values:
        values = {i: i for i in range(len(ids))}
    return values | {int(v): IGNORE for v in spec.ignore if not isinstance(v, tuple)}


def _color_values(spec: DatasetSpec) -> dict[int, int]:
    ids = {name: i for i, name in enumerate(spec.classes)}
    values = {_pack(color): i for i, color in enumerate(spec.colors or ())}
    for stored, name in spec.mask_values.items():
        values[_pack(parse_color(stored))] = IGNORE if name is None else ids[name]
    return values | {_pack(parse_color(color)): IGNORE for color in spec.ignore}


def _pack(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]
