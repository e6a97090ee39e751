"""Files that take their place whole, from temporary ones that a killed process may leave and the next one removes."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

PREFIX, SUFFIX = ".perpixel-", ".tmp"
_COUNT = itertools.count()


def replace(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside `path`, then take its place in one step: a reader finds the old file, the new one, or none.

    The temporary name is short, so that any name that fits into the folder can be written. Nothing is flushed to
    the disk; that is the system's affair, and a prediction that a power failure took is made again.

    Raises:
        OSError: The file cannot be written; what was there is still there.
    """
    beside = path.with_name(f"{PREFIX}{os.getpid()}-{next(_COUNT)}{SUFFIX}")
    try:
        write(beside)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path) -> int:
    """Remove what processes that were killed had begun to write below a folder; return how many files."""
    found = list(_leftovers(folder))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _leftovers(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder):
        yield from (Path(where, name) for name in names if name.startswith(PREFIX) and name.endswith(SUFFIX))
