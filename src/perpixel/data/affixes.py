"""Find what all names of a side have besides the pair's own: `_sat` and `_mask` in 0007_sat.jpg, 0007_mask.png."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

MASK_WORDS = frozenset(
    "mask masks label labels labelled labeled annotation annotations annot annots anno gt gts groundtruth truth "  # noqa: SIM905
    "segmentation segmentations segmentationclass seg segs target targets manual labelids gtfine gtcoarse "
    "labeledapproved trimaps y".split()
)
_SEPARATORS = "_-. "
_SAMPLES = 24


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


Both = tuple[Affixes, Affixes]


def count_shared(images: Sequence[str], masks: Sequence[str], affixes: Both) -> int:
    """Return how many names both sides have, once the affixes are cut."""
    left, right = (
        {affix.cut(stem_of(name)) for name in names} for affix, names in zip(affixes, (images, masks), strict=True)
    )
    return len((left & right) - {None})


def find_affixes(images: Sequence[str], masks: Sequence[str], *, one: bool) -> Both | None:
    """Return what to cut from both sides' names so that most agree; nothing where they agree already.

    Args:
        images: File paths below the image folder.
        masks: File paths below the mask folder.
        one: Whether both are the same folder, so that only telling endings make a file a mask.
    """
    plain = (Affixes(), Affixes())
    stems = ({stem_of(name) for name in images}, {stem_of(name) for name in masks})
    fewer = min(len(stems[0]), len(stems[1]))
    if not one and len(stems[0] & stems[1]) * 2 >= fewer:
        return plain
    guesses = _guess(sorted(stems[0]), sorted(stems[1]), one)
    counts = {guess: count_shared(images, masks, guess) for guess in guesses}
    best = max(counts, key=lambda guess: counts[guess], default=None)
    if best is None or counts[best] * (4 if one else 2) < fewer:
        return plain if not one and stems[0] & stems[1] else None
    return best


def stem_of(name: str) -> str:
    """Return a path without its file's suffix."""
    return name.rpartition(".")[0] if "." in name else name


def split_words_of(text: str) -> set[str]:
    """Return the words of a name, in lower case: parted by separators, or by a capital."""
    return {word.lower() for word in re.split(r"[_\-. ]|(?<=[a-z])(?=[A-Z])", text)}


def _guess(images: list[str], masks: list[str], one: bool) -> list[Both]:
    """Compare a few masks with the images that share most of their name at either end."""
    guesses: Counter[Both] = Counter()
    backwards = sorted(image[::-1] for image in images)
    for mask in masks[:: max(1, len(masks) // _SAMPLES)][:_SAMPLES]:
        ends = [image[::-1] for image in _neighbours(backwards, mask[::-1])]
        for image in {*_neighbours(images, mask), *ends}:
            guesses.update(_differences(image.rpartition("/")[2], mask.rpartition("/")[2], one))
    return [guess for guess, _ in guesses.most_common(12)]


def _neighbours(names: list[str], name: str) -> list[str]:
    """Return the sorted names next to a name: one of them shares its longest beginning."""
    place = bisect_left(names, name)
    return [other for other in names[max(0, place - 1) : place + 2] if other != name]


def _differences(image: str, mask: str, one: bool) -> list[Both]:
    """Return the affixes that would make two names one."""
    begin = _common(image, mask).rstrip(_SEPARATORS)
    end = _common(image[::-1], mask[::-1])[::-1].lstrip(_SEPARATORS)
    guesses = []
    if begin:
        guesses.append((Affixes(after=image[len(begin) :]), Affixes(after=mask[len(begin) :])))
    if end:
        guesses.append((Affixes(before=image[: -len(end)]), Affixes(before=mask[: -len(end)])))
    return [guess for guess in guesses if _plausible(*guess, one=one)]


def _plausible(image: Affixes, mask: Affixes, *, one: bool) -> bool:
    """Say whether affixes are words, not numbers that tell pairs apart."""
    texts = (image.before + image.after, mask.before + mask.after)
    spelled = all(not text or re.fullmatch(r"[^0-9]*[A-Za-z][^0-9]*|[^0-9]*8bit", text) for text in texts)
    telling = bool(split_words_of(texts[1]) & (MASK_WORDS | {"l"})) and not split_words_of(texts[0]) & MASK_WORDS
    return spelled and any(texts) and (telling or not one)


def _common(first: str, second: str) -> str:
    """Return the beginning that two texts share."""
    count = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        count += 1
    return first[:count]
