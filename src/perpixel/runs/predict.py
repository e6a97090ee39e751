"""Predict many images into a folder: whatever happens, what is done is whole, and a rerun does the rest.

OUT/NAME.png            one-byte class ids with a palette, or the masks' own stored values
    NAME.overlay.png    the classes' colours over the image
    NAME.npz            probabilities, float16 (K, H, W)
    NAME.uncertainty.*  a picture, .png, and the maps, .npz: how unsure the network is
    NAME.geojson, ...   polygons; see vectors.py
    NAME.tif            in place of NAME.png, of an image too large to decode whole; see rasters.py
    predictions.json    what was done, skipped and failed, and how all of it was made

Reading, predicting and writing go on at the same time; results and their order are those of one after the other.
"""

import contextlib
import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perpixel.data.images import image_size
from perpixel.data.palette import index_image
from perpixel.errors import UsageError
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.prediction import Prediction
from perpixel.inference.segmenter import Segmenter
from perpixel.inference.uncertainty_picture import draw_uncertainty
from perpixel.runs.inputs import Failure, Input
from perpixel.runs.outputs import remove_leftovers, replace
from perpixel.runs.overlap import Overlap, Signals
from perpixel.runs.places import Places
from perpixel.runs.rasters import RasterProgress, predict_one_raster, raster_places, split_rasters
from perpixel.runs.record import RECORD, Earlier, Journal, Predictions, different
from perpixel.runs.vectors import Vectors, join_all, write_polygons

RECORD_SECONDS = 5.0  # between two writings of it, at least
RECORD_SHARE = 0.02  # of the time that writing it may take
FULL = (errno.ENOSPC, errno.EDQUOT)
HOPELESS = 3  # images in a row for which the disk was full


@dataclass(frozen=True)
class Wanted:
    """What is written for each image besides its class ids.

    Args:
        overlay: The picture with the classes' colours.
        probabilities: As float16.
        original_values: Write what the data set's masks store in place of class ids.
        overwrite: Predict again what is already there.
        uncertainty: Entropy, and with passes variances and mutual information, as a picture and as float16.
        vectors: Polygons, of which format.
    """

    overlay: bool = False
    probabilities: bool = False
    original_values: bool = False
    overwrite: bool = False
    uncertainty: bool = False
    vectors: Vectors | None = None

    @property
    def suffixes(self) -> list[str]:
        """How the names of one image's files end, the class ids first; a star stands for the name."""
        wanted = {
            ".png": True, ".overlay.png": self.overlay, ".npz": self.probabilities,
            ".uncertainty.png": self.uncertainty, ".uncertainty.npz": self.uncertainty,
        }  # fmt: skip
        polygons = [self.vectors.place] if self.vectors else []
        return [suffix for suffix, asked in wanted.items() if asked] + polygons


@dataclass(slots=True)
class Task:
    """An image on its way.

    Args:
        item: What it is, and what it is called.
        entry: What will be recorded of it.
        pixels: As the network expects them, once they are read.
        result: Once it is predicted.
        skipped: It is already there.
        error: Why it failed.
    """

    item: Input
    entry: dict[str, Any]
    pixels: NDArray[Any] | None = None
    result: Prediction | None = None
    skipped: bool = False
    error: BaseException | None = None

    @property
    def ended(self) -> bool:
        """Nothing more is to be done about it."""
        return self.skipped or self.error is not None


