"""Predict a raster of any size in constant memory: read by windows, tile by tile, written row of tiles by row of tiles.

    file -> window -> network -> blended with its neighbours -> class ids
         -> rows of compressed tiles, journalled -> NAME.tif, with the file's place on the map

What is in memory is one tile, a band of class ids, and what a row of tiles shares with the one below it.

Letters: H W pixels, K classes.
"""

import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from perpixel.data.rasters.open import open_raster
from perpixel.data.rasters.raster import Facts, Raster, read_window
from perpixel.data.rasters.writer import TILE, tiles_across, write_tiles
from perpixel.export.polygons import EXACT, Outlining
from perpixel.inference.carry import DiskCarry
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.pixels import fit
from perpixel.inference.plan import Plan, plan_areas, plan_tiles
from perpixel.inference.seams import Seams
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.predicting.ahead import Ahead
from perpixel.runs.predicting.raster_overview import draw_overview
from perpixel.runs.predicting.raster_polygons import write_raster_polygons
from perpixel.runs.predicting.raster_rows import Part, Rows
from perpixel.runs.predicting.record import without_runs
from perpixel.runs.predicting.stored import Stored
from perpixel.runs.predicting.unfinished import Unfinished

MEMORY = 12 * 10**8  # bytes of one look; with all that is kept beside it, less than 2 GB
CARRIED_BYTES = 200 * 10**6  # what tiles share with those below; more of it goes to the disk

Advance = Callable[[int, int], None]


