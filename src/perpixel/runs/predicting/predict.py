"""Predict many images into a folder: whatever happens, what is done is whole, and a rerun does the rest.

OUT/NAME.png            one-byte class ids with a palette, or the masks' own stored values
    NAME.overlay.png    the classes' colours over the image
    NAME.npz            probabilities, float16 (K, H, W)
    NAME.uncertainty.*  a picture, .png, and the maps, .npz: how unsure the network is
    NAME.geojson, ...   polygons; see vectors.py
    NAME.tif            in place of NAME.png, of a GeoTIFF, and of an image too large to decode whole; see rasters.py
    NAME.mkv            in place of NAME.png, of a film; see videos.py
    predictions.json    what was done, skipped and failed, and how all of it was made

Reading, predicting and writing go on at the same time; results and their order are those of one after the other.
"""

import contextlib
import errno
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from perpixel.errors import UsageError
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.predicting.inputs import Failure, Input, without
from perpixel.runs.predicting.kinds import Kind, Order, Progress
from perpixel.runs.predicting.outputs import remove_leftovers
from perpixel.runs.predicting.overlap import Overlap, Signals
from perpixel.runs.predicting.places import Places, map_names
from perpixel.runs.predicting.rasters import Rasters
from perpixel.runs.predicting.record import RECORD, Earlier, Journal, Predictions, different, read_earlier
from perpixel.runs.predicting.steps import Steps, Task, Wanted, how, one_line
from perpixel.runs.predicting.vectors import join_all
from perpixel.runs.predicting.videos import Films
from perpixel.training.machine import keep_freed_memory

__all__ = ["RECORD", "Predictions", "Wanted", "predict_inputs"]

RECORD_SECONDS = 5.0  # between two writings of it, at least
RECORD_SHARE = 0.02  # of the time that writing it may take
FULL = (errno.ENOSPC, errno.EDQUOT)
KINDS: tuple[Kind, ...] = (Rasters(), Films())
HOPELESS = 3  # images in a row for which the disk was full


def predict_inputs(
    segmenter: Segmenter,
    inputs: Sequence[Input],
    out: Path,
    wanted: Wanted,
    options: Options = DEFAULT,
    made_by: dict[str, Any] | None = None,
    advance: Callable[[int, int], None] | None = None,
    failed: Sequence[Failure] = (),
    progress: Progress | None = None,
) -> Predictions:
    """Predict images into `out`, going on past those that fail.

    Args:
        segmenter: The trained network.
        inputs: Images with their names, from `find_inputs`.
        out: A folder; made where it is missing.
        wanted: What to write.
        options: How to predict.
        made_by: What identifies the network.
        advance: Told (done, total) after each image.
        failed: What had failed before.
        progress: Told how far a raster or a film is, which take long.

    Raises:
        UsageError: `out` is no folder, holds predictions that were made otherwise, or another process is
            predicting into it.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the record is written.
    """
    segmenter.check(options)
    make_folder(out)
    record = Predictions({**(made_by or {}), **how(segmenter, wanted, options)}, failed=list(failed))
    with Journal(out) as journal:
        begin(record, read_earlier(out, journal.lines), out, wanted.overwrite)
        if journal.lines:
            remove_leftovers(out)
        journal.add({"made_by": record.made_by, "replacing": record.replacing})
        _Work(segmenter, inputs, out, wanted, options, record, journal, advance, progress).run()
    return record


