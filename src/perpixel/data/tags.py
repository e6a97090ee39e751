"""Image-level tags: which classes an image shows, not where.

    image,tags
    train/0001,cat dog              a split and a name; a name alone where only one split has it; or a file
    0002.jpg,traffic light; car     semicolons between names that hold spaces
    0003,                           none of the classes

Columns after these two are further tags where their heads are empty or begin with "tag"; others are not looked at.
Letters with accents count as the same however they are stored (NFC).

Letters: K classes.
"""

import csv
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from perpixel.data.lists import MAX_LIST_BYTES
from perpixel.data.pairs import Picture
from perpixel.data.spec import nearest
from perpixel.errors import DataError

COLUMNS = ("image", "tags")
NAMED = 20  # faults that an error spells out


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file of tags.

    Args:
        kind: A short name for it.
        line: "tags.csv, line 7 (train/0001)".
        message: What was found.
        fix: What to do.
        fatal: Whether nobody can tell what is meant.
    """

    kind: str
    line: str
    message: str
    fix: str
    fatal: bool = True


@dataclass(frozen=True)
class Tags:
    """What a file of tags says.

    Args:
        held: "split/name" -> the ids of its classes, sorted.
        faults: What is wrong.
        path: The file.
    """

    held: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    path: Path | None = None

    def __contains__(self, picture: str) -> bool:
        return picture in self.held

    def of(self, picture: str) -> tuple[int, ...] | None:
        """Return the ids of an image's classes; None where no line names it."""
        return self.held.get(picture)

    def require(self) -> None:
        """Refuse a file that cannot be understood.

        Raises:
            DataError: All of what is wrong is listed.
        """
        wrong = [f"{fault.line}: {fault.message}. {fault.fix}" for fault in self.faults if fault.fatal]
        if wrong:
            shown = [*wrong[:NAMED], *([f"… and {len(wrong) - NAMED} more"] if len(wrong) > NAMED else ())]
            raise DataError(f"tags: expected lines that fit the data, got {len(wrong)} that do not:\n  "
                            + "\n  ".join(shown), wrong)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of the file: its number, the image it names, and its words, by column."""

    number: int
    image: str
    words: tuple[str, ...]


def read_tags(path: Path, root: Path, pictures: Sequence[Picture], classes: Sequence[str]) -> Tags:
    """Read a file of tags.

    Args:
        path: A table with the columns `image` and `tags`, in UTF-8.
        root: The data folder, which file names start from.
        pictures: The images it may name.
        classes: The K names it may use, in the order of their ids.

    Returns: What it says, and what is wrong with it.
    Raises:
        DataError: There is no such file, or no such columns.
    """
    lines = list(_lines(path))
    known, classes = _Names(root, pictures), [composed(name) for name in classes]
    faults: list[Fault] = []
    found: dict[str, list[tuple[Line, tuple[int, ...]]]] = defaultdict(list)
    for line in lines:
        names = tuple(name for words in line.words for name in split_words(words, classes))
        faults.extend(_unknown(path, line, names, classes))
        ids = tuple(sorted({classes.index(name) for name in names if name in classes}))
        meant = known.find(line.image)
        if len(meant) == 1:
            found[meant[0]].append((line, ids))
        else:
            faults.append(_lost(path, line, meant))
    for picture, entries in found.items():
        faults.extend(_repeated(path, picture, entries))
    return Tags({picture: entries[0][1] for picture, entries in found.items()}, tuple(faults), path)


def split_words(words: str, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names in a field of tags: between semicolons where there are any, else between spaces."""
    whole = words.strip()
    if whole in classes:
        return (whole,)
    if ";" in whole:
        return tuple(name for part in whole.split(";") if (name := part.strip()))
    return tuple(whole.split())


def format_tags(rows: Iterable[tuple[str, Sequence[str]]], classes: Sequence[str]) -> str:
    """Return a file's text of (image, names) rows, which reads as it was meant with these classes."""
    return "image,tags\n" + "".join(f"{_quote(image)},{_quote(_join(names, classes))}\n" for image, names in rows)


def unwritable(classes: Sequence[str]) -> list[str]:
    """Return the names that cannot stand in a file of tags."""
    return [name for name in classes if name != name.strip() or set(name) & set(";\t\r\n")]


def composed(text: str) -> str:
    """Return a text whose accents are stored in one way, as macOS's file names and keyboards do not agree on."""
    return unicodedata.normalize("NFC", text)


def _join(names: Sequence[str], classes: Sequence[str]) -> str:
    plain = " ".join(names)
    return plain if split_words(plain, classes) == tuple(names) else "; ".join(names)


