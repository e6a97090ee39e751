"""Predict on many machines with Ray Data: the same steps as on one, and the same files.

    images -> those not yet done -> batches -> workers, a network each -> outcomes -> predictions.json
                                       ^                                    |
                                       +---- once more, one by one ---------+   what was lost or may pass

A worker that dies is replaced, and its batch is given to another. What fails twice is listed.
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perpixel.data.images import image_size
from perpixel.errors import UsageError
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.seams import Seams
from perpixel.inference.segmenter import MANY, Segmenter
from perpixel.runs.predicting.cluster_worker import Shipment, Worker, pack
from perpixel.runs.predicting.destinations import Destination, LocalDestination, RemoteDestination, Row, find_rows
from perpixel.runs.predicting.inputs import Failure
from perpixel.runs.predicting.outputs import remove_leftovers
from perpixel.runs.predicting.predict import RECORD_SECONDS, RECORD_SHARE, begin, make_folder
from perpixel.runs.predicting.record import Journal, Predictions
from perpixel.runs.predicting.remote import RemoteFolder, is_address, without_file
from perpixel.runs.predicting.steps import Wanted, how, one_line
from perpixel.runs.predicting.vectors import join_all

BATCH = 16  # images that a worker is given at a time
CORES = 4  # of one worker, where there is no GPU
RETRIES = 1  # of a batch whose worker died
LOST = "its worker died while it was predicted, again and again; perhaps it needs more memory. Try --tile 512 512"


@dataclass(frozen=True)
class Cluster:
    """Which machines, and how many workers on them.

    Args:
        address: Of a running cluster, "host:6379" or "ray://host:10001"; None takes the one that RAY_ADDRESS names,
            or starts one on this machine.
        workers: How many networks; None takes one a GPU, else one for every four cores.
        batch: Images that a worker is given at a time.
    """

    address: str | None = None
    workers: int | None = None
    batch: int = BATCH

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers: expected at least 1, got {self.workers}. Leave it out for one a GPU.")


def predict_on_cluster(
    segmenter: Segmenter,
    words: Sequence[str],
    out: str,
    wanted: Wanted,
    options: Options = DEFAULT,
    made_by: dict[str, Any] | None = None,
    cluster: Cluster | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Predict images on a cluster, as `predict_inputs` does on one machine.

    Args:
        segmenter: The trained network, on a CPU.
        words: Files, folders and patterns that all machines see by the same paths, or addresses of fsspec's.
        out: A folder that all machines see by the same path, or an address.
        wanted: What to write.
        options: How to predict.
        made_by: What identifies the network.
        cluster: Which machines.
        advance: Told (done, total) after each image.

    Raises:
        UsageError: Ray is not installed or not reached, there are no images, or `out` cannot be used.
    """
    segmenter.check(options)
    words, out = [without_file(word) for word in words], without_file(out)
    if wanted.vectors and any(map(is_address, (out, *words))):
        raise UsageError("predict: expected --vector with folders, got an address. Use folders that all machines see.")
    rows, failed = find_rows(words, out)
    record = Predictions({**(made_by or {}), **how(segmenter, wanted, options)}, failed=list(failed))
    with _destination(out) as (place, goal):
        begin(record, place.earlier(), out, wanted.overwrite)
        place.prepare(rows, wanted, record)
        work = _Work(rows, place, record, wanted, advance)
        todo = work.todo()
        with _connected(cluster or Cluster()) as ray:
            try:
                packed = pack(segmenter)
                if record.prepared is None and len(todo) >= MANY and not ray.cluster_resources().get("GPU"):
                    record.prepared = _measure(segmenter, rows[todo[0]])
                place.begin(record)
                shipment = ray.put(Shipment(packed, goal, wanted, options, record.prepared))
                work.run(ray, shipment, cluster or Cluster(), todo)
            finally:
                work.keep()
        if wanted.vectors and wanted.vectors.format == "coco":
            join_all(Path(out), sorted(record.sources))
    return record


