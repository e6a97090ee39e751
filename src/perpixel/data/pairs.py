"""Find which mask belongs to which image, and to which split.

    images: images/{split}                  a folder: the name is the path below it, without its suffix
    images: left/{split}/*/*_left.png       a pattern: the name is what the stars stand for
    splits: {train: train, val: valid}      the word for {split}; or a list file; or a fraction drawn from train

A name is unique within its split.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from perpixel.data.images import IMAGE_SUFFIXES, image_names
from perpixel.data.lists import is_list, read_list, resolve_inside, split_line
from perpixel.data.spec import Splits
from perpixel.errors import DataError


@dataclass(frozen=True)
class Picture:
    """An image that may have no mask: its tags then say all that is known of it.

    Args:
        name: Unique within the split.
        split: train, val, …
        image: The image file.
        mask: The mask file, or the annotation file; None where there is none.
        key: Which image it is inside an annotation file.
    """

    name: str
    split: str
    image: Path
    mask: Path | None
    key: str | int | None = None

    @property
    def id(self) -> str:
        """What `exclude` calls it."""
        return f"{self.split}/{self.name}"


@dataclass(frozen=True)
class Pair(Picture):
    """An image and its mask, which has the same name."""

    mask: Path


AnyPicture = TypeVar("AnyPicture", bound=Picture)


@dataclass(frozen=True)
class Listing:
    """What was found: pairs of every split in order, and what has no partner.

    Args:
        pairs: By split, then by name.
        images_without_mask: Image files left over.
        masks_without_image: Mask files left over.
        clashes: Files that share a name within a split, so that nobody knows which is meant; none is used.
        bare: The images of a split that have no mask, by split, then by name; of use where they have tags.
    """

    pairs: tuple[Pair, ...]
    images_without_mask: tuple[Path, ...] = ()
    masks_without_image: tuple[Path, ...] = ()
    clashes: tuple[tuple[Path, ...], ...] = ()
    bare: tuple[Picture, ...] = ()


class Sources(Protocol):
    """Where images and masks are: a `DatasetSpec` or a `Layout`."""

    @property
    def images(self) -> str: ...  # noqa: D102
    @property
    def masks(self) -> str: ...  # noqa: D102
    @property
    def splits(self) -> Splits: ...  # noqa: D102
    @property
    def encoding(self) -> str: ...  # noqa: D102


def list_pairs(sources: Sources, root: Path, *, tagged: bool = False) -> Listing:
    """Pair the images and masks of a data set whose masks are image files.

    Args:
        sources: Where they are.
        root: The folder that its paths start from.
        tagged: Whether tags say what images show: a list may then name images without a mask, and the masks' folder may
            be missing.

    Raises:
        DataError: A folder or list is missing, or a list names what is not there.
    """
    words = split_words(sources.splits)
    listings = [_list_split(sources, root, split, word, tagged) for split, word in words.items()]
    merged = Listing(
        tuple(pair for listing in listings for pair in listing.pairs),
        _merge(listing.images_without_mask for listing in listings),
        _merge(listing.masks_without_image for listing in listings),
        tuple(dict.fromkeys(clash for listing in listings for clash in listing.clashes)),
        tuple(picture for listing in listings for picture in listing.bare),
    )
    return draw_splits(_forget_listed(merged), sources.splits, tagged=tagged)


def split_words(splits: Splits) -> dict[str, str]:
    """Return split -> its list file or its word for `{split}`; drawn splits are left out."""
    if not isinstance(splits, dict):
        return {split: split for split in splits}
    words = {split: word for split, word in splits.items() if isinstance(word, str)}
    return words or {"train": "train"}


def split_names(splits: Splits) -> tuple[str, ...]:
    """Return every split's name, train first where it is only implied."""
    if isinstance(splits, dict) and not any(isinstance(word, str) for word in splits.values()):
        return ("train", *(split for split in splits if split != "train"))
    return tuple(splits)


