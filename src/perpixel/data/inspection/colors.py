"""What colours mean: masks of three numbers a pixel.

A class is a colour that covers areas. Around it lies the noise of JPEG, and between two of them the mixtures
of smooth edges; both have next to no interior. What lies within the tolerance of a class is read as it.
"""

import numpy as np
from numpy.typing import NDArray

from perpixel.data.inspection.histogram import Histogram, unpack_color
from perpixel.data.inspection.known import CODINGS, Coding
from perpixel.data.inspection.names import Color, is_void_name
from perpixel.data.inspection.problems import Findings
from perpixel.data.inspection.verdict import MAX_CLASSES, Evidence, Verdict, number_names

FEW = 48  # colours; more than this are not all classes
NOISE = 40  # how far, in levels, JPEG throws a colour off
LARGEST_TOLERANCE = 48
PAINTED = (0, 64, 128, 192, 255)
PHOTO = 0.5  # at least this share of a mask's pixels lies near a class


def judge_colors(evidence: Evidence, findings: Findings) -> Verdict:
    """Return what the colours mean, and note in `findings` what had to be mended and what cannot be."""
    total = evidence.total
    coding, names, classes, void = _choose(evidence)
    exact = {_pack(color) for color in classes} | {_pack(color) for color in void}
    mixed = not set(total.values.tolist()) <= exact
    tolerance = _tolerance(classes) if mixed else 0
    covered = _share_near(total, (*classes, *void), tolerance)
    if covered < PHOTO or len(classes) > MAX_CLASSES or len(classes) < 2:
        _note_unusable(evidence, findings, len(classes), covered)
    elif mixed:
        _note_mixed(evidence, findings, len(exact), tolerance)
    notes = [f"{len(classes)} colours cover areas: they are the classes"]
    if coding:
        notes = [f"the colours are those of {coding.name}: its names are used, and {void or 'nothing'} is ignored"]
    elif evidence.listed and set(names) <= set(evidence.listed.names):
        notes = [f"colours and names are from {evidence.listed.source}"]
    values = tuple((_pack(color),) for color in classes)
    ignored = tuple(_pack(color) for color in void)
    return Verdict("rgb", names, values, ignored, tolerance, colors=classes, notes=tuple(notes))


def _choose(
    evidence: Evidence,
) -> tuple[Coding | None, tuple[str, ...], tuple[Color, ...], tuple[Color, ...]]:
    """Return (public coding, names, class colours, ignored colours)."""
    listed = evidence.listed
    if listed and listed.colors and _share_near(evidence.total, listed.colors, NOISE) >= PHOTO:
        names = tuple(name for name in listed.names if not is_void_name(name))
        void = tuple(color for name, color in listed.color_of.items() if is_void_name(name))
        return None, names, tuple(listed.color_of[name] for name in names), void
    for coding in CODINGS:
        if _is_coded(evidence.total, coding):
            return coding, coding.classes, coding.colors, (coding.void_color,)
    classes = find_class_colors(evidence.total, evidence.lossy)
    names = listed.names if listed and len(listed.names) == len(classes) else number_names(len(classes))
    return None, names, classes, ()


