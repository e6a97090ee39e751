"""What became of each image of a folder: one document at the end, and a journal that survives whatever comes first.

OUT/predictions.json      written at growing intervals and at the end, in time that is a small share of the whole
    .predictions.jsonl    one line as each image is done; locked while a process predicts; gone when it ends in order
"""

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, overload

from perpixel.errors import UsageError
from perpixel.inference.seams import Seams
from perpixel.runs.predicting.inputs import Failure
from perpixel.training.files import write_atomically

RECORD = "predictions.json"
JOURNAL = ".predictions.jsonl"


class Entries(Sequence[dict[str, Any]]):
    """A long list of small JSON objects, kept as text: a tenth of a dict's memory, and ready to be written."""

    def __init__(self, entries: Iterable[dict[str, Any]] = ()) -> None:
        self.lines = [to_line(entry) for entry in entries]

    def append(self, entry: dict[str, Any]) -> None:
        """Add one."""
        self.lines.append(to_line(entry))

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | Sequence[dict[str, Any]]:
        if isinstance(index, slice):
            return [json.loads(line) for line in self.lines[index]]
        entry: dict[str, Any] = json.loads(self.lines[index])
        return entry


@dataclass
class Predictions:
    """What became of each image.

    Args:
        made_by: The run, its weights and the options: what all predictions in one folder have in common.
        done: Predicted now.
        skipped: Already there.
        failed: Not predicted, and why.
        sources: Name -> its image's path relative to the folder, of everything that was ever predicted into it.
        finished: All images were tried.
        replacing: Other files of these names may be there that were made otherwise, until all is finished.
        prepared: Which way each layer is computed, where that was measured; a rerun computes likewise.
        seams: How neighbouring tiles agree.
    """

    made_by: dict[str, Any]
    done: Entries = field(default_factory=Entries)
    skipped: Entries = field(default_factory=Entries)
    failed: list[Failure] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    finished: bool = False
    replacing: bool = False
    prepared: dict[str, str] | None = None
    seams: Seams = field(default_factory=Seams)

    @property
    def warnings(self) -> list[str]:
        """What a user of the predictions must know."""
        return [self.seams.warning] if self.seams.warning else []

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "made_by": self.made_by,
            "done": list(self.done),
            "skipped": list(self.skipped),
            "failed": [asdict(failure) for failure in self.failed],
            "sources": self.sources,
            "finished": self.finished,
            "replacing": self.replacing,
            "prepared": self.prepared,
            "warnings": self.warnings,
        }

    def lines(self) -> Iterator[str]:
        """Yield the same document as text, an entry a line; the whole is never in memory."""
        yield f'{{\n"made_by": {json.dumps(self.made_by, indent=2, ensure_ascii=False)}'
        yield from _list("done", self.done.lines)
        yield from _list("skipped", self.skipped.lines)
        yield from _list("failed", (to_line(asdict(failure)) for failure in self.failed))
        sources = (f"{to_line(name)}: {to_line(source)}" for name, source in sorted(self.sources.items()))
        yield from _list("sources", sources, "{}")
        for name in ("finished", "replacing", "prepared", "warnings"):
            yield f',\n"{name}": {to_line(getattr(self, name))}'
        yield "\n}\n"

    def write(self, out: Path) -> None:
        """Write `predictions.json` in one step."""

        def write(beside: Path) -> None:
            # a name that is no UTF-8 has lone surrogates: written as \udcff, which JSON reads back
            with beside.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(self.lines())

        write_atomically(out / RECORD, write)


def to_line(value: Any) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def _list(name: str, lines: Iterable[str], brackets: str = "[]") -> Iterator[str]:
    yield f',\n"{name}": {brackets[0]}'
    separator = "\n"
    for line in lines:
        yield f"{separator}  {line}"
        separator = ",\n"
    yield ("\n" if separator != "\n" else "") + brackets[1]


@dataclass
class Earlier:
    """What is known of the predictions that a folder holds."""

    made_by: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    replacing: bool = False
    prepared: dict[str, str] | None = None

    @classmethod
    def read(cls, document: str | bytes, journal: Iterable[bytes] = ()) -> "Earlier":
        """Read a folder's record, and what its journal adds; what is damaged or torn says nothing."""
        found = cls()
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            found._add(json.loads(document))
        for line in journal:
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                found._add(json.loads(line))
        return found

    def _add(self, told: dict[str, Any]) -> None:
        if "made_by" in told:
            self._begin(dict(told["made_by"]), bool(told.get("replacing", False)))
        sources = {str(name): str(source) for name, source in told.get("sources", {}).items()}
        self.sources.update(sources)
        if told.get("prepared") is not None:
            self.prepared = {str(name): str(way) for name, way in told["prepared"].items()}

    def _begin(self, made_by: dict[str, Any], replacing: bool) -> None:
        if replacing and different(made_by, self.made_by):
            self.sources, self.prepared = {}, None
        self.made_by, self.replacing = made_by, replacing


def read_earlier(out: Path, journal: Sequence[bytes]) -> Earlier:
    """Return what a folder's record and journal say."""
    try:
        document = (out / RECORD).read_bytes()
    except OSError:
        document = b""
    return Earlier.read(document, journal)


def different(made_by: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return in what two ways of making predictions differ; where runs lie does not matter."""
    ours, theirs = without_runs(made_by), without_runs(other)
    return [key for key in ours if key in theirs and theirs[key] != ours[key]]


def without_runs(told: dict[str, Any]) -> dict[str, Any]:
    """Return plain values without what `run` says, at any depth: weights have hashes that identify them."""
    return {
        key: without_runs(value) if isinstance(value, dict) else value for key, value in told.items() if key != "run"
    }


class Journal:
    """The lines that a folder's predictions leave as they are made.

    Args:
        out: The folder; it exists.

    Attributes:
        lines: What an earlier process left that did not end in order.
        settled: All that it says is in `predictions.json`; it is then removed at the end.

    Raises:
        UsageError: Another process is predicting into the folder.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / JOURNAL
        self._lock = threading.Lock()
        self._file = _open_locked(self.path)
        self.lines = self._file.read().splitlines()
        self.settled = not self.lines

    def add(self, told: dict[str, Any]) -> None:
        """Write one line; where the disk is full, do without: the files themselves say what is done."""
        line = b"\n" + to_line(told).encode("utf-8", "backslashreplace")  # an earlier one may be torn
        with self._lock, contextlib.suppress(OSError):
            self.settled = False
            self._file.write(line)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the folder, and remove the journal unless it is still needed."""
        if self.settled:
            self.path.unlink(missing_ok=True)
        self._file.close()


def _open_locked(path: Path) -> BinaryIO:
    while True:
        file = path.open("a+b", buffering=0)
        try:
            _lock(file)
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                file.seek(0)
                return file
        except BlockingIOError:
            file.close()
            raise UsageError(
                f"predict: expected to be alone in {path.parent}, but another process is predicting into it. "
                "Wait for it, or use another --out."
            ) from None
        except FileNotFoundError:  # that process has just ended and taken it away
            pass
        file.close()


def _lock(file: Any) -> None:
    """Lock a file until it is closed or the process dies; where the system cannot, do without."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # some network drives
        return