class _Work:
    """One call of `predict_inputs`: the steps of one image, and what is kept of all of them."""

    def __init__(
        self,
        segmenter: Segmenter,
        inputs: Sequence[Input],
        out: Path,
        wanted: Wanted,
        options: Options,
        record: Predictions,
        journal: Journal,
        advance: Callable[[int, int], None] | None,
        progress: Progress | None,
    ) -> None:
        self.segmenter, self.out, self.wanted, self.options = segmenter, out, wanted, options
        self.record, self.journal, self.advance = record, journal, advance
        self.order = Order(segmenter, wanted, options, record.made_by, progress)
        self.inputs, self.total = inputs, len(inputs)
        self.piecewise: list[tuple[Kind, Places, list[Input]]] = []
        for kind in KINDS:
            self.inputs, taken = without(self.inputs, kind.takes)
            places = Places(out, kind.suffixes(wanted), inputs, record.sources, wanted.overwrite)
            self.piecewise.append((kind, places, taken))
        maps = map_names(self.inputs)
        places = Places(out, wanted.suffixes, inputs, record.sources, wanted.overwrite, maps)
        known = frozenset(record.sources) if record.replacing else None
        self.steps = Steps(segmenter, places, wanted, options, known)
        self.count = self.full = 0
        self.written, self.pause = time.monotonic(), RECORD_SECONDS

    def run(self) -> None:
        """Do all images."""
        keep_freed_memory()
        self.segmenter.expect(len(self.inputs), self.record.prepared)
        try:
            with contextlib.suppress(_DiskFullError):
                steps = Overlap(self.steps.size, self.steps.read, self.compute, self.write, self.finished)
                steps.run(map(self.steps.start, self.inputs))
                signals = Signals()
                with signals, signals.heeded():
                    for kind, places, taken in self.piecewise:
                        for item in taken:
                            self.finished(self.predict_piecewise(item, kind, places))
                if self.wanted.vectors and self.wanted.vectors.format == "coco":
                    join_all(self.out, sorted(self.record.sources))
                self.record.finished, self.record.replacing = True, False
        finally:
            self.journal.settled = self.keep_record()

    def predict_piecewise(self, item: Input, kind: Kind, places: Places) -> Task:
        """Predict a raster or a film from its beginning to its end, or from where an earlier process was."""
        task = self.steps.start(item)
        try:
            task.entry["files"] = places.check(item)
            done = self.steps.is_made(item) and kind.is_done(item, places, self.wanted)
            task.skipped = done and not self.wanted.overwrite
            if not task.skipped:
                told = kind.predict(item, places.paths(item), self.order, self.record.prepared)
                task.entry |= told.to_json()
                self.record.seams += told.seams
            task.entry["origin"] = places.relative(item)
            self.journal.add({"sources": {item.name: task.entry["origin"]}})
        except Exception as error:
            task.error = error
        return task

    def compute(self, task: Task) -> Task:
        """Predict an image; keep which way each layer is computed before anything that was computed so is written."""
        self.steps.compute(task)
        if self.record.prepared is None and self.segmenter.ways is not None:
            self.record.prepared = self.segmenter.ways
            self.journal.add({"prepared": self.record.prepared})
        return task

    def write(self, task: Task) -> Task:
        """Write an image's files, and say so in the journal."""
        self.steps.write(task)
        if task.error is None:
            self.journal.add({"sources": {task.item.name: task.entry["origin"]}})
        return task

    def finished(self, task: Task) -> None:
        """Record what became of an image, and now and then write all of that."""
        add(self.record, task)
        self.count += 1
        self._stop_where_full(task.error)
        if time.monotonic() - self.written > self.pause:
            self.keep_record()
        if self.advance is not None:
            self.advance(self.count, self.total)

    def _stop_where_full(self, error: BaseException | None) -> None:
        self.full = self.full + 1 if isinstance(error, OSError) and error.errno in FULL else 0
        left = self.total - self.count
        if self.full >= HOPELESS and left:
            reason = f"no space is left, and {left} images were not tried. Free space, and run the same command again"
            self.record.failed.append(Failure(str(self.out), reason))
            raise _DiskFullError

    def keep_record(self) -> bool:
        """Write the record; the next time is not before the time that it took is a small share."""
        start = time.monotonic()
        try:
            self.record.write(self.out)
        except OSError as error:
            failure = Failure(str(self.out / RECORD), one_line(error))
            self.record.failed += [] if failure in self.record.failed else [failure]
            return False
        finally:
            self.written = time.monotonic()
            self.pause = max(RECORD_SECONDS, (self.written - start) / RECORD_SHARE)
        return True


class _DiskFullError(Exception):
    """Nothing more can be written."""


def add(record: Predictions, task: Task) -> None:
    """Record what became of an image."""
    if task.error is not None:
        record.failed.append(Failure(str(task.item.source), one_line(task.error)))
        return
    record.sources[task.item.name] = task.entry.pop("origin")
    (record.skipped if task.skipped else record.done).append(task.entry)
    if task.result is not None and task.result.seams:
        record.seams += task.result.seams


def begin(record: Predictions, earlier: Earlier, out: Path | str, overwrite: bool) -> None:
    """Go on with the predictions that a folder holds.

    Raises:
        UsageError: They were made otherwise, and are not to be replaced.
    """
    other = different(record.made_by, earlier.made_by)
    if other and not overwrite:
        raise UsageError(
            f"predict: expected {out} to be empty or to hold predictions made the same way, got others "
            f"(different: {', '.join(other)}). Use another --out, or --overwrite to predict these images again."
        )
    if other:  # the record is then about the new ones
        record.replacing = True
        return
    record.sources, record.replacing, record.prepared = dict(earlier.sources), earlier.replacing, earlier.prepared


def make_folder(out: Path) -> None:
    """Make the folder that predictions go to.

    Raises:
        UsageError: It is no folder, and cannot be made one.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"predict: expected --out to be a folder, cannot make {out} ({error.strerror}). Use another."
        ) from None