def _is_coded(total: Histogram, coding: Coding) -> bool:
    """Whether nearly all pixels have this coding's own colours, and at least a third of those occur."""
    which = nearest_color(total.values, (*coding.colors, coding.void_color), 0)
    occurring = len(set(which.tolist()) - {-1, len(coding.colors)})
    return occurring >= max(4, len(coding.colors) // 3) and total.pixels[which >= 0].sum() >= 0.95 * total.total


def find_class_colors(total: Histogram, lossy: bool) -> tuple[Color, ...]:
    """Return the colours that cover areas, in the order of their levels (black first)."""
    if len(total.values) <= FEW and not lossy:
        return tuple(unpack_color(int(value)) for value in total.values[~_is_edge_mixture(total)])
    peaks = [unpack_color(value) for value in _peaks(total)]
    return tuple(sorted({_snap(color) for color in peaks} if lossy else peaks))


def _peaks(total: Histogram) -> list[int]:
    """Return the commonest colour of each cluster that is mostly interior, as areas are and edges are not."""
    colors = _unpack(total.values)
    free = np.ones(len(colors), np.bool_)
    left = total.interior.copy()
    peaks: list[int] = []
    while left.max(initial=0) > 0 and len(peaks) <= MAX_CLASSES:
        centre = int(left.argmax())
        near = np.abs(colors - colors[centre]).max(axis=1) <= NOISE
        inside = int(total.interior[near & free].sum())
        if inside < max(9, 1e-5 * total.total):
            break
        if inside >= 0.25 * total.pixels[near & free].sum():
            peaks.append(int(total.values[centre]))
        free[near], left[near] = False, 0
    return peaks


def _snap(color: Color) -> Color:
    """Return the levels that people paint with, where JPEG left them a little off."""
    near = [min(PAINTED, key=lambda level, at=channel: abs(level - at)) for channel in color]  # type: ignore[misc]
    red, green, blue = (n if abs(n - c) <= 4 else c for n, c in zip(near, color, strict=True))
    return red, green, blue


def _is_edge_mixture(total: Histogram) -> NDArray[np.bool_]:
    """Return which of a few exact colours lie between two others, without an interior and rare."""
    bare = (total.interior < 0.02 * total.pixels) & (total.pixels < 0.02 * total.total)
    mixture = np.zeros(len(total.values), np.bool_)
    if bare.sum() < 3 or (~bare).sum() < 2:
        return mixture
    colors = _unpack(total.values)
    solid = colors[~bare]
    for at in np.flatnonzero(bare):
        mixture[at] = _lies_between(colors[at], solid)
    return mixture


def _lies_between(color: NDArray[np.int64], ends: NDArray[np.int64]) -> bool:
    """Whether the way from one end over `color` to another end is hardly a detour."""
    distance = np.linalg.norm(ends - color, axis=1)
    direct = np.linalg.norm(ends[:, None] - ends[None], axis=2)
    detour = distance[:, None] + distance[None] - direct
    np.fill_diagonal(detour, np.inf)
    return bool(detour.min() < 4)


def _tolerance(classes: tuple[Color, ...]) -> int:
    """Return half the least distance between two classes; with three and more, what noise needs at most.

    A mixture of two classes can be the colour of a third, never of a class when there are but two.
    """
    if len(classes) < 2:
        return LARGEST_TOLERANCE
    colors = np.array(classes, np.int64)
    distance = np.linalg.norm(colors[:, None] - colors[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    half = int(distance.min() / 2)
    return half if len(classes) == 2 else min(LARGEST_TOLERANCE, max(0, half - 1))


def _share_near(total: Histogram, classes: tuple[Color, ...], tolerance: int) -> float:
    """Return the share of pixels within `tolerance` of a class colour."""
    near = nearest_color(total.values, classes, tolerance) >= 0
    return float(total.pixels[near].sum() / max(1, total.total))


def nearest_color(values: NDArray[np.int64], classes: tuple[Color, ...], tolerance: int) -> NDArray[np.int64]:
    """Return the class of each packed colour, or −1 where none is within `tolerance` (Euclidean)."""
    if not classes or not len(values):
        return np.full(len(values), -1, np.int64)
    colors, centres = _unpack(values), np.array(classes, np.int64)
    best = np.full(len(values), np.iinfo(np.int64).max)
    which = np.full(len(values), -1, np.int64)
    for index, centre in enumerate(centres):
        distance = ((colors - centre) ** 2).sum(axis=1)
        closer = distance < best
        best[closer], which[closer] = distance[closer], index
    which[best > tolerance**2] = -1
    return which


def _note_mixed(evidence: Evidence, findings: Findings, classes: int, tolerance: int) -> None:
    cause = "JPEG has blurred them" if evidence.lossy else "their edges are smoothed"
    message = f"{len(evidence.total.values)} colours lie around {classes}: {cause}"
    fix = f"Colours within {tolerance} levels of a class are read as it; the rest, on edges, is ignored."
    findings.add("jpeg mask" if evidence.lossy else "smooth edges", evidence.masks, message, fix, "mended")


def _note_unusable(evidence: Evidence, findings: Findings, classes: int, covered: float) -> None:
    message = f"{classes} colours cover areas, and {covered:.0%} of the pixels lie near one: these look like photos"
    if classes < 2 and covered >= PHOTO:
        message = "all masks have the same one colour: there is nothing to tell apart"
    fix = "Check that images and masks are not swapped, or list the colours in label_colors.txt: R G B NAME."
    findings.add("no classes found", evidence.masks, message, fix, "fatal")


def _pack(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def _unpack(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([values >> 16, (values >> 8) & 255, values & 255], axis=-1)
