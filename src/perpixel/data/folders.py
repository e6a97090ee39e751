"""Find the folders, or the endings in one folder, that hold images and their masks.

A `Side` is a folder pattern such as `images/{split}`, with the words that stand for the split on this disk. Two
sides match where the names of their files agree, after cutting what all names of a side have in common at one
end: `0007_sat.jpg` and `0007_mask.png`.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perpixel.data.affixes import MASK_WORDS, Affixes, count_shared, find_affixes, split_words_of, stem_of
from perpixel.data.images import IMAGE_SUFFIXES
from perpixel.data.spec import Splits

SPLIT_WORDS = {
    "train": ("training", "train", "trn"),
    "val": ("validation", "valid", "val", "dev"),
    "test": ("testing", "test", "tst"),
}
IMAGE_WORDS = frozenset(
    [
        "image",
        "images",
        "img",
        "imgs",
        "jpegimages",
        "photo",
        "photos",
        "picture",
        "pictures",
        "rgb",
        "raw",
        "frame",
        "frames",
        "input",
        "inputs",
        "original",
        "originals",
        "leftimg8bit",
        "scene",
        "scenes",
        "stillsraw",
        "x",
        "sat",
    ]
)
MAX_FOLDERS = 20_000
MAX_FILES = 5_000_000
_MOST_SIDES = 48  # compared with each other, largest first

_SPLIT = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_SPLIT_WORD = re.compile(r"^(" + "|".join(sorted(_SPLIT, key=len, reverse=True)) + r")(?![a-z])", re.IGNORECASE)
_GLUED = re.compile(r"^(train|val|test)(annot|annots|label|labels|mask|masks|image|images|img|gt)$", re.IGNORECASE)


@dataclass
class Side:
    """A folder pattern and its image files.

    Args:
        pattern: Relative to the root, `{split}` where a split word stood; "" is the root itself.
        role: "image", "mask" or "" by the folder's name.
        files: Split (or "") -> paths below that folder.
        words: Split -> the word on disk.
    """

    pattern: str
    role: str
    files: dict[str, list[str]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many files there are in all splits."""
        return sum(map(len, self.files.values()))


@dataclass(frozen=True)
class Match:
    """Two sides that go together, as `dataset.yaml` says it."""

    images: str
    masks: str
    splits: Splits
    notes: tuple[str, ...]
    sides: tuple[Side, Side]


def find_sides(root: Path, starts: Sequence[str] = ("",)) -> list[Side]:
    """Return every folder pattern below the root that holds images, largest first."""
    sides: dict[str, Side] = {}
    for start in starts:
        for folder, names in _walk(root / start):
            _add(sides, start, Path(folder).relative_to(root).as_posix().removeprefix("."), names)
    tightened = [_tighten(side) for side in sides.values()]
    return sorted(tightened, key=lambda side: (-side.count, side.pattern))


def match_sides(images: Sequence[Side], masks: Sequence[Side], *, given: bool) -> Match | None:
    """Return the two sides with the most pairs; folder names decide between equals, two folders go before one.

    Args:
        images: Sides that may hold the images.
        masks: Sides that may hold the masks.
        given: Whether somebody said which are which; otherwise names must tell.
    """
    sides = [(i, m) for i in images[:_MOST_SIDES] for m in masks[:_MOST_SIDES]]
    apart = [(i, m) for i, m in sides if i.pattern != m.pattern and (given or _tells(i, m))]
    return _best(apart) or _best([(i, m) for i, m in sides if i.pattern == m.pattern])


def _best(sides: Sequence[tuple[Side, Side]]) -> Match | None:
    best: tuple[tuple[int, int], Match] | None = None
    for images, masks in sides:
        scored = _score(images, masks)
        if scored is not None and (best is None or scored[0] > best[0]):
            best = scored
    return best[1] if best else None


def _tells(images: Side, masks: Side) -> bool:
    """Say whether folder names allow images here and masks there."""
    return images.role != "mask" and masks.role == "mask"