def _quote(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\t') else cell


def _lines(path: Path) -> Iterator[Line]:
    """Yield the lines below the head.

    Raises:
        DataError: The head is another, or quotes do not match.
    """
    text = composed(_read_text(path))
    first = text.split("\n", 1)[0]
    mark = next((mark for mark in ",\t;" if mark in first), ",")
    rows = _rows(path, text, mark)
    _, cells = next(rows, (0, []))
    head = tuple(cell.strip().lower() for cell in cells)
    if head[:2] != COLUMNS:
        raise DataError(f"{path}: expected a first line `image,tags`, got {first[:60]!r}. Add it.")
    for number, row in rows:
        if any(cell.strip() for cell in row):
            tags = (cell for index, cell in enumerate(row[1:], 1) if index >= len(head) or _holds_tags(head[index]))
            yield Line(number, row[0].strip(), tuple(cell for cell in tags if cell.strip()))


def _rows(path: Path, text: str, mark: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every line's number and cells; a cell of several lines is a quote gone astray."""
    rows = csv.reader(text.splitlines(), delimiter=mark, strict=True)
    for number in count(1):
        try:
            row = next(rows, None)
        except csv.Error:
            raise _quotes(path, number) from None
        if row is None:
            return
        if rows.line_num != number:
            raise _quotes(path, number)
        yield number, row


def _quotes(path: Path, number: int) -> DataError:
    return DataError(f"{path}, line {number}: expected quotes around whole cells, got others. Close or delete them.")


def _holds_tags(head: str) -> bool:
    return not head or head.startswith("tag")


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise DataError(f"{path}: expected a table of at most {MAX_LIST_BYTES:,} bytes, got more. Split it.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"tags: expected a table of tags at {path}, cannot read it ({error.strerror}). "
            "Correct `tags` in dataset.yaml."
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected text in UTF-8, got something else. Save it as UTF-8.") from None


class _Names:
    """Every way to name an image: with its split, by its file, alone; the surest that fits is taken."""

    def __init__(self, root: Path, pictures: Sequence[Picture]) -> None:
        self.tiers: tuple[dict[str, set[str]], ...] = (defaultdict(set), defaultdict(set), defaultdict(set))
        for picture in pictures:
            for tier, names in zip(self.tiers, _aliases(root, picture), strict=True):
                for name in names:
                    tier[composed(name)].add(picture.id)

    def find(self, name: str) -> tuple[str, ...]:
        """Return the images that a name may mean, as "split/name"."""
        plain = composed(name).replace("\\", "/").removeprefix("./")
        return next((tuple(sorted(tier[plain])) for tier in self.tiers if plain in tier), ())


def _aliases(root: Path, picture: Picture) -> tuple[tuple[str, ...], ...]:
    image = picture.image
    inside = image.relative_to(root).as_posix() if image.is_relative_to(root) else image.as_posix()
    return (
        (picture.id, picture.id + image.suffix),
        (picture.name, picture.name + image.suffix, inside),
        (image.name, image.stem),
    )


def _unknown(path: Path, line: Line, names: Sequence[str], classes: Sequence[str]) -> Iterator[Fault]:
    for name in dict.fromkeys(names):
        if name not in classes:
            fix = f"{nearest(name, classes)} Known: {', '.join(classes)}.".strip()
            yield Fault("unknown tag", _place(path, line), f"tagged {name!r}, which is no class", fix)


def _lost(path: Path, line: Line, meant: Sequence[str]) -> Fault:
    if meant:
        message = f"the image may be {' or '.join(meant)}"
        return Fault("tags for several images", _place(path, line), message, f"Say which: {meant[0]}.")
    fix = "Correct the name, or delete the line. It is left out."
    return Fault("tags without image", _place(path, line), "there is no such image", fix, fatal=False)


def _repeated(path: Path, picture: str, entries: Sequence[tuple[Line, tuple[int, ...]]]) -> Iterator[Fault]:
    first = entries[0]
    for line, ids in entries[1:]:
        message = f"{picture} has a line already, {first[0].number}"
        if ids == first[1]:
            yield Fault("tags twice", _place(path, line), f"{message}, which says the same",
                        "Delete one. It counts once.", fatal=False)  # fmt: skip
        else:
            yield Fault("tags twice", _place(path, line), f"{message}, which says otherwise", "Keep the right one.")


def _place(path: Path, line: Line) -> str:
    return f"{path.name}, line {line.number} ({line.image})"