def draw_splits(listing: Listing, splits: Splits, *, tagged: bool = False) -> Listing:
    """Move drawn shares out of train. The draw depends on the names alone, so it is the same everywhere.

    Shares are of the pairs, since masks are what is measured with. Where there are not two, and images are tagged, they
    are of all images.
    """
    if not isinstance(splits, dict):
        return listing
    shares = {split: share for split, share in splits.items() if isinstance(share, float) and split != "train"}
    train: list[Picture] = [pair for pair in listing.pairs if pair.split == "train"]
    if tagged and len(train) < 2:
        train += [picture for picture in listing.bare if picture.split == "train"]
    drawn: dict[str, str] = {}
    waiting = sorted(train, key=lambda pair: hashlib.sha256(f"perpixel 0 {pair.name}".encode()).digest())
    for split, share in shares.items():
        count = min(len(waiting) - 1, max(1, round(share * len(train))))
        drawn |= {pair.name: split for pair in waiting[:count]}
        waiting = waiting[max(count, 0) :]
    order, known = split_names(splits), {picture.id for picture in train}

    def moved(pictures: Iterable[AnyPicture]) -> tuple[AnyPicture, ...]:
        all_of_them = [replace(p, split=drawn.get(p.name, p.split)) if p.id in known else p for p in pictures]
        return tuple(sorted(all_of_them, key=lambda picture: (order.index(picture.split), picture.name)))

    return replace(listing, pairs=moved(listing.pairs), bare=moved(listing.bare))


def find_files(root: Path, pattern: str, word: str = "") -> dict[str, list[Path]]:
    """Return name -> image files of a folder or pattern.

    Raises:
        DataError: The folder is missing.
    """
    filled = pattern.replace("{split}", word)
    folder = root / filled
    if "*" not in filled:
        if not folder.is_dir():
            raise DataError(
                f"data: expected a folder at {folder}, found none. "
                "Correct `images`, `masks` or `splits` in dataset.yaml."
            )
        return _group((os.path.splitext(name)[0], folder / name) for name in image_names(folder))
    return _group(_match_files(root, filled))


def _find_masks(sources: Sources, root: Path, word: str, tagged: bool) -> dict[str, list[Path]]:
    """Return the masks; none where there is no folder of them, and tags stand in."""
    there = (root / _before_stars(sources.masks.replace("{split}", word))).is_dir()
    return find_files(root, sources.masks, word) if there or not tagged else {}


def _before_stars(pattern: str) -> str:
    """Return the folder that a pattern begins with."""
    return re.split(r"(?=[^/]*\*)", pattern, maxsplit=1)[0]


def _list_split(sources: Sources, root: Path, split: str, word: str, tagged: bool) -> Listing:
    listed = is_list(word)
    images = find_files(root, sources.images, split if listed else word)
    masks = _find_masks(sources, root, split if listed else word, tagged)
    both = {path for paths in masks.values() for path in paths}
    if "*" in sources.masks:  # a star that also matches masks
        images = _group((n, path) for n, paths in images.items() for path in paths if path not in both)
    if listed:
        return _list_named(root, root / word, split, images, masks, tagged=tagged)
    return _pair_up(split, images, masks)


def _pair_up(split: str, images: Mapping[str, list[Path]], masks: Mapping[str, list[Path]]) -> Listing:
    clashes = {n for side in (images, masks) for n, paths in side.items() if len(paths) > 1}
    shared = sorted((images.keys() & masks.keys()) - clashes)
    lonely = sorted(images.keys() - masks.keys() - clashes)
    return Listing(
        tuple(Pair(name, split, images[name][0], masks[name][0]) for name in shared),
        tuple(p for name in sorted(images.keys() - masks.keys()) for p in images[name]),
        tuple(p for name in sorted(masks.keys() - images.keys()) for p in masks[name]),
        tuple((*images.get(name, ()), *masks.get(name, ())) for name in sorted(clashes)),
        tuple(Picture(name, split, images[name][0], None) for name in lonely),
    )