def _walk(folder: Path) -> list[tuple[str, list[str]]]:
    found, files = [], 0
    for count, (path, folders, names) in enumerate(os.walk(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        kept = sorted(n for n in names if Path(n).suffix.lower() in IMAGE_SUFFIXES and not n.startswith("."))
        files += len(kept)
        if kept:
            found.append((path, kept))
        if count >= MAX_FOLDERS or files >= MAX_FILES:
            break
    return found


def _add(sides: dict[str, Side], start: str, folder: str, names: list[str]) -> None:
    """Put a folder's files on the side they belong to."""
    fixed = len(Path(start).parts)
    parts = Path(folder).parts
    kept, role, split, word = _read_parts(parts, fixed)
    pattern = "/".join(kept)
    side = sides.setdefault(pattern, Side(pattern, role))
    below = "/".join(parts[len(kept) :])
    side.files.setdefault(split, []).extend(f"{below}/{name}".lstrip("/") for name in names)
    if split:
        side.words[split] = word


def _tighten(side: Side) -> Side:
    """Take into the pattern the folder that all files are in."""
    names = [name for names in side.files.values() for name in names]
    shared = os.path.commonpath([os.path.dirname(name) for name in names])
    if not shared:
        return side
    files = {split: [name[len(shared) + 1 :] for name in names] for split, names in side.files.items()}
    return Side(f"{side.pattern}/{shared}".lstrip("/"), side.role, files, side.words)


def _read_parts(parts: Sequence[str], fixed: int) -> tuple[list[str], str, str, str]:
    """Return (pattern parts, role, split, split word); folders below the last telling one are names."""
    pattern = list(parts)
    role, split, word, last = "", "", "", fixed
    for i, part in enumerate(parts):
        found = _role(part) if len(part) > 1 or not role else ""  # images/x/ is a folder of images
        role, last = (found, max(last, i + 1)) if found else (role, last)
        place = _SPLIT_WORD.match(part) or _GLUED.match(part) or _split_at_end(part)
        if place and not split and i >= fixed:
            word, last = place.group(1), max(last, i + 1)
            split = _SPLIT[word.lower()]
            pattern[i] = part[: place.start(1)] + "{split}" + part[place.end(1) :]
    return pattern[:last], role, split, word


def _split_at_end(part: str) -> re.Match[str] | None:
    return re.search(r"(?<=[_\-. ])(" + "|".join(_SPLIT) + r")$", part, re.IGNORECASE)


def _role(part: str) -> str:
    glued = _GLUED.match(part)
    tokens = split_words_of(part) | {part.lower()}
    tokens |= {glued.group(2).lower()} if glued else set()
    if tokens & MASK_WORDS:
        return "mask"
    return "image" if tokens & IMAGE_WORDS else ""


def _score(images: Side, masks: Side) -> tuple[tuple[int, int], Match] | None:
    splits: list[str] = [
        split for split in ("", "train", "val", "test") if split in images.files and split in masks.files
    ]
    if not splits or (images.files.keys() - {""} and masks.files.keys() - {""} and splits == [""]):
        return None
    one = images.pattern == masks.pattern
    affixes = find_affixes(images.files[splits[0]], masks.files[splits[0]], one=one)
    if affixes is None:
        return None
    shared = {split: count_shared(images.files[split], masks.files[split], affixes) for split in splits}
    kept = [split for split in splits if shared[split]]
    total = sum(shared.values())
    if 2 * total < min(images.count, masks.count) / (2 if one else 1) and total < 2:
        return None
    told = (images.role == "image") + 2 * (masks.role == "mask")
    return (total, told), _describe(images, masks, kept, affixes)


def _describe(images: Side, masks: Side, splits: list[str], affixes: tuple[Affixes, Affixes]) -> Match:
    patterns = [_pattern(side, affix) for side, affix in zip((images, masks), affixes, strict=True)]
    notes = [f"Images: {patterns[0] or 'the folder itself'}; masks: {patterns[1] or 'the folder itself'}."]
    words = {split: images.words.get(split, split) for split in splits if split}
    if any(masks.words.get(split, word) != word for split, word in words.items()):
        return Match(patterns[0], patterns[1], tuple(words), tuple(notes), (images, masks))
    lone = sorted((images.files.keys() | masks.files.keys()) - set(splits) - {""})
    if lone:
        notes.append(f"Left out, for lack of images or masks: {', '.join(lone)}.")
    named: Splits = ("train",)
    if words:
        named = tuple(words) if all(split == word for split, word in words.items()) else dict(words)
    return Match(patterns[0], patterns[1], named, tuple(notes), (images, masks))


def _pattern(side: Side, affix: Affixes) -> str:
    if affix == Affixes():
        return side.pattern
    names = [n for names in side.files.values() for n in names if affix.cut(stem_of(n))]
    suffixes = {Path(name).suffix for name in names}
    suffix = suffixes.pop() if len(suffixes) == 1 else ".*"
    nested = "**/" if any("/" in name for name in names) else ""
    return f"{side.pattern}/{nested}{affix.before}*{affix.after}{suffix}".lstrip("/")
