"""Decode single tiles or strips of a TIFF with Pillow, which brings libtiff and libjpeg.

    LZW bytes   -> a grey picture of one row, compressed with LZW -> Pillow -> its bytes
    JPEG tables + JPEG scan -> one JPEG stream -> Pillow -> pixels

Source: TIFF 6.0 (Adobe, 1992), Secs. 2 and 13; TIFF Technical Note 2 (Adobe, 1995) for JPEG's tables.
"""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"  # the components are not YCbCr


def decode_lzw(data: bytes, length: int) -> bytes:
    """Return what was compressed.

    Args:
        data: A tile's or strip's bytes.
        length: How many bytes they stand for.
    """
    entries = [
        (256, 4, length), (257, 4, 1), (258, 3, 8), (259, 3, 5), (262, 3, 1), (273, 4, 8), (277, 3, 1),
        (278, 4, 1), (279, 4, len(data)),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", code, kind, 1, value) for code, kind, value in entries)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(data) + len(data) % 2)
    padded = data + b"\0" * (len(data) % 2)
    stream = header + padded + struct.pack("<H", len(entries)) + directory + struct.pack("<I", 0)
    with Image.open(io.BytesIO(stream), formats=("TIFF",)) as image:
        return image.tobytes()


def decode_jpeg(data: bytes, tables: bytes | None, samples: int, *, is_rgb: bool) -> NDArray[np.uint8]:
    """Return pixels (h, w, samples).

    Args:
        data: A tile's or strip's stream.
        tables: What all streams of the file share.
        samples: 1 or 3.
        is_rgb: Components are stored as they are; else as YCbCr.
    """
    start, rest = data[:2], data[2:]
    marker = _ADOBE_RGB if is_rgb and samples == 3 else b""
    stream = start + marker + (tables[2:-2] if tables else b"") + rest
    with Image.open(io.BytesIO(stream), formats=("JPEG",)) as image:
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], samples)