def predict_inputs(
    segmenter: Segmenter,
    inputs: Sequence[Input],
    out: Path,
    wanted: Wanted,
    options: Options = DEFAULT,
    made_by: dict[str, Any] | None = None,
    advance: Callable[[int, int], None] | None = None,
    failed: Sequence[Failure] = (),
    rasters: RasterProgress | None = None,
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
        rasters: Told how far a raster is that takes long.

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
        _Work(segmenter, inputs, out, wanted, options, record, journal, advance, rasters).run()
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
        progress: RasterProgress | None,
    ) -> None:
        self.segmenter, self.out, self.wanted, self.options = segmenter, out, wanted, options
        self.record, self.journal, self.advance, self.progress = record, journal, advance, progress
        self.total, (self.inputs, self.rasters) = len(inputs), split_rasters(inputs)
        self.places = Places(out, wanted.suffixes, inputs, record.sources, wanted.overwrite)
        self.raster_places = raster_places(out, wanted, inputs, record.sources)
        self.known = frozenset(record.sources) if record.replacing else None
        self.count = self.full = 0
        self.written, self.pause = time.monotonic(), RECORD_SECONDS

    def run(self) -> None:
        """Do all images."""
        self.segmenter.expect(len(self.inputs), self.record.prepared)
        try:
            with contextlib.suppress(_DiskFullError):
                Overlap(self.size, self.read, self.compute, self.write, self.finished).run(map(self.start, self.inputs))
                signals = Signals()
                with signals, signals.heeded():
                    for item in self.rasters:
                        self.finished(self.predict_raster(item))
                if self.wanted.vectors and self.wanted.vectors.format == "coco":
                    join_all(self.out, sorted(self.record.sources))
                self.record.finished, self.record.replacing = True, False
        finally:
            self.journal.settled = self.keep_record()

    def start(self, item: Input) -> Task:
        """Return what is to be done with an image."""
        return Task(item, {"name": item.name, "source": str(item.source)})

    def size(self, task: Task) -> int:
        """Find out whether anything is to be done, and return about how many bytes it takes until it is written."""
        try:
            task.entry["files"] = self.places.check(task.item)
            task.skipped = not self.wanted.overwrite and self.is_done(task.item)
            return 0 if task.skipped else self._bytes(task.item)
        except Exception as error:  # whatever is wrong with one image, the others are to be done
            task.error = error
            return 0

    def _bytes(self, item: Input) -> int:
        height, width = image_size(item.source)
        kept = 4 * self.segmenter.num_classes if self.wanted.probabilities or self.wanted.uncertainty else 0
        return height * width * (self.segmenter.channels * self.segmenter.bits // 8 + 8 + kept)

    def read(self, task: Task) -> Task:
        """Decode an image, unless nothing is to be done."""
        if task.ended:
            return task
        try:
            task.pixels = self.segmenter.read(task.item.source)
        except Exception as error:
            task.error = error
        return task

    def is_done(self, item: Input) -> bool:
        """Say whether its files are there, whole, made in this way, and none older than the image."""
        return self.is_made(item) and self.places.is_done(item)

    def is_made(self, item: Input) -> bool:
        """Say whether what is there of it was made in this way."""
        return self.known is None or item.name in self.known

    def predict_raster(self, item: Input) -> Task:
        """Predict a raster from its beginning to its end, or from where an earlier process was."""
        task, places = self.start(item), self.raster_places
        try:
            task.entry["files"] = places.check(item)
            task.skipped = not self.wanted.overwrite and self.is_made(item) and places.is_done(item)
            if not task.skipped:
                told = predict_one_raster(
                    self.segmenter, item, places.paths(item), self.wanted, self.options, self.record.made_by,
                    self.record.prepared, self.progress,
                )  # fmt: skip
                task.entry |= told.to_json()
                self.record.seams += told.seams
            task.entry["origin"] = places.relative(item)
            self.journal.add({"sources": {item.name: task.entry["origin"]}})
        except Exception as error:
            task.error = error
        return task

    def compute(self, task: Task) -> Task:
        """Predict an image that was read."""
        if task.ended:
            return task
        try:
            assert task.pixels is not None
            task.result = self.segmenter.predict_pixels(
                task.pixels, self.options, probabilities=self.wanted.probabilities, uncertainty=self.wanted.uncertainty
            )
            self._note_preparation()
        except Exception as error:
            task.error = error
        return task

    def _note_preparation(self) -> None:
        """Keep which way each layer is computed before anything that was computed so is written."""
        if self.record.prepared is None and self.segmenter.ways is not None:
            self.record.prepared = self.segmenter.ways
            self.journal.add({"prepared": self.record.prepared})

    def write(self, task: Task) -> Task:
        """Write an image's files, and say so in the journal."""
        try:
            if not task.ended:
                assert task.result is not None
                write_prediction(task.result, self.places.paths(task.item), self.wanted, task.item)
                task.entry |= facts(task.result)
            if task.error is None:
                task.entry["origin"] = self.places.relative(task.item)
                self.journal.add({"sources": {task.item.name: task.entry["origin"]}})
        except Exception as error:
            task.error = error
        task.pixels = None
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


def facts(result: Prediction) -> dict[str, Any]:
    """Return what is recorded of a prediction besides its files."""
    height, width = result.prediction.shape
    seams = {"seams": result.seams.to_json()} if result.seams else {}
    return {"size": [height, width]} | seams


def write_prediction(result: Prediction, paths: Sequence[Path], wanted: Wanted, item: Input) -> None:
    """Write what is asked for, the class ids last, each file in one step."""
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(paths):
        if wanted.vectors is not None and path.suffix in (".json", ".geojson"):
            write_polygons(path, result, wanted.vectors, item, scored=wanted.probabilities)
        elif path.name.endswith(".uncertainty.npz") and result.uncertainty is not None:
            maps = result.uncertainty.arrays()
            replace(path, lambda beside, maps=maps: _save_halves(beside, **maps))  # type: ignore[misc]
        elif path.name.endswith(".uncertainty.png") and result.uncertainty is not None:
            _save_png(path, draw_uncertainty(result.pixels, result.uncertainty, len(result.classes)))
        elif path.name.endswith(".npz"):
            replace(path, lambda beside: _save_halves(beside, probabilities=result.probabilities))
        elif path != paths[0]:
            _save_png(path, result.overlay())
        elif wanted.original_values:
            _save_png(path, Image.fromarray(result.original_values()))
        else:
            _save_png(path, index_image(result.prediction, result.palette))


def _save_png(path: Path, image: Image.Image) -> None:
    replace(path, lambda beside: image.save(beside, "PNG"))


def _save_halves(path: Path, **arrays: NDArray[np.float32]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **{name: array.astype(np.float16) for name, array in arrays.items()})  # type: ignore[arg-type]


def how(segmenter: Segmenter, wanted: Wanted, options: Options) -> dict[str, Any]:
    """Return what decides the contents of a prediction."""
    return {
        "classes": list(segmenter.classes),
        "options": options.to_json(),
        "original_values": wanted.original_values,
        **({"polygons": wanted.vectors.to_json()} if wanted.vectors else {}),
    }


def read_earlier(out: Path, journal: Sequence[bytes]) -> Earlier:
    """Return what a folder's record and journal say."""
    try:
        document = (out / RECORD).read_bytes()
    except OSError:
        document = b""
    return Earlier.read(document, journal)


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


def one_line(error: BaseException) -> str:
    """Return why something failed."""
    if isinstance(error, MemoryError):
        return "it does not fit into memory. Try --tile 512 512"
    if isinstance(error, OSError) and error.strerror:
        return f"the system refused ({error.strerror})"
    text = str(error).strip()
    return " ".join(text.splitlines()[:2]) if text else type(error).__name__
