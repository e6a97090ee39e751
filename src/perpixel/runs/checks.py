"""What is looked at before a run begins: that its place is free, and that its data has what training needs."""

import os
from pathlib import Path

from perpixel.data.dataset import Dataset
from perpixel.errors import DataError, UsageError
from perpixel.runs.run import DATASET, RECORD

NAMED = 8  # pairs left out that are named one by one


def left_out(dataset: Dataset) -> tuple[str, ...]:
    """Say which pairs are not trained on."""
    names = dataset.spec.exclude
    if not names:
        return ()
    shown = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
    return (f"{len(names)} pairs are left out: {shown}. `perpixel inspect` says why.",)


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
    """Refuse data without something to train on and something to validate on.

    Raises:
        DataError: It says what is missing, and how to make a split.
    """
    missing = [split for split in ("train", "val") if split not in dataset.splits or not dataset.pairs(split)]
    if missing == ["val"] and len(dataset.pairs("train")) == 1:
        raise DataError("train: expected at least two pairs, one of them to validate on, got one. Label another image.")
    if missing:
        raise DataError(
            f"train: the data has no usable pairs in {' and '.join(missing)} (it has "
            f"{', '.join(dataset.splits) or 'none'}). Say `splits: {{val: 0.2}}` in dataset.yaml to draw one, and "
            "see `perpixel inspect` for pairs that were left out."
        )
