"""A raster's prediction while it is being made: finished rows of tiles on the disk, and a journal of them.

    .NAME.unfinished/journal    one line about how it is made, one about which way each layer is computed where that
                                was measured, then one for each row of tiles, once it is whole
                     tiles      the compressed tiles, one after another
                     carry      what tiles and those below them share, where that is much

A killed process leaves all of it; the next one goes on after the last whole line.
"""

import contextlib
import itertools
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from perpixel.errors import DataError, UsageError

VERSION = 2
JOURNAL, TILES, CARRY = "journal", "tiles", "carry"


class Unfinished:
    """The working folder of one raster; a context manager, as it locks the folder.

    Args:
        target: The file that it will become.
        made_by: What decides its contents, as plain values. What was made otherwise is thrown away.

    Attributes:
        ways: Which way each layer is computed; None where nobody said so.

    Raises:
        UsageError: Another process is making it.
    """

    def __init__(self, target: Path, made_by: dict[str, Any]) -> None:
        self.folder = target.with_name(f".{target.name}.unfinished")
        self.header = json.loads(json.dumps({"version": VERSION, **made_by}))
        self.entries: list[dict[str, Any]] = []
        self.ways: dict[str, str] | None = None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.journal = (self.folder / JOURNAL).open("a+b")
        self.tiles = (self.folder / TILES).open("a+b")
        try:
            _lock(self.journal, target)
            self._recover()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Unfinished":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rows(self) -> int:
        """How many rows of the raster are done."""
        return int(self.entries[-1]["rows"]) if self.entries else 0

    @property
    def length(self) -> int:
        """Bytes of all tiles."""
        return sum(sum(entry["lengths"]) for entry in self.entries)

    @property
    def carry(self) -> Path:
        """Where what is carried may lie."""
        return self.folder / CARRY

    def note_ways(self, ways: dict[str, str]) -> None:
        """Keep which way each layer is computed, so that the rest is computed likewise."""
        self.ways = ways
        self._write_line({"ways": ways})

    def add(self, rows: int, tiles: Iterable[bytes]) -> None:
        """Keep a row of tiles, first itself and then the line that says so.

        Args:
            rows: How many rows of the raster are then done.
            tiles: From left to right; of several kinds one after another. One is in memory at a time.
        """
        lengths, sums = [], []
        for tile in tiles:
            self.tiles.write(tile)
            lengths.append(len(tile))
            sums.append(zlib.crc32(tile))
        _to_disk(self.tiles)
        entry = {"rows": rows, "lengths": lengths, "sums": sums}
        self._write_line(entry)
        self.entries.append(entry)

    def length_of(self, part: slice) -> int:
        """Return the bytes of a part of every row's tiles."""
        return sum(sum(entry["lengths"][part]) for entry in self.entries)

    def read_tiles(self, part: slice = slice(None)) -> Iterator[bytes]:
        """Yield the tiles, or a part of every row's.

        Raises:
            DataError: They are no longer what was written.
        """
        start = 0
        for entry in self.entries:
            places = itertools.accumulate(entry["lengths"], initial=start)
            for place, length, told in list(zip(places, entry["lengths"], entry["sums"], strict=False))[part]:
                self.tiles.seek(place)
                tile = self.tiles.read(length)
                if zlib.crc32(tile) != told:
                    raise DataError(
                        f"predict: the half-made prediction in {self.folder} is damaged. Remove it, and start again."
                    )
                yield tile
            start += sum(entry["lengths"])

    def discard(self) -> None:
        """Remove the folder."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Let the files go; what is in them stays."""
        self.journal.close()
        self.tiles.close()

    def _recover(self) -> None:
        """Take what the journal's whole lines speak of, and cut off the rest; begin anew if it was made otherwise."""
        self.journal.seek(0)
        lines = self.journal.read().split(b"\n")[:-1]
        header, *found = [_parse(line) for line in lines] or [None]
        held = os.fstat(self.tiles.fileno()).st_size
        if header != self.header:
            self._cut(0)
            self._write_line(self.header)
            return
        whole = 1
        for entry in found:
            if entry is None or self.length + sum(entry.get("lengths", [])) > held:
                break
            if "ways" in entry:
                self.ways = entry["ways"]
            else:
                self.entries.append(entry)
            whole += 1
        self._cut(sum(len(line) + 1 for line in lines[:whole]))

    def _cut(self, end: int) -> None:
        self.journal.truncate(end)
        self.tiles.truncate(self.length)
        self.journal.seek(0, os.SEEK_END)
        self.tiles.seek(0, os.SEEK_END)

    def _write_line(self, told: dict[str, Any]) -> None:
        self.journal.write(json.dumps(told).encode() + b"\n")
        _to_disk(self.journal)


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _lock(file: Any, target: Path) -> None:
    """Lock a file until it is closed or the process dies; where the system cannot, do without."""
    with contextlib.suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"predict: expected to be alone, but another process is making {target}. Wait for it, or use another "
                "--out."
            ) from None
        except OSError:  # some network drives
            return