def _list_named(
    root: Path, source: Path, split: str, images: dict[str, list[Path]], masks: dict[str, list[Path]], *, tagged: bool
) -> Listing:
    pairs: list[Pair] = []
    bare: dict[str, Picture] = {}
    lost = []
    for line in read_list(source):
        found = _find_line(root, source, line, images, masks)
        if found is not None:
            name, image, mask = found
            pairs.append(Pair(name, split, image, mask))
        elif tagged and (lonely := _find_image(line, images)) is not None:
            bare[lonely[0]] = Picture(lonely[0], split, lonely[1], None)
        else:
            lost.append(line)
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise DataError(
            f"{source}: expected names with an image and a mask, got {', '.join(map(repr, lost[:3]))}{more}. "
            "Correct the lines, or add the files.",
            [f"{source}: {line!r} has no image or no mask" for line in lost],
        )
    used = {path for pair in pairs for path in (pair.image, pair.mask)}
    unique = {pair.name: pair for pair in pairs}
    return Listing(
        tuple(unique[name] for name in sorted(unique)),
        tuple(p for paths in images.values() for p in paths if p not in used),
        tuple(p for paths in masks.values() for p in paths if p not in used),
        bare=tuple(bare[name] for name in sorted(bare)),
    )


def _find_line(
    root: Path, source: Path, line: str, images: dict[str, list[Path]], masks: dict[str, list[Path]]
) -> tuple[str, Path, Path] | None:
    """Return (name, image, mask) of "name", "image.png", or "image.png mask.png"."""
    name = _without_suffix(line)
    if name in images and name in masks:
        return name, images[name][0], masks[name][0]
    parts = split_line(line)
    if len(parts) == 2:
        image, mask = (resolve_inside(root, part, source) for part in parts)
        return (_without_suffix(parts[0]), image, mask) if image.is_file() and mask.is_file() else None
    short = Path(name).name
    resolve_inside(root, line, source)
    return (short, images[short][0], masks[short][0]) if short in images and short in masks else None


def _find_image(line: str, images: dict[str, list[Path]]) -> tuple[str, Path] | None:
    """Return (name, image) of a line that names an image alone."""
    name = _without_suffix(line)
    if name not in images and len(split_line(line)) == 1:
        name = Path(name).name
    return (name, images[name][0]) if name in images else None


def _without_suffix(name: str) -> str:
    path = Path(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in IMAGE_SUFFIXES else name


def _match_files(root: Path, pattern: str) -> Iterable[tuple[str, Path]]:
    head, *tail = re.split(r"(?=[^/]*\*)", pattern, maxsplit=1)
    regex = _regex("".join(tail))
    folder = root / head
    if not folder.is_dir():
        raise DataError(f"data: expected a folder at {folder}, found none. Correct `images` or `masks`.")
    for file in image_names(folder):
        match = regex.fullmatch(file)
        if match:
            yield "/".join(group.strip("/") for group in match.groups() if group), folder / file


def _regex(pattern: str) -> re.Pattern[str]:
    """Return a pattern whose groups are what the stars stand for; a last `.*` is any suffix."""
    stem, any_suffix = (pattern[:-2], r"\.[^./]+") if pattern.endswith(".*") else (pattern, "")
    parts = re.split(r"(\*\*/|\*)", stem)
    stars = {"**/": r"((?:[^/]+/)*?)", "*": r"([^/]*?)"}
    return re.compile("".join(stars.get(part, re.escape(part)) for part in parts) + any_suffix)


def _group(named: Iterable[tuple[str, Path]]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for name, path in named:
        groups.setdefault(name, []).append(path)
    return groups


def _merge(groups: Iterable[tuple[Path, ...]]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path for group in groups for path in group))


def _forget_listed(listing: Listing) -> Listing:
    """Leave out of the leftovers what another split's list uses."""
    used = {path for pair in listing.pairs for path in (pair.image, pair.mask)}
    return replace(
        listing,
        images_without_mask=tuple(path for path in listing.images_without_mask if path not in used),
        masks_without_image=tuple(path for path in listing.masks_without_image if path not in used),
        bare=tuple(picture for picture in listing.bare if picture.image not in used),
    )
