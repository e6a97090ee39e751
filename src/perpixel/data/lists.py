"""Read text files that list names or paths; a listed path never leaves the data folder."""

import os
import re
from pathlib import Path

from perpixel.errors import DataError

MAX_LIST_BYTES = 256 << 20


def is_list(word: str) -> bool:
    """Say whether a split's word is a list file."""
    return word.lower().endswith((".txt", ".lst", ".csv"))


def read_list(path: Path) -> list[str]:
    """Return the lines of a text file that say something.

    Raises:
        DataError: No file, too large, or no text.
    """
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise DataError(f"{path}: expected a list of at most {MAX_LIST_BYTES:,} bytes, got more. Split it.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        raise DataError(f"data: expected a list of names at {path}, found none. Correct `splits`.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected text in UTF-8, got something else. Save it as UTF-8.") from None
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def split_line(line: str) -> list[str]:
    """Return the columns of a list's line: by tab, semicolon or comma, else by white space."""
    for mark in ("\t", ";", ","):
        if mark in line:
            return [part.strip() for part in line.split(mark) if part.strip()]
    return line.split()


def resolve_inside(root: Path, name: str, source: Path, start: Path | None = None) -> Path:
    """Return the path that a file names, which must stay inside the data folder.

    Args:
        root: The data folder.
        name: A relative path.
        source: The file that names it, for the error.
        start: The folder that the path starts from, where that is not the root.

    Raises:
        DataError: It is absolute, or leaves the folder.
    """
    plain = name.replace("\\", "/")
    start = root if start is None else start
    absolute = plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or "\0" in plain
    path = start if absolute else start / plain
    if absolute or not any(path.resolve().is_relative_to(folder.resolve()) for folder in (root, start)):
        raise DataError(
            f"{source}: expected paths inside {root}, got {name!r}. Make it relative, without leaving that folder."
        )
    return Path(os.path.normpath(path))
