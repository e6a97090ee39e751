"""What a TIFF's directory says, read without decoding or any library: a hundred thousand files are asked.

    II 42 -> first directory -> entries: code, type, count, value -> size, bands, bits, which codes there are

Source: TIFF 6.0 (Adobe, 1992), Sec. 2; BigTIFF as libtiff 4 writes it.
Letters: H W pixels, C bands.
"""

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from perpixel.data.rasters.raster import PLACE_TAGS

WIDTH, HEIGHT, BITS, ORIENTATION, BANDS = 256, 257, 258, 274, 277
MOST_ENTRIES = 4096  # of a directory; real ones have some dozens
FORMS = {3: "H", 4: "I", 16: "Q"}  # by type: SHORT, LONG, LONG8


class Header(NamedTuple):
    """What is known of a TIFF's first image.

    Attributes:
        size: (H, W).
        bands: C.
        bits: Of the first band.
        codes: The tags that are there.
        orientation: 1 is upright.
        is_big: A BigTIFF.
    """

    size: tuple[int, int]
    bands: int
    bits: int
    codes: frozenset[int]
    orientation: int = 1
    is_big: bool = False

    @property
    def lies_on_a_map(self) -> bool:
        """Whether it says where, of rows as they are stored."""
        return self.orientation == 1 and not self.codes.isdisjoint(PLACE_TAGS)


def read_header(path: Path) -> Header | None:
    """Return what the header of a TIFF or BigTIFF says; None where there is none to be read."""
    try:
        with path.open("rb") as file:
            return _read(file)
    except (OSError, struct.error, OverflowError):
        return None


def _read(file: BinaryIO) -> Header | None:
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return None
    (version,) = struct.unpack_from(order + "H", head, 2)
    if version not in (42, 43):
        return None
    big = version == 43
    (place,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    file.seek(place)
    found = {BANDS: 1, BITS: 1, ORIENTATION: 1} | _entries(file, order, big)
    if HEIGHT not in found or WIDTH not in found:
        return None
    size = found[HEIGHT], found[WIDTH]
    return Header(size, found[BANDS], found[BITS], frozenset(found), found[ORIENTATION], big)


def _entries(file: BinaryIO, order: str, big: bool) -> dict[int, int]:
    """Return each tag's first value, where it is a whole number; 0 for the others."""
    count_form, entry, inside = (order + "Q", order + "HHQQ", 12) if big else (order + "H", order + "HHII", 8)
    (count,) = struct.unpack(count_form, file.read(struct.calcsize(count_form)))
    length, found = struct.calcsize(entry), {}
    raw = file.read(length * min(count, MOST_ENTRIES))
    for start in range(0, len(raw) - length + 1, length):
        code, kind, number, where = struct.unpack_from(entry, raw, start)
        form = FORMS.get(kind)
        if form is None:
            found[code] = 0
        elif number * struct.calcsize(form) <= length - inside:
            (found[code],) = struct.unpack_from(order + form, raw, start + inside)
        elif code == BITS:
            file.seek(where)
            (found[code],) = struct.unpack(order + form, file.read(struct.calcsize(form)))
        else:
            found[code] = 0
    return found
