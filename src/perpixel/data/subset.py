"""Few-label splits: every image keeps its tags, and few keep their masks.

    choose masks -> dataset.yaml, tags.csv and masked.txt in a folder of their own; images and masks stay where they are

Masks are chosen in rounds. In each round every class, the rarest first, that is seen in fewer chosen masks than rounds
gets one more, at random. So a split of 5 masks a class is part of the one of 10 with the same seed.

Letters: K classes.
"""

import os
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perpixel.data.dataset import Dataset, Pair
from perpixel.data.lists import is_list
from perpixel.data.masks import IGNORE
from perpixel.data.spec import DatasetSpec, Splits, nearest
from perpixel.data.tags import format_tags, unwritable
from perpixel.errors import DataError, UsageError

YAML, TAGS, MASKED = FILES = ("dataset.yaml", "tags.csv", "masked.txt")
SIGNATURE = "# chosen by perpixel subset\n"  # begins masked.txt: the folder may be written again
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Choice:
    """The training pairs that keep their masks.

    Args:
        pairs: By name.
        counts: How many of them show each class that masks may show.
        short: Those of these classes that fewer than asked for show, or none.
    """

    pairs: tuple[Pair, ...]
    counts: dict[str, int]
    short: tuple[str, ...] = ()


def choose_masks(
    dataset: Dataset,
    *,
    per_class: int | None = None,
    total: int | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> Choice:
    """Choose training pairs so that every class is seen in some masks.

    Args:
        dataset: Its training masks are read, to see what they show.
        per_class: At least so many masks show each class, where there are so many.
        total: So many masks altogether. Without either, every mask that shows one of `classes` is chosen.
        classes: Those that masks may show; all but the background unless told.
        seed: Of the draw.
        progress: Called with (masks read, masks in all).

    Raises:
        UsageError: A number is below one, both are given, there is no such class, or its masks are hidden already.
        DataError: There is no mask to choose, or one cannot be read.
    """
    wanted = _wanted(dataset, classes)
    _check_numbers(per_class, total, bool(classes))
    pairs = dataset.pairs("train")
    shown = np.zeros((len(pairs), dataset.num_classes), np.bool_)
    for index, pair in enumerate(pairs):
        shown[index, np.unique(shown_ids(dataset, pair))] = True
        if progress is not None:
            progress(index + 1, len(pairs))
    shown = shown[:, wanted]
    if not shown.any():
        raise DataError(f"subset: expected training masks that show a class, got none of {len(pairs)}. Add masks.")
    chosen = _draw(shown, per_class, total, seed)
    counts = shown[chosen].sum(0)
    names = [dataset.classes[i] for i in wanted]
    least = per_class or 1
    return Choice(
        tuple(pairs[index] for index in sorted(chosen)),
        {name: int(count) for name, count in zip(names, counts, strict=True)},
        tuple(name for name, count in zip(names, counts, strict=True) if count < least),
    )


def shown_ids(dataset: Dataset, pair: Pair) -> list[int]:
    """Return the ids that a mask shows, of those that training may see."""
    return [int(i) for i in np.unique(dataset.read_target(pair)) if i != IGNORE]


def _wanted(dataset: Dataset, classes: Sequence[str]) -> list[int]:
    known = [dataset.classes[i] for i in dataset.taggable]
    for name in classes:
        if name not in known:
            raise UsageError(
                f"subset: expected classes of {dataset.spec.name}, got {name!r}.{nearest(name, known)} "
                f"Known: {', '.join(known)}."
            )
        if dataset.classes.index(name) not in dataset.mask_ids:
            raise UsageError(
                f"subset: expected classes whose masks may be used, got {name!r}, which `mask_classes` in dataset.yaml "
                "leaves out. Name others, or take the data that the masks are from."
            )
    return [i for i in dataset.taggable if i in dataset.mask_ids and (not classes or dataset.classes[i] in classes)]


def _check_numbers(per_class: int | None, total: int | None, classes: bool) -> None:
    if per_class is not None and total is not None:
        raise UsageError("subset: expected --masks-per-class or --masks, got both. Say one.")
    if per_class is None and total is None and not classes:
        raise UsageError("subset: expected how many masks to keep, got nothing. Say --masks-per-class 10.")
    for name, value in (("--masks-per-class", per_class), ("--masks", total)):
        if value is not None and value < 1:
            raise UsageError(f"subset: expected {name} of 1 or more, got {value}. Say {name} 10.")


def _draw(shown: np.ndarray, per_class: int | None, total: int | None, seed: int) -> list[int]:
    """Return the indices of the chosen rows of (pairs, classes)."""
    if per_class is None and total is None:
        return [int(i) for i in np.flatnonzero(shown.any(1))]
    rng = np.random.Generator(np.random.PCG64(seed))
    order = [int(i) for i in rng.permutation(len(shown))]
    rarest = [int(i) for i in np.argsort(shown.sum(0), kind="stable")]
    most = len(shown) if total is None else min(total, int(shown.any(1).sum()))
    chosen: list[int] = []
    counts = np.zeros(shown.shape[1], np.int64)
    for goal in range(1, (per_class or len(shown)) + 1):
        for column in rarest:
            if counts[column] >= goal or len(chosen) >= most:
                continue
            index = next((i for i in order if shown[i, column]), None)
            if index is not None:
                order.remove(index)
                chosen.append(index)
                counts += shown[index]
        if len(chosen) >= most:
            break
    return chosen


def write_subset(dataset: Dataset, choice: Choice, out: Path, classes: Sequence[str] = ()) -> DatasetSpec:
    """Write `dataset.yaml`, `tags.csv` and `masked.txt`, which refer to the data where it is.

    Args:
        dataset: What the choice is of.
        choice: The training pairs that keep their masks.
        out: A new folder, or an earlier subset's.
        classes: What `mask_classes` becomes, if any.

    Returns: What dataset.yaml says.
    Raises:
        UsageError: The folder is the data's own, holds other things, or cannot be made.
        DataError: The data cannot be referred to from there, or a class has a name that cannot be written.
    """
    strange = unwritable(dataset.classes)
    if strange:
        raise DataError(
            f"subset: expected names of classes that a file of tags can hold, got {strange[0]!r}. Leave out "
            "semicolons, tabs and spaces around it."
        )
    _prepare(dataset, out)
    spec = _describe(dataset, out, classes)
    _require_same(dataset, Dataset(spec, out))
    rows = [
        (picture.id, [dataset.classes[i] for i in np.flatnonzero(dataset.tags(picture))])
        for split in dataset.splits
        for picture in dataset.pictures(split)
    ]
    (out / TAGS).write_text(format_tags(rows, dataset.classes), encoding="utf-8")
    (out / MASKED).write_text(SIGNATURE + "".join(f"{pair.id}\n" for pair in choice.pairs), encoding="utf-8")
    spec = spec.model_copy(update=_count(Dataset(spec, out)))
    spec.save(out / YAML)
    return spec


def _prepare(dataset: Dataset, out: Path) -> None:
    if out.resolve() == dataset.root.resolve():
        raise UsageError(f"subset: expected another folder than the data's own, got {out}. Name another with --out.")
    present = {path.name for path in out.iterdir()} if out.is_dir() else set()
    ours = MASKED in present and (out / MASKED).read_bytes().startswith(SIGNATURE.encode())
    if present - set(FILES) or (present and not ours) or (out.exists() and not out.is_dir()):
        raise UsageError(f"subset: expected a new folder, or an earlier subset's, got {out}. Name another with --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"subset: expected to make {out}, cannot ({error.strerror}). Name another with --out."
        ) from None


def _describe(dataset: Dataset, out: Path, classes: Sequence[str]) -> DatasetSpec:
    """Return the data's own description with its paths seen from `out`."""
    spec = dataset.spec
    away = Path(os.path.relpath(dataset.root.resolve(), out.resolve())).as_posix()
    changes: dict[str, object] = {
        "images": posixpath.normpath(posixpath.join(away, spec.images)),
        "masks": posixpath.normpath(posixpath.join(away, spec.masks)),
        "splits": _lists_from(away, spec.splits),
        "tags": TAGS,
        "masked": MASKED,
    }
    if classes:
        changes["mask_classes"] = tuple(name for name in spec.classes if name in classes)
    return spec.model_copy(update=changes)


def _lists_from(away: str, splits: Splits) -> Splits:
    if not isinstance(splits, dict):
        return splits
    return {
        split: posixpath.join(away, word) if isinstance(word, str) and is_list(word) else word
        for split, word in splits.items()
    }


def _require_same(dataset: Dataset, made: Dataset) -> None:
    """Refuse a description that finds other pairs than the data's own, e.g. by lists of paths."""
    try:
        same = _files(dataset) == _files(made)
    except DataError:  # a list's paths lead out of the folder
        same = False
    if not same:
        raise DataError(
            f"subset: expected to find the same pairs from {made.root}, found others. Lists of paths cannot be "
            "followed from another folder: write names into them, without folders."
        )


def _files(dataset: Dataset) -> dict[str, tuple[Path, Path]]:
    return {pair.id: (pair.image.resolve(), pair.mask.resolve()) for pair in dataset.listing.pairs}


def _count(made: Dataset) -> dict[str, object]:
    """Return the class frequencies of the masks that are left."""
    images, pixels, around = (np.zeros(made.num_classes, np.int64) for _ in range(3))
    for pair in made.pairs("train"):
        counts = np.bincount(made.read_target(pair).ravel(), minlength=IGNORE + 1)[: made.num_classes]
        pixels += counts
        images += counts > 0
        around += np.where(counts > 0, counts.sum(), 0)
    return {
        "pixel_counts": tuple(pixels.tolist()),
        "image_counts": tuple(images.tolist()),
        "image_pixel_counts": tuple(around.tolist()),
    }
