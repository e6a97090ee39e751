"""How an image is cut up, so that what is computed at a time fits into memory.

    image
    └── areas    where a CRF comes last: as large as the CRF's memory allows, each refined as a whole
        └── tiles    as large as the network's memory allows, or as asked for

Without a CRF there is one area; an image that fits is one tile of one area.
"""

import math
from collections.abc import Sequence

from perpixel.crf.options import CrfOptions
from perpixel.inference.looks import canvas_share
from perpixel.inference.options import Options
from perpixel.inference.tiles import Span, spans

MEMORY = 4 * 10**9  # bytes that one look at a whole image may take; larger images are cut into tiles
NETWORK_BYTES = 1500  # of activations per pixel as the network sees it: U-Net's; FCN-8s needs 360, SegNet 1150
CLASS_BYTES = 18  # per class and pixel of the image: logits, their interpolation, probabilities, what is fused
SAMPLE_BYTES = 16  # more with passes: their mean, squares, and the difference to each
CRF_BYTES = 800  # of a CRF's two lattices, per pixel; measured on scenes: 250 with Numba, 590 with PyTorch
CRF_CLASS_BYTES = 48  # per class and pixel, values at the lattices' vertices among them; 22 and 46 on scenes
OVERLAP = 128  # of automatic tiles, in pixels as the network sees them
STRIDE = 32  # the coarsest of our networks; tiles begin at its multiples
REACH = 6  # overlap of areas, in standard deviations of the CRF's widest kernel; but at most a third of an area

Plan = tuple[list[Span], list[Span]]


def plan_tiles(
    size: Sequence[int], options: Options, num_classes: int, scale: float = 1.0, memory: float = MEMORY
) -> Plan:
    """Decide on tiles: those asked for, else none where everything fits into memory.

    Args:
        size: (H, W) in pixels.
        options: What will be done with each tile.
        num_classes: K.
        scale: The size at which the network sees an image, relative to the image.
        memory: Bytes that may be taken.

    Returns: Tiles along H and along W.
    """
    if options.tile is not None:
        tile, overlap = options.tile, min(options.tile) // 4 if options.overlap is None else options.overlap
    else:
        tile, overlap = _fitting(size, options, num_classes, scale, memory)
    align = max(1, round(STRIDE / scale))
    return (
        spans(size[0], tile[0], overlap, align, options.blend),
        spans(size[1], tile[1], overlap, align, options.blend),
    )


def _fitting(
    size: Sequence[int], options: Options, num_classes: int, scale: float, memory: float
) -> tuple[tuple[int, int], int]:
    """Return a tile of at most the largest square that fits, and the overlap; the whole image if it fits."""
    network = NETWORK_BYTES * (scale * max(options.scales)) ** 2
    classes = (CLASS_BYTES + (SAMPLE_BYTES if options.samples else 0)) * num_classes
    largest = memory / (canvas_share(options) * (network + classes))
    if size[0] * size[1] <= largest:
        return (size[0], size[1]), 0
    side = max(1, math.isqrt(int(largest)))
    overlap = min(round(OVERLAP / scale) if options.overlap is None else options.overlap, side // 2)
    align = max(1, round(STRIDE / scale))
    return (_no_larger(size[0], side, overlap, align), _no_larger(size[1], side, overlap, align)), overlap


def _no_larger(length: int, most: int, overlap: int, align: int) -> int:
    """Return the least tile of which no more are needed than of the largest: what they share is computed twice."""
    count = len(spans(length, most, overlap, align))
    stride = -(-(length - overlap) // (count * align)) * align
    return min(most, length if count == 1 else stride + overlap)


def plan_areas(size: Sequence[int], crf: CrfOptions, num_classes: int, memory: float = MEMORY) -> Plan:
    """Decide on what the CRF refines at a time: the whole image where it fits into memory.

    Args:
        size: (H, W) in pixels.
        crf: Its widest kernel says how far areas overlap.
        num_classes: K.
        memory: Bytes that may be taken.

    Returns: Areas along H and along W.
    """
    largest = memory / (CRF_BYTES + CRF_CLASS_BYTES * num_classes)
    if size[0] * size[1] <= largest:
        return spans(size[0], size[0], 0), spans(size[1], size[1], 0)
    side = max(1, math.isqrt(int(largest)))
    widest = max([kernel[1] for kernel in (crf.bilateral, crf.spatial) if kernel and kernel[0]], default=0.0)
    overlap = min(math.ceil(REACH * widest), side // 3)
    return spans(size[0], side, overlap, STRIDE), spans(size[1], side, overlap, STRIDE)
