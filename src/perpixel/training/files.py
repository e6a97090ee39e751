"""Files of a run: written whole or not at all, so that a run can be resumed whenever the process dies."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from perpixel.errors import RunError

MODEL = "model.safetensors"
CHECKPOINT = "last.ckpt"
METRICS = "metrics.csv"


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside `path`, flush to the disk, then take its place in one step."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.touch()
        mode = beside.stat().st_mode
        write(beside)
        beside.chmod(mode)  # safetensors writes files that only their owner can read; runs are meant to be sent
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def save_model(path: Path, state: dict[str, Tensor], facts: dict[str, str]) -> None:
    """Store weights and buffers as safetensors; `facts` say what they scored."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_atomically(path, lambda beside: save_file(tensors, beside, metadata={"format": "pt", **facts}))


def load_model(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read weights and the facts stored with them.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
        return load_file(path), facts
    except Exception as error:
        raise RunError(
            f"load: {path} is not a readable model ({error}). Train again, or resume the run with "
            f"`perpixel train --resume {path.parent}`."
        ) from None


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Store everything needed to go on."""
    write_atomically(path, lambda beside: torch.save(state, beside))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Raises:
        RunError: The file is missing, damaged, or holds anything but tensors and plain values.
    """
    if not path.exists():
        raise RunError(
            f"resume: {path.parent} has no {path.name}. Training stopped before its first checkpoint, or this "
            "is not a run directory; start again with `perpixel train DATA --out ...`."
        )
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(
            f"resume: {path} is damaged ({reason}). Start again with a new --out, from what this run has reached: "
            f"perpixel train DATA --weights {path.parent}."
        ) from None
    return state


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a table as CSV, one row a validation."""

    def write(beside: Path) -> None:
        with beside.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)

    write_atomically(path, write)