class _Work:
    """What became of each image so far."""

    def __init__(
        self,
        rows: Sequence[Row],
        place: Destination,
        record: Predictions,
        wanted: Wanted,
        advance: Callable[[int, int], None] | None,
    ) -> None:
        self.rows, self.place, self.record, self.wanted, self.advance = rows, place, record, wanted, advance
        self.outcomes: dict[int, dict[str, Any]] = {}
        self.before = list(record.failed)
        self.written, self.pause = time.monotonic(), RECORD_SECONDS

    def todo(self) -> list[int]:
        """Return the images that are to be predicted."""
        return [index for index in range(len(self.rows)) if not self._is_ended(index)]

    def _is_ended(self, index: int) -> bool:
        row = self.rows[index]
        entry = {"name": row.name, "source": row.source}
        try:
            done = self.place.is_done(row)
        except (UsageError, OSError) as error:
            self.outcomes[index] = entry | {"error": one_line(error)}
            return True
        if not done or self.wanted.overwrite or (self.record.replacing and row.name not in self.record.sources):
            return False
        self.outcomes[index] = entry | {"skipped": True}
        return True

    def run(self, ray: Any, shipment: Any, cluster: Cluster, todo: Sequence[int]) -> None:
        """Predict in batches, then one by one what got lost or may pass."""
        for size in (cluster.batch, 1):
            left = [index for index in todo if self.outcomes.get(index, {"again": True}).get("again")]
            for outcome in _predict(ray, shipment, cluster, self._batches(left, size)):
                self._finish(outcome)
        for index in todo:
            row = self.rows[index]
            self.outcomes.setdefault(index, {"name": row.name, "source": row.source, "error": LOST})
        self.record.finished, self.record.replacing = True, False

    def _batches(self, indices: Sequence[int], size: int) -> list[list[str]]:
        rows = [
            json.dumps({"index": index, "name": self.rows[index].name, "source": self.rows[index].source})
            for index in indices
        ]
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _finish(self, outcome: dict[str, Any]) -> None:
        index = outcome.pop("index")
        self.outcomes[index] = outcome
        if outcome["error"] is None:
            outcome.pop("origin", None)
            self.place.note(outcome["name"], self.place.origin(self.rows[index]))
        if self.advance is not None:
            self.advance(len(self.outcomes), len(self.rows))
        if time.monotonic() - self.written > self.pause:
            self.keep()

    def keep(self) -> None:
        """Write the record, in the images' order."""
        start = time.monotonic()
        self._fill()
        try:
            self.place.keep(self.record)
        except Exception as error:  # a destination raises anything
            self.record.failed.append(Failure("predictions.json", one_line(error)))
        self.written = time.monotonic()
        self.pause = max(RECORD_SECONDS, (self.written - start) / RECORD_SHARE)

    def _fill(self) -> None:
        """Make the record of the outcomes anew."""
        record = self.record
        record.done, record.skipped = type(record.done)(), type(record.skipped)()
        record.failed, record.seams = list(self.before), Seams()
        for index, outcome in sorted(self.outcomes.items()):
            entry = {key: value for key, value in outcome.items() if key not in ("error", "again", "skipped")}
            if outcome.get("error") is not None:
                record.failed.append(Failure(outcome["source"], outcome["error"]))
                continue
            (record.skipped if outcome.get("skipped") else record.done).append(entry)
            record.sources[outcome["name"]] = self.place.origin(self.rows[index])
            if "seams" in entry:
                record.seams += Seams.from_json(entry["seams"])


def _predict(ray: Any, shipment: Any, cluster: Cluster, batches: list[list[str]]) -> Iterator[dict[str, Any]]:
    """Yield the outcomes of batches as they come; those of a batch whose worker kept dying are left out."""
    if not batches:
        return
    import pandas

    workers, needs = _workers(ray, cluster, len(batches))
    queued = 1 if len(batches[0]) == 1 else 2  # what waits for a worker dies with it: one by one, nothing waits
    blocks = [pandas.DataFrame({"row": batch}) for batch in batches]
    predicted = ray.data.from_pandas(blocks).map_batches(
        Worker,
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=queued),
        fn_constructor_args=(_Get(shipment),),
        max_task_retries=RETRIES,
        **needs,
    )
    for row in predicted.iter_rows():
        yield json.loads(str(row["outcome"]))


class _Get:
    """Returns what was put into the cluster's store; each worker fetches it once."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference

    def __call__(self) -> Shipment:
        import ray

        shipment: Shipment = ray.get(self.reference)
        return shipment


def _workers(ray: Any, cluster: Cluster, batches: int) -> tuple[int, dict[str, float]]:
    """Return how many workers, and what each needs."""
    found = ray.cluster_resources()
    gpus, cores = int(found.get("GPU", 0)), max(1, int(found.get("CPU", 1)))
    if gpus:
        count = cluster.workers or gpus
        return min(count, batches), {"num_gpus": min(1.0, gpus / count)}
    count = cluster.workers or max(1, cores // CORES)
    return min(count, batches), {"num_cpus": max(1, min(CORES, cores // count))}


def _measure(segmenter: Segmenter, row: Row) -> dict[str, str] | None:
    """Find out here, for all workers alike, which way each layer is computed fastest on an image like this."""
    try:
        if not is_address(row.source):
            return segmenter.prepare(image_size(row.source)).ways
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "image").with_suffix(Path(row.source).suffix)
            RemoteFolder(row.source).fetch(path)
            return segmenter.prepare(image_size(path)).ways
    except Exception:  # the image is broken, and will be named; the network is then used as it is
        return None


@contextlib.contextmanager
def _destination(out: str) -> Iterator[tuple[Destination, str]]:
    """Yield where predictions go, and what the workers are told of it."""
    if is_address(out):
        yield RemoteDestination(RemoteFolder(out)), out
        return
    folder = Path(out)
    make_folder(folder)
    with Journal(folder) as journal:
        if journal.lines:
            remove_leftovers(folder)
        yield LocalDestination(folder, journal), os.path.abspath(folder)


@contextlib.contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Yield Ray, connected; one that was connected before stays so."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UsageError(
            f"predict: expected Ray for --cluster, cannot import it ({error}). pip install 'perpixel[ray]', here and "
            "on all machines of the cluster."
        ) from None
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(cluster.address, log_to_driver=False, logging_level="ERROR", include_dashboard=None)
        except ConnectionError as error:
            raise UsageError(
                f"predict: expected a Ray cluster at {cluster.address or os.environ.get('RAY_ADDRESS')}, reached none "
                f"({one_line(error)}). Start one with `ray start --head`, or leave the address out."
            ) from None
    context = ray.data.DataContext.get_current()
    before = context.max_errored_blocks, context.enable_progress_bars
    context.max_errored_blocks, context.enable_progress_bars = -1, False
    try:
        yield ray
    finally:
        context.max_errored_blocks, context.enable_progress_bars = before
        if ours:
            ray.shutdown()
