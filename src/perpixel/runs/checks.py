"""What is looked at before a run begins: that its place is free, and that its data has what training needs."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perpixel.data.dataset import Dataset, Picture
from perpixel.errors import DataError, UsageError
from perpixel.runs.run import DATASET, RECORD

NAMED = 8  # pairs left out that are named one by one


def left_out(dataset: Dataset, from_masks: bool = True) -> tuple[str, ...]:
    """Say which pairs are not trained on and, where masks are learned from, how many images have none."""
    names = dataset.spec.exclude
    shown = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
    remarks: tuple[str, ...] = ()
    if names:
        pairs = "1 pair is" if len(names) == 1 else f"{len(names)} pairs are"
        remarks = (f"{pairs} left out: {shown}. `perpixel inspect` says why.",)
    bare = len({p.id for p in dataset.supervision.without_mask("train")} - {*names})
    if from_masks and bare and (dataset.spec.tags is not None or dataset.spec.masked is not None):
        masks = len(dataset.pairs("train"))
        remarks += (f"{bare} training images have no mask that may be used: masks are learned from the other {masks}.",)
    return remarks


def tag_remarks(dataset: Dataset) -> tuple[str, ...]:
    """Say what of the tags is not as it stands in their file: lines left out, images unknown, masks that contradict.

    Raises:
        DataError: The tags cannot be used, or a mask cannot be read.
    """
    supervision = dataset.supervision
    pictures = dataset.pictures("train")
    known = {*dataset.spec.exclude, *(picture.id for picture in pictures)}
    named = {
        "lines of tags are left out or count once": [fault.line for fault in supervision.tag_file.faults],
        "training images have neither tags nor a mask, and are left out": [
            p.id for p in supervision.without_mask("train") if p.id not in known and dataset.spec.tags is not None
        ],
        "masks contradict their images' tags, and are believed": [
            p.id for p in pictures if p.mask is not None and _contradicts(dataset, p)
        ],
    }
    return tuple(
        f"{len(names)} {what}: {', '.join(names[:NAMED])}{' …' * (len(names) > NAMED)}. `perpixel inspect` says more."
        for what, names in named.items()
        if names
    )


def _contradicts(dataset: Dataset, picture: Picture) -> bool:
    """Whether the tags in the file are not those that count, once the mask is looked at."""
    said = dataset.supervision.tag_file.of(picture.id)
    return said is not None and {*said} - {dataset.background} != {*np.flatnonzero(dataset.tags(picture)).tolist()}


def require_empty(out: Path) -> None:
    """Refuse a directory that holds anything but what a run leaves that died before it began.

    Raises:
        UsageError: It holds a run or other files, or cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out: {out} is a file. Name a directory.")
    _require_writable(out)
    leftover = (path.name for path in out.iterdir()) if out.is_dir() else ()
    if all(name == DATASET or name.startswith(".") for name in leftover):
        return
    if (out / RECORD).exists():
        raise UsageError(
            f"--out: {out} already holds a run. Go on with it (`perpixel train --resume {out}`), or name another "
            "directory."
        )
    raise UsageError(f"--out: {out} is not empty. Name a new directory.")


def _require_writable(out: Path) -> None:
    """Refuse a place where nothing can be made, before the data is read."""
    nearest = next(path for path in (out, *out.resolve().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(_unwritable(out, f"{nearest} is {'closed to you' if nearest.is_dir() else 'a file'}"))


def make_run_folder(out: Path) -> None:
    """Make a run's directory.

    Raises:
        UsageError: It cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(_unwritable(out, error.strerror)) from None


def _unwritable(out: Path, reason: str | None) -> str:
    return f"--out: expected a directory that can be made and written, got {out} ({reason}). Name another."


def require_splits(dataset: Dataset) -> None:
    """Refuse data without something to train on and something to validate on, be it with masks or with tags.

    Raises:
        DataError: It says what is missing, and how to make a split.
    """
    missing = [split for split in ("train", "val") if split not in dataset.splits or not dataset.examples(split)]
    what = "images" if dataset.spec.has_tag_file else "pairs"
    if missing == ["val"] and len(dataset.examples("train")) == 1:
        raise DataError(
            f"train: expected at least two {what}, one of them to validate on, got one. Label another image."
        )
    if missing:
        raise _lacking(dataset, missing, what)


def require_masks(dataset: Dataset, model: str) -> None:
    """Refuse data without masks to train on and to validate on.

    Args:
        dataset: Of images with masks or with tags; see `require_splits`.
        model: The network that needs masks.

    Raises:
        DataError: It says where there are none.
    """
    missing = [split for split in ("train", "val") if not dataset.pairs(split)]
    if missing == ["train", "val"]:
        raise DataError(
            f"train: {model} learns from masks, and {dataset.spec.name} has tags alone. Draw masks of some images, or "
            "learn from tags: --model activation-maps."
        )
    if missing:
        raise _lacking(dataset, missing, f"masks for {model}")


def require_labels(dataset: Dataset, model: str, outlined: bool) -> None:
    """Refuse data without a class that could be a tag and, where outlines are learned, without a mask that shows one.

    Raises:
        DataError: It says what is missing.
    """
    if not dataset.taggable:
        raise DataError(
            f"train: {model} learns which classes an image shows, and {dataset.classes[0]} is the only one. Name "
            "classes of things, or choose another --model."
        )
    allowed = [i for i in dataset.taggable if i in dataset.mask_ids]
    if outlined and not any(dataset.tags(pair)[allowed].any() for pair in dataset.pairs("train")):
        names = ", ".join(dataset.classes[i] for i in allowed) or "a class"
        raise DataError(
            f"train: expected training masks that show {names}, for {model} to learn outlines from, found none. Draw "
            "some, or correct `mask_classes` in dataset.yaml."
        )


def _lacking(dataset: Dataset, missing: Sequence[str], what: str) -> DataError:
    return DataError(
        f"train: the data has no usable {what} in {' and '.join(missing)} (it has "
        f"{', '.join(dataset.splits) or 'none'}). Say `splits: {{val: 0.2}}` in dataset.yaml to draw one, and "
        "see `perpixel inspect` for pairs that were left out."
    )
