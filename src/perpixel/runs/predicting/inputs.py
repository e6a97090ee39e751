"""Find the images that people name, and give each a name of its own below the output folder.

photos/            every image in it and below; the name is the path below photos, without its suffix
photos/*.jpg       likewise, below photos
photo.jpg          the name is photo

Films are inputs where they are named, or match a pattern; in a folder, only images are.
"""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, overload

from perpixel.data.images import is_image_name
from perpixel.data.videos.library import is_video_name
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


class Inputs(Sequence[Input]):
    """Many images, kept as text: a hundred thousand take some 25 MB.

    Args:
        paths: The files.
        names: One each.
    """

    def __init__(self, paths: Sequence[str], names: Sequence[str]) -> None:
        self._paths, self._names = paths, names

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Input: ...
    @overload
    def __getitem__(self, index: slice) -> "Inputs": ...
    def __getitem__(self, index: int | slice) -> "Input | Inputs":
        if isinstance(index, slice):
            return Inputs(self._paths[index], self._names[index])
        return Input(Path(self._paths[index]), self._names[index])


def without(inputs: Sequence[Input], kind: Callable[[Path], bool]) -> tuple[Sequence[Input], list[Input]]:
    """Return the inputs whose file is not of some kind, and those that are."""
    taken = [item for item in inputs if kind(item.source)]
    if not taken:
        return inputs, []
    names = {item.name for item in taken}
    rest = [item for item in inputs if item.name not in names]
    return Inputs([str(item.source) for item in rest], [item.name for item in rest]), taken


@dataclass(frozen=True)
class Failure:
    """Something that was asked for and could not be done."""

    source: str
    reason: str


class _File(NamedTuple):
    """A file as given, as seen from the folder that its name starts from, and where it really is."""

    path: str
    below: str
    real: str


def find_inputs(words: Sequence[str], out: Path) -> tuple[Inputs, list[Failure]]:
    """Return the images behind files, folders and patterns, and the words and folders that give none.

    What lies in the output folder is no input, unless it is named file by file.

    Raises:
        UsageError: No image at all; the output folder is an input folder; or two images cannot be told apart.
    """
    found: dict[str, _File] = {}
    failures: list[Failure] = []
    for word in words:
        before = len(failures)
        files = list(_files(word, out, failures))
        for file in files:
            found.setdefault(file.real, file)
        if not files and len(failures) == before:
            failures.append(Failure(word, "no image there. Check the path"))
    if not found:
        where = ", ".join(words) if not failures else "; ".join(f"{one.source}: {one.reason}" for one in failures[:3])
        raise UsageError(f"predict: expected images, found none ({where}). Check the paths.")
    return _name(list(found.values())), failures


def _files(word: str, out: Path, failures: list[Failure]) -> Iterator[_File]:
    """Yield the files of one word."""
    path = Path(word)
    away = os.path.realpath(out)
    if path.is_dir():
        if os.path.realpath(path) == away:
            raise UsageError(
                f"predict: expected --out to be another folder than the images', got {out} for both. "
                "Predictions would mix with images."
            )
        yield from sorted(_walk(str(path), "", os.path.realpath(path), away, failures), key=lambda file: file.below)
    elif os.path.lexists(path):
        yield _File(str(path), path.name, os.path.realpath(path))
    elif glob.has_magic(word):
        yield from _matches(path, away)


def _walk(folder: str, below: str, real: str, away: str, failures: list[Failure]) -> Iterator[_File]:
    """Yield the images in a folder and below, except in `away`; a folder that cannot be read is a failure."""
    if real == away:
        return
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
    except OSError as error:
        failures.append(Failure(folder, f"the folder cannot be read ({error.strerror}). Mend its permissions"))
        return
    for entry in listed:
        name = below + entry.name
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith((".", "__MACOSX")):
                yield from _walk(entry.path, name + "/", os.path.join(real, entry.name), away, failures)
        elif is_image_name(entry.name) and not _is_link_to_folder(entry):
            yield from _outside(_File(entry.path, name, _real(entry, real)), away)


def _is_link_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a link to itself: it will fail as an image
        return False


def _real(entry: os.DirEntry[str], folder: str) -> str:
    return os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(folder, entry.name)


def _outside(file: _File, away: str) -> Iterator[_File]:
    if not file.real.startswith(away.rstrip(os.sep) + os.sep):
        yield file


def _matches(pattern: Path, away: str) -> Iterator[_File]:
    """Yield the images that a pattern matches."""
    base = _fixed_part(pattern)
    for name in sorted(glob.glob(str(pattern.relative_to(base)), root_dir=base, recursive=True)):
        path = str(base / name)
        base_name = os.path.basename(name)
        if (is_image_name(base_name) or is_video_name(base_name)) and not os.path.isdir(path):
            yield from _outside(_File(path, name.replace(os.sep, "/"), os.path.realpath(path)), away)


def _fixed_part(pattern: Path) -> Path:
    """Return the folders of a pattern that exist as they are written: brackets may be part of a name."""
    base = Path(pattern.anchor)
    for part in pattern.relative_to(base).parts[:-1]:
        if not (base / part).is_dir():
            break
        base /= part
    return base


def _name(files: list[_File]) -> Inputs:
    """Name each by its stem; where stems clash, by what tells the files apart."""
    names = _tell_apart([_short(file.below) for file in files], files)
    counts = Counter(name.casefold() for name in names)
    for file, name in zip(files, names, strict=True):
        if counts[name.casefold()] > 1:
            raise UsageError(
                f"predict: expected images whose outputs differ in name, got several called {name!r}, one of them "
                f"{file.path}. Predict them into separate folders."
            )
    return Inputs([file.path for file in files], names)


def name_inputs(below: Sequence[str]) -> list[str]:
    """Name files of one folder by their stems, or whole where stems clash."""
    names = [_short(name) for name in below]
    counts = Counter(name.casefold() for name in names)
    return [whole if counts[name.casefold()] > 1 else name for whole, name in zip(below, names, strict=True)]


def _tell_apart(names: list[str], files: list[_File]) -> list[str]:
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(name.casefold(), []).append(index)
    result = list(names)
    for members in (group for group in groups.values() if len(group) > 1):
        whole = [files[index].below for index in members]
        if len({name.casefold() for name in whole}) == len(members):  # x.jpg and x.png side by side
            for index, name in zip(members, whole, strict=True):
                result[index] = name
            continue
        real = [Path(files[index].real) for index in members]
        common = _common_folder(real)
        longer = [_short(path.relative_to(common).as_posix()) for path in real]
        counts = Counter(name.casefold() for name in longer)
        for index, path, name in zip(members, real, longer, strict=True):
            same = counts[name.casefold()] > 1
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


def _short(name: str) -> str:
    """Drop the suffix, unless the name would then look like another image's overlay, uncertainty or probabilities."""
    stem = os.path.splitext(name)[0]
    return name if stem.casefold().endswith((".overlay", ".uncertainty", ".probabilities")) else stem