@dataclass
class RasterResult:
    """What became of a raster.

    Attributes:
        size: (H, W).
        resumed: Rows that an earlier process had done.
        seams: How tiles agreed, of the rows done now.
        note: What made it slow to read; may be empty.
    """

    size: tuple[int, int]
    resumed: int = 0
    seams: Seams = field(default_factory=Seams)
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what is recorded of it."""
        told: dict[str, Any] = {"size": list(self.size)}
        told |= {"resumed_at_row": self.resumed} if self.resumed else {}
        told |= {"seams": self.seams.to_json()} if self.seams else {}
        return told | ({"note": self.note} if self.note else {})


def predict_raster(
    segmenter: Segmenter,
    source: Path,
    target: Path,
    options: Options = DEFAULT,
    *,
    overlay: Path | None = None,
    probabilities: Path | None = None,
    polygons: Path | None = None,
    outlining: Outlining = EXACT,
    original_values: bool = False,
    made_by: dict[str, Any] | None = None,
    ways: Mapping[str, str] | None = None,
    advance: Advance | None = None,
    say: Callable[[str], None] | None = None,
) -> RasterResult:
    """Label every pixel of a raster, and write the ids as a tiled, compressed TIFF in the palette's colours.

    Memory stays below 2 GB besides the network, whatever the height; a pixel of the width takes about 1 KB. Where
    the raster has no data, 255 is written, and said to mean no data. Ended at any moment, the next call goes on, and
    the result is the same.

    Args:
        segmenter: The trained network.
        source: A TIFF, BigTIFF or GeoTIFF, or what else the extra `geo` reads.
        target: The TIFF to write; its folder is made.
        options: How to predict.
        overlay: Also write a small picture with the classes' colours here.
        probabilities: Also write a TIFF of K bands here; 255 is 1, and where there is no data all bands are 0.
        polygons: Also write polygons here, as GeoJSON, cut at windows' borders; see raster_polygons.py.
        outlining: How exact those are.
        original_values: Write what the data set's masks store, not class ids.
        made_by: What identifies the network, so that a half-made prediction by another is not continued.
        ways: Which way each layer is to be computed, if the network is not prepared yet; see `Segmenter.expect`.
        advance: Told (pixels done, pixels in all).
        say: Told in words what makes it slow, and that it goes on with what an earlier process did.

    Raises:
        DataError: The file is damaged, or its bands do not fit the network.
        UsageError: Another process is making it.
    """
    with closing(open_raster(source)) as raster:
        job = _Job(segmenter, raster, options, original_values, probabilities is not None)
        job.check()
        target.parent.mkdir(parents=True, exist_ok=True)
        with Unfinished(target, {**(made_by or {}), **job.how(source)}) as unfinished:
            result = RasterResult(raster.facts.size, unfinished.rows, Seams(segmenter.num_classes), raster.facts.note)
            _tell(result, say)
            if unfinished.rows < raster.facts.size[0]:
                with _less_memory(segmenter):
                    job.prepare(ways if unfinished.ways is None else unfinished.ways)
                    job.compute(unfinished, result.seams, advance or (lambda done, total: None))
            finished = unfinished.folder / "result.tif"
            job.write(finished, unfinished)
            made: dict[Path | None, Callable[[Path], object]] = {
                overlay: lambda beside: draw_overview(segmenter, raster, finished, job.stored).save(beside, "PNG"),
                probabilities: lambda beside: job.write_probabilities(beside, unfinished),
                polygons: lambda beside: write_raster_polygons(
                    beside, finished, job.stored, segmenter.classes, segmenter.palette, outlining
                ),
                target: lambda beside: os.replace(finished, beside),  # the last: where it is, all is
            }
            for path, make in made.items():
                if path is not None:
                    beside = unfinished.folder / path.name
                    make(beside)
                    os.replace(beside, path)
            unfinished.discard()
    return result


def _tell(result: RasterResult, say: Callable[[str], None] | None) -> None:
    if say is not None and result.note:
        say(result.note)
    if say is not None and result.resumed:
        say(f"going on at row {result.resumed} of {result.size[0]}")


@contextmanager
def _less_memory(segmenter: Segmenter) -> Iterator[None]:
    memory = segmenter.memory
    segmenter.memory = min(memory, MEMORY)
    try:
        yield
    finally:
        segmenter.memory = memory


class _Job:
    """One raster, and what is wanted of it."""

    def __init__(
        self, segmenter: Segmenter, raster: Raster, options: Options, original_values: bool, probabilities: bool
    ) -> None:
        self.segmenter, self.raster, self.options = segmenter, raster, options
        self.facts: Facts = raster.facts
        self.original_values, self.probabilities = original_values, probabilities
        self.may_be_empty = self.facts.nodata is not None or self.facts.alpha is not None

    def check(self) -> None:
        """Refuse bands that do not fit the network, by reading one pixel."""
        self.read(slice(0, 1), slice(0, 1))
        assert self.stored is not None  # or a DataError

    def how(self, source: Path) -> dict[str, Any]:
        """Return what decides the contents, as plain values."""
        told = source.stat()
        return {
            "source": [str(source.resolve()), told.st_size, told.st_mtime_ns],
            "options": without_runs(self.options.to_json()),
            "classes": list(self.segmenter.classes),
            "original_values": self.original_values,
            "probabilities": self.probabilities,
            "memory": min(MEMORY, self.segmenter.memory),
        }

    def read(self, rows: slice, columns: slice) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return a window as the network expects it, and where it is empty."""
        window = read_window(self.raster, rows, columns, self.segmenter.channels)
        segmenter = self.segmenter
        return fit(window.pixels, segmenter.channels, segmenter.bits, self.raster.name), window.empty

    # ---- computing

    def prepare(self, ways: Mapping[str, str] | None) -> None:
        """Let the network prepare for many tiles, in the same way as for those that are done."""
        if self.segmenter.ways is None:
            rows, columns = self._plan()
            self.segmenter.expect(len(rows) * len(columns), ways)

    def compute(self, unfinished: Unfinished, seams: Seams, advance: Advance) -> None:
        """Compute all rows that are not done yet, and keep each row of tiles as soon as it is whole."""
        first, (height, width) = unfinished.rows, self.facts.size
        done = first * width
        levels = self.segmenter.num_classes if self.probabilities else 0
        with (
            self._carry(unfinished) as carry,
            Rows(unfinished.folder, first, width, levels, self.may_be_empty) as found,
            ThreadPoolExecutor(1) as reader,
            ThreadPoolExecutor(1) as writer,
        ):
            windows = Ahead(self.read, self._windows(first), reader)
            written: Future[None] | None = None

            def read(rows: slice, columns: slice) -> NDArray[Any] | None:
                pixels, empty = windows(rows, columns)
                found.note_empty(rows, columns, empty)
                nothing = empty is not None and bool(empty.all()) and self.options.crf is None
                return None if nothing else pixels

            for rows, columns, values in self.segmenter.stream(
                read, self.facts.size, self.options, seams=seams, first=first, carry=carry
            ):
                found.put(rows, columns, values)
                done += (rows.stop - max(rows.start, first)) * (columns.stop - columns.start)
                advance(done, height * width)
                if unfinished.ways is None and self.segmenter.ways is not None:
                    unfinished.note_ways(self.segmenter.ways)
                if columns.stop == width:
                    if written is not None:
                        written.result()
                    part = found.take(rows.stop - (rows.stop % TILE if rows.stop < height else 0))
                    written = writer.submit(self._keep, unfinished, part)
            if written is not None:
                written.result()

    def _keep(self, unfinished: Unfinished, part: Part) -> None:
        for done, tiles in part.tile_rows(self.stored):
            unfinished.add(done, tiles)

    def _windows(self, first: int) -> Iterator[tuple[slice, slice]]:
        """Yield the windows that will be asked for; with a CRF, nothing is read ahead."""
        if self.options.crf is not None:
            return
        tall, wide = self._plan()
        for row in (row for row in tall if row.stop > first):
            for column in wide:
                yield slice(row.start, row.stop), slice(column.start, column.stop)

    def _plan(self) -> Plan:
        segmenter, options, size = self.segmenter, self.options, self.facts.size
        if options.crf is not None:
            return plan_areas(size, options.crf, segmenter.num_classes, segmenter.memory)
        return plan_tiles(size, options, segmenter.num_classes, segmenter.scale, segmenter.memory)

    def _carry(self, unfinished: Unfinished) -> AbstractContextManager[MutableMapping[int, Tensor]]:
        rows, _ = self._plan()
        shared = rows[0].stop - rows[1].start if len(rows) > 1 else 0
        small = 4 * self.segmenter.num_classes * shared * self.facts.size[1] <= CARRIED_BYTES
        return nullcontext({}) if small else DiskCarry(unfinished.carry)

    # ---- writing

    @cached_property
    def stored(self) -> Stored:
        """What is written for each class."""
        segmenter = self.segmenter
        return Stored.of(segmenter.num_classes, segmenter.coding, self.original_values, self.may_be_empty)

    def write(self, path: Path, unfinished: Unfinished) -> None:
        """Put the tiles of the class ids together."""
        values, part = self.stored.values, slice(0, tiles_across(self.facts.size[1]))
        write_tiles(
            path, unfinished.read_tiles(part), unfinished.length_of(part), (*self.facts.size, *values.shape[1:]),
            values.dtype, self.segmenter.palette if self.stored.are_ids else None, self.stored.nodata, self.facts.place,
        )  # fmt: skip

    def write_probabilities(self, path: Path, unfinished: Unfinished) -> None:
        """Put the tiles of the probabilities together."""
        names, part = self.segmenter.classes, slice(tiles_across(self.facts.size[1]), None)
        write_tiles(
            path, unfinished.read_tiles(part), unfinished.length_of(part), (*self.facts.size, len(names)),
            np.dtype(np.uint8), None, None, self.facts.place, names,
        )  # fmt: skip
