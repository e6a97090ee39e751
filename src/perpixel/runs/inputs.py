"""Find the images that people name, and give each a name of its own below the output folder.

photos/            every image in it and below; the name is the path below photos, without its suffix
photos/*.jpg       likewise, below photos
photo.jpg          the name is photo
"""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perpixel.data.images import is_image_name, list_images
from perpixel.errors import UsageError


@dataclass(frozen=True)
class Input:
    """One image to predict.

    Args:
        source: The file.
        name: Where its outputs go, below the output folder; no two are alike, whatever the case of letters.
    """

    source: Path
    name: str


@dataclass(frozen=True)
class Failure:
    """Something that was asked for and could not be done."""

    source: str
    reason: str


def find_inputs(words: Sequence[str], out: Path) -> tuple[list[Input], list[Failure]]:
    """Return the images behind files, folders and patterns, and the words that name none.

    What lies in the output folder is no input, unless it is named file by file.

    Raises:
        UsageError: No image at all; the output folder is an input folder; or two images cannot be told apart.
    """
    found: dict[Path, tuple[Path, Path]] = {}  # the real file -> as given, and the folder its name starts from
    failures = []
    for word in words:
        files = _files(word, out)
        failures += [] if files else [Failure(word, "no image there. Check the path")]
        for path, base in files:
            found.setdefault(path.resolve(), (path, base))
    if not found:
        raise UsageError(f"predict: expected images, found none in {', '.join(words)}. Check the paths.")
    return _name(list(found.values())), failures


def _files(word: str, out: Path) -> list[tuple[Path, Path]]:
    """Return (file, the folder its name starts from) of one word."""
    path = Path(word)
    if path.is_dir():
        if path.resolve() == out.resolve():
            raise UsageError(
                f"predict: expected --out to be another folder than the images', got {out} for both. "
                "Predictions would mix with images."
            )
        return [(file, path) for file in _without(out, list_images(path))]
    if path.exists():
        return [(path, path.parent)]
    if not glob.has_magic(word):
        return []
    base = _fixed_part(path)
    names = glob.glob(str(path.relative_to(base)), root_dir=base, recursive=True)
    files = [base / name for name in sorted(names) if is_image_name(Path(name).name) and (base / name).is_file()]
    return [(file, base) for file in _without(out, files)]


def _without(out: Path, files: Iterable[Path]) -> list[Path]:
    folder = out.resolve()
    return [file for file in files if not file.resolve().is_relative_to(folder)]


def _fixed_part(pattern: Path) -> Path:
    """Return the folders of a pattern that exist as they are written: brackets may be part of a name."""
    base = Path(pattern.anchor)
    for part in pattern.relative_to(base).parts[:-1]:
        if not (base / part).is_dir():
            break
        base /= part
    return base


def _name(files: list[tuple[Path, Path]]) -> list[Input]:
    """Name each by its stem; where stems clash, by what tells the files apart."""
    names = [_short(path.relative_to(base)) for path, base in files]
    names = _tell_apart(names, [path for path, _ in files])
    counts = Counter(name.casefold() for name in names)
    for (path, _), name in zip(files, names, strict=True):
        if counts[name.casefold()] > 1:
            raise UsageError(
                f"predict: expected images whose outputs differ in name, got several called {name!r}, one of them "
                f"{path}. Predict them into separate folders."
            )
    return [Input(path, name) for (path, _), name in zip(files, names, strict=True)]


def _tell_apart(names: list[str], paths: list[Path]) -> list[str]:
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(name.casefold(), []).append(index)
    result = list(names)
    for members in (group for group in groups.values() if len(group) > 1):
        real = [paths[index].resolve() for index in members]
        common = _common_folder(real)
        longer = [_short(path.relative_to(common)) for path in real]
        counts = Counter(name.casefold() for name in longer)
        for index, path, name in zip(members, real, longer, strict=True):
            same = counts[name.casefold()] > 1  # x.jpg and x.png side by side
            result[index] = path.relative_to(common).as_posix() if same else name
    return result


def _common_folder(paths: list[Path]) -> Path:
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # on different drives
        raise UsageError(
            f"predict: expected images on one drive where names are alike, got {paths[0]} and {paths[-1]}. "
            "Predict them into separate folders."
        ) from None


def _short(path: Path) -> str:
    """Drop the suffix, unless the name would then look like another image's overlay or uncertainty."""
    stem = path.with_suffix("")
    return (path if stem.name.casefold().endswith((".overlay", ".uncertainty")) else stem).as_posix()
