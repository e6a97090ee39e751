"""Find the folders, or the endings in one folder, that hold images and their masks.

A `Side` is a folder pattern such as `images/{split}`, with the words that stand for the split on this disk. Two
sides match where the names of their files agree, after cutting what all names of a side have in common at one
end: `0007_sat.jpg` and `0007_mask.png`.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from perpixel.data.images import IMAGE_SUFFIXES
from perpixel.data.spec import Splits

SPLIT_WORDS = {
    "train": ("training", "train", "trn"),
    "val": ("validation", "valid", "val", "dev"),
    "test": ("testing", "test", "tst"),
}
IMAGE_WORDS = frozenset(
    "image images img imgs jpegimages photo photos picture pictures rgb raw frame frames input inputs original "
    "originals leftimg8bit scene scenes stillsraw x sat".split()
)
MASK_WORDS = frozenset(
    "mask masks label labels labelled labeled annotation annotations annot annots anno gt gts groundtruth truth "
    "segmentation segmentations segmentationclass seg segs target targets manual labelids gtfine gtcoarse "
    "labeledapproved trimaps y".split()
)
MAX_FOLDERS = 20_000
MAX_FILES = 5_000_000

_SPLIT = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_SPLIT_WORD = re.compile(
    r"^(" + "|".join(sorted(_SPLIT, key=len, reverse=True)) + r")(?![a-z])", re.IGNORECASE
)
_GLUED = re.compile(
    r"^(train|val|test)(annot|annots|label|labels|mask|masks|image|images|img|gt)$", re.IGNORECASE
)
_SEPARATORS = "_-. "


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

    @cached_property
    def suffixes(self) -> Counter[str]:
        """Count the file name endings."""
        return Counter(Path(name).suffix for names in self.files.values() for name in names)


@dataclass(frozen=True)
class Affixes:
    """What the names of a side have besides the pair's name: before it and after it."""

    before: str = ""
    after: str = ""

    def cut(self, stem: str) -> str | None:
        """Return the pair's name in a path's stem, or None where the stem lacks the affixes."""
        folder, _, last = stem.rpartition("/")
        if not (last.startswith(self.before) and last.endswith(self.after)):
            return None
        name = last[len(self.before) : len(last) - len(self.after)]
        return (f"{folder}/{name}" if folder else name) if name else None


@dataclass(frozen=True)
class Match:
    """Two sides that go together, as `dataset.yaml` says it."""

    images: str
    masks: str
    splits: Splits
    notes: tuple[str, ...]


def find_sides(root: Path, starts: Sequence[str] = ("",)) -> list[Side]:
    """Return every folder pattern below the root that holds images, largest first."""
    sides: dict[str, Side] = {}
    for start in starts:
        for folder, names in _walk(root / start):
            _add(sides, start, Path(folder).relative_to(root).as_posix().removeprefix("."), names)
    return sorted(sides.values(), key=lambda side: (-side.count, side.pattern))


def match_sides(images: Sequence[Side], masks: Sequence[Side]) -> Match | None:
    """Return the two sides with the most pairs; folder names decide between equals."""
    best: tuple[tuple[int, int], Match] | None = None
    for image_side in images:
        for mask_side in masks:
            if image_side.role == "mask" or (mask_side.role == "image" and images is masks):
                continue
            scored = _score(image_side, mask_side)
            if scored is not None and (best is None or scored[0] > best[0]):
                best = scored
    return best[1] if best else None


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


def _read_parts(parts: Sequence[str], fixed: int) -> tuple[list[str], str, str, str]:
    """Return (pattern parts, role, split, split word); folders below the last telling one are names."""
    pattern = list(parts)
    role, split, word, last = "", "", "", fixed
    for i, part in enumerate(parts):
        found = _role(part)
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
    tokens = {token.lower() for token in re.split(r"[_\-. ]|(?<=[a-z])(?=[A-Z])", part)} | {part.lower()}
    tokens |= {glued.group(2).lower()} if glued else set()
    if tokens & MASK_WORDS:
        return "mask"
    return "image" if tokens & IMAGE_WORDS else ""


def _score(images: Side, masks: Side) -> tuple[tuple[int, int], Match] | None:
    splits = [
        split for split in ("", "train", "val", "test") if split in images.files and split in masks.files
    ]
    if not splits or (images.files.keys() - {""} and masks.files.keys() - {""} and splits == [""]):
        return None
    one = images.pattern == masks.pattern
    affixes = _find_affixes(images.files[splits[0]], masks.files[splits[0]], one)
    if affixes is None:
        return None
    shared = {split: _shared(images.files[split], masks.files[split], affixes) for split in splits}
    kept = [split for split in splits if shared[split]]
    total = sum(shared.values())
    if 2 * total < min(images.count, masks.count) / (2 if one else 1) and total < 2:
        return None
    told = (images.role == "image") + 2 * (masks.role == "mask")
    return (total, told), _describe(images, masks, kept, affixes)


