"""Read annotation files within bounds, and complain in one voice."""

import json
from pathlib import Path
from typing import Any

from perpixel.errors import DataError

MAX_BYTES = 2 << 30  # COCO's largest file has 0.45 GB


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file's object.

    Raises:
        DataError: No file, too large, or something else.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: expected at most {MAX_BYTES:,} bytes, got {size:,}. Split the file.")
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: expected annotations, cannot read them ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise broken(path, f"expected JSON, got something else ({error})") from None
    if not isinstance(values, dict):
        raise broken(path, f"expected a JSON object, got {type(values).__name__}")
    return values


def broken(path: Path, problem: str, where: str = "") -> DataError:
    """Return the error for a file that does not say what its format says it must."""
    place = f"{path}, {where}" if where else str(path)
    return DataError(f"{place}: {problem}. Export it again, or leave it out: `exclude` in dataset.yaml.")
