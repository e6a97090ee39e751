"""Where the predictions of a cluster go: a folder that all its machines see, or an address of fsspec's.

A destination remembers what it holds, says of an image whether there is anything to do, and keeps the record.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from perpixel.errors import UsageError
from perpixel.runs.predicting.inputs import Failure, Input, find_inputs, name_inputs
from perpixel.runs.predicting.places import Places, map_names, names_of
from perpixel.runs.predicting.record import RECORD, Earlier, Journal, Predictions, read_earlier
from perpixel.runs.predicting.remote import RemoteFolder, is_address
from perpixel.runs.predicting.steps import Wanted


class Row(NamedTuple):
    """An image to predict.

    Attributes:
        source: A path or an address.
        name: Where its outputs go.
        changed: When an image behind an address was changed, in seconds since 1970, where that is known.
    """

    source: str
    name: str
    changed: float | None = None


class Destination(Protocol):
    """Where predictions go."""

    def earlier(self) -> Earlier:
        """Return what is known of what it holds."""

    def prepare(self, rows: Sequence[Row], wanted: Wanted, record: Predictions) -> None:
        """Get to know what is to be done, before `is_done`."""

    def is_done(self, row: Row) -> bool:
        """Say whether an image's files are there.

        Raises:
            UsageError: They must not be written.
        """

    def begin(self, record: Predictions) -> None:
        """Remember how predictions are made, before the first is."""

    def note(self, name: str, origin: str) -> None:
        """Remember that an image is done, whatever happens."""

    def keep(self, record: Predictions) -> None:
        """Write the record."""

    def origin(self, row: Row) -> str:
        """Return an image's path as seen from here, or its address."""


class LocalDestination:
    """A folder that all machines see by the same path."""

    def __init__(self, out: Path, journal: Journal) -> None:
        self.out, self.journal = out, journal

    def earlier(self) -> Earlier:
        """See `Destination`."""
        return read_earlier(self.out, self.journal.lines)

    def prepare(self, rows: Sequence[Row], wanted: Wanted, record: Predictions) -> None:
        """See `Destination`."""
        inputs = [Input(Path(row.source), row.name) for row in rows if not is_address(row.source)]
        self.places = Places(self.out, wanted.suffixes, inputs, record.sources, wanted.overwrite, map_names(inputs))

    def is_done(self, row: Row) -> bool:
        """See `Destination`."""
        if not is_address(row.source):
            item = Input(Path(row.source), row.name)
            self.places.check(item)
            return self.places.is_done(item)
        paths = self.places.paths(Input(Path(row.name), row.name))
        return all(path.is_file() and path.stat().st_mtime >= (row.changed or 0) for path in paths)

    def begin(self, record: Predictions) -> None:
        """See `Destination`."""
        told = {"made_by": record.made_by, "replacing": record.replacing, "prepared": record.prepared}
        self.journal.add(told)

    def note(self, name: str, origin: str) -> None:
        """See `Destination`."""
        self.journal.add({"sources": {name: origin}})

    def keep(self, record: Predictions) -> None:
        """See `Destination`."""
        record.write(self.out)
        self.journal.settled = True

    def origin(self, row: Row) -> str:
        """See `Destination`."""
        return row.source if is_address(row.source) else self.places.relative(Input(Path(row.source), row.name))


class RemoteDestination:
    """A folder behind an address. Nothing can be appended to a file there, so there is no journal."""

    def __init__(self, folder: RemoteFolder) -> None:
        self.folder = folder

    def earlier(self) -> Earlier:
        """See `Destination`."""
        return Earlier.read(self.folder.read(RECORD))

    def prepare(self, rows: Sequence[Row], wanted: Wanted, record: Predictions) -> None:
        """See `Destination`."""
        self.suffixes, self.done, self.sources = wanted.suffixes, self.folder.done(), dict(record.sources)
        self.overwrite = wanted.overwrite
        self.maps = map_names(Input(Path(row.source), row.name) for row in rows if not is_address(row.source))

    def is_done(self, row: Row) -> bool:
        """See `Destination`."""
        earlier = self.sources.get(row.name, row.source)
        names = names_of(row.name, self.suffixes, row.name in self.maps)
        if earlier != self.origin(row) and names[0] in self.done and not self.overwrite:
            raise UsageError(
                f"{names[0]} was made from {earlier}, another image of the same name. Use another --out, or --overwrite"
            )
        changed = row.changed if is_address(row.source) else os.stat(row.source).st_mtime
        return all(name in self.done and (self.done[name] or 0) >= (changed or 0) for name in names)

    def begin(self, record: Predictions) -> None:
        """See `Destination`."""
        self.keep(record)

    def note(self, name: str, origin: str) -> None:
        """See `Destination`."""

    def keep(self, record: Predictions) -> None:
        """See `Destination`."""
        self.folder.write(RECORD, "".join(record.lines()).encode("utf-8", "backslashreplace"))

    def origin(self, row: Row) -> str:
        """See `Destination`."""
        return row.source if is_address(row.source) else os.path.realpath(row.source)


def find_rows(words: Sequence[str], out: str) -> tuple[list[Row], list[Failure]]:
    """Return the images behind files, folders, patterns and addresses, and the words that name none.

    Raises:
        UsageError: No image at all, or two cannot be told apart.
    """
    rows: list[Row] = []
    failures: list[Failure] = []
    for word in filter(is_address, words):
        folder = RemoteFolder(word)
        found = folder.images()
        below = {name or word.rsplit("/", 1)[-1]: (folder.at(name), changed) for name, changed in found.items()}
        names = name_inputs(list(below))
        rows += [Row(source, name, changed) for (source, changed), name in zip(below.values(), names, strict=True)]
        failures += [] if found else [Failure(word, "no image there. Check the address")]
    here = [word for word in words if not is_address(word)]
    if here:
        inputs, missing = find_inputs(here, Path(os.devnull) / "nowhere" if is_address(out) else Path(out))
        rows += [Row(os.path.abspath(item.source), item.name) for item in inputs]
        failures += missing
    if not rows:
        raise UsageError(f"predict: expected images, found none in {', '.join(words)}. Check the paths.")
    _refuse_equal_names(rows)
    return rows, failures


def _refuse_equal_names(rows: Sequence[Row]) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        other = seen.setdefault(row.name.casefold(), row.source)
        if other != row.source:
            raise UsageError(
                f"predict: expected images whose outputs differ in name, got {other} and {row.source}. "
                "Predict them into separate folders."
            )