def _shared(images: list[str], masks: list[str], affixes: tuple[Affixes, Affixes]) -> int:
    left, right = (
        {affix.cut(_stem(n)) for n in names} for affix, names in zip(affixes, (images, masks), strict=True)
    )
    return len((left & right) - {None})


def _find_affixes(images: list[str], masks: list[str], one: bool) -> tuple[Affixes, Affixes] | None:
    """Return what to cut from both sides' names so that most agree; nothing where they agree already."""
    plain = (Affixes(), Affixes())
    stems = ({_stem(name) for name in images}, {_stem(name) for name in masks})
    if not one and len(stems[0] & stems[1]) * 2 >= min(len(stems[0]), len(stems[1])):
        return plain
    guesses = _guess(sorted(stems[0]), sorted(stems[1]), one)
    counts = {guess: _shared(images, masks, guess) for guess in guesses}
    best = max(counts, key=lambda guess: counts[guess], default=None)
    if best is None or counts[best] * (4 if one else 2) < min(len(stems[0]), len(stems[1])):
        return plain if not one and stems[0] & stems[1] else None
    return best


def _guess(images: list[str], masks: list[str], one: bool) -> list[tuple[Affixes, Affixes]]:
    """Compare a few masks with the images that share most of their name at either end."""
    guesses: Counter[tuple[Affixes, Affixes]] = Counter()
    for mask in masks[:: max(1, len(masks) // 24)][:24]:
        for image in _neighbours(images, mask):
            if image != mask:
                guesses.update(_differences(image.rpartition("/")[2], mask.rpartition("/")[2], one))
    return [guess for guess, _ in guesses.most_common(12)]


def _neighbours(images: list[str], mask: str) -> list[str]:
    """Return images whose names share the longest beginning, or the longest end, with a mask's."""
    begins = max(images, key=lambda image: len(os.path.commonprefix([image, mask])), default=None)
    ends = max(images, key=lambda image: len(os.path.commonprefix([image[::-1], mask[::-1]])), default=None)
    others = (i for i in images if i != mask)
    sibling = max(others, key=lambda image: len(os.path.commonprefix([image, mask])), default=None)
    return [image for image in (begins, ends, sibling) if image is not None]


def _differences(image: str, mask: str, one: bool) -> list[tuple[Affixes, Affixes]]:
    """Return the affixes that would make two names one; each that differs must hold a letter."""
    begin = os.path.commonprefix([image, mask]).rstrip(_SEPARATORS)
    end = os.path.commonprefix([image[::-1], mask[::-1]])[::-1].lstrip(_SEPARATORS)
    guesses = []
    if begin:
        guesses.append((Affixes(after=image[len(begin) :]), Affixes(after=mask[len(begin) :])))
    if end:
        guesses.append((Affixes(before=image[: -len(end)]), Affixes(before=mask[: -len(end)])))
    return [guess for guess in guesses if _plausible(*guess, one=one)]


def _plausible(image: Affixes, mask: Affixes, *, one: bool) -> bool:
    texts = (image.before + image.after, mask.before + mask.after)
    spelled = all(not text or re.fullmatch(r"[^0-9]*[A-Za-z][^0-9]*|[^0-9]*8bit", text) for text in texts)
    words = {token.lower() for token in re.split(r"[_\-. ]|(?<=[a-z])(?=[A-Z])", texts[1])}
    # In one folder only a telling word makes a file a mask; which of a and b is the mask, nobody knows.
    return spelled and any(texts) and (not one or bool(words & (MASK_WORDS | {"l"})))


def _describe(images: Side, masks: Side, splits: list[str], affixes: tuple[Affixes, Affixes]) -> Match:
    patterns = [_pattern(side, affix) for side, affix in zip((images, masks), affixes, strict=True)]
    notes = [f"Images: {patterns[0] or 'the folder itself'}; masks: {patterns[1] or 'the folder itself'}."]
    words = {split: images.words.get(split, split) for split in splits if split}
    if any(masks.words.get(split, word) != word for split, word in words.items()):
        return Match(patterns[0], patterns[1], tuple(words), tuple(notes))
    lone = sorted((images.files.keys() | masks.files.keys()) - set(splits) - {""})
    if lone:
        notes.append(f"Left out, for lack of images or masks: {', '.join(lone)}.")
    named: Splits = ("train",)
    if words:
        named = tuple(words) if all(split == word for split, word in words.items()) else dict(words)
    return Match(patterns[0], patterns[1], named, tuple(notes))


def _pattern(side: Side, affix: Affixes) -> str:
    if affix == Affixes():
        return side.pattern
    suffix = next(iter(side.suffixes)) if len(side.suffixes) == 1 else ".*"
    nested = "**/" if any("/" in name for names in side.files.values() for name in names) else ""
    return f"{side.pattern}/{nested}{affix.before}*{affix.after}{suffix}".lstrip("/")


def _stem(name: str) -> str:
    return name.rpartition(".")[0] if "." in name else name
