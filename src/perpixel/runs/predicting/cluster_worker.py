"""What one machine of a cluster does: it has the network once, and is given images a few at a time.

images, as JSON -> fetched, if behind an address -> the steps of any other prediction -> sent -> outcomes, as JSON
"""

import contextlib
import json
import pickle
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from perpixel.errors import PerpixelError
from perpixel.inference.options import Options
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.predicting.inputs import Input
from perpixel.runs.predicting.overlap import Overlap
from perpixel.runs.predicting.places import Places, map_names
from perpixel.runs.predicting.remote import RemoteFolder, is_address
from perpixel.runs.predicting.steps import Steps, Task, Wanted, one_line


@dataclass(frozen=True)
class Shipment:
    """What a worker needs.

    Args:
        segmenter: The trained network, pickled on a CPU.
        out: A folder that it sees, or an address.
        wanted: What to write.
        options: How to predict.
        ways: How each layer is to be computed.
    """

    segmenter: bytes
    out: str
    wanted: Wanted
    options: Options
    ways: Mapping[str, str] | None


class Worker:
    """A network on one machine.

    Args:
        get: Returns the shipment.
    """

    def __init__(self, get: Callable[[], Shipment]) -> None:
        self.shipment = get()
        self.segmenter = _unpack(self.shipment.segmenter)
        if self.shipment.ways is not None:
            self.segmenter.expect(0, self.shipment.ways)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Predict a few images."""
        tasks: list[Task] = []
        with tempfile.TemporaryDirectory(prefix="perpixel-") as folder:
            steps = RemoteSteps(self.segmenter, self.shipment, Path(folder))
            overlap = Overlap(steps.size, steps.read, steps.compute, steps.write, tasks.append)
            overlap.run([steps.start_row(json.loads(str(row))) for row in batch["row"]], heed_signals=False)
        return {"outcome": [_outcome(task) for task in tasks]}


class RemoteSteps(Steps):
    """The same steps, of images that may be behind an address, with outputs that may go to one."""

    def __init__(self, segmenter: Segmenter, shipment: Shipment, temporary: Path) -> None:
        self.away = RemoteFolder(shipment.out) if is_address(shipment.out) else None
        self.fetched, made = temporary / "fetched", temporary / "made"
        self.fetched.mkdir()
        out = made if self.away else Path(shipment.out)
        out.mkdir(parents=True, exist_ok=True)
        wanted = replace(shipment.wanted, overwrite=True)  # who sent the images knows which are done
        super().__init__(segmenter, Places(out, wanted.suffixes, [], {}, overwrite=True), wanted, shipment.options)

    def start_row(self, row: dict[str, Any]) -> Task:
        """Return what is to be done with an image."""
        source = str(row["source"])
        path = self.fetched / f"{row['index']}{Path(source).suffix}" if is_address(source) else Path(source)
        item = Input(path, row["name"])
        if not is_address(source):  # who sent it looks for the same names, and cannot see into what is far away
            self.places.maps |= map_names([item])
        return Task(item, {"index": row["index"], "name": row["name"], "source": source})

    def size(self, task: Task) -> int:
        """Fetch an image, and return its size."""
        try:
            if is_address(task.entry["source"]):
                RemoteFolder(task.entry["source"]).fetch(task.item.source)
        except Exception as error:
            task.error = error
            return 0
        return super().size(task)

    def write(self, task: Task) -> Task:
        """Write an image's files, and send them where they go."""
        super().write(task)
        with contextlib.suppress(OSError):
            if is_address(task.entry["source"]):
                task.item.source.unlink(missing_ok=True)
        try:
            if self.away is not None:
                self._send(task)
        except Exception as error:
            task.error = error
        return task

    def _send(self, task: Task) -> None:
        """Send an image's files, the class ids last."""
        paths = self.places.paths(task.item)
        for path, name in reversed(list(zip(paths, self.places.names(task.item.name), strict=True))):
            if task.error is None and self.away is not None:
                self.away.send(path, name)
            path.unlink(missing_ok=True)


def pack(segmenter: Segmenter) -> bytes:
    """Return a segmenter that can be sent."""
    return pickle.dumps(segmenter)


def _unpack(content: bytes) -> Segmenter:
    """Return the segmenter that was sent, on the device that this worker has."""
    sent: Segmenter = pickle.loads(content)
    return _to_cuda(sent) if torch.cuda.is_available() else sent


def _to_cuda(sent: Segmenter) -> Segmenter:
    moved = Segmenter(
        sent.network, sent.classes, sent.palette, sent.normalization, sent.scale, sent.coding, "cuda", sent.bits
    )
    moved.partner = None if sent.partner is None else _to_cuda(sent.partner)
    return moved


def _outcome(task: Task) -> str:
    """Return as JSON what became of an image; errors that are not the image's own may pass."""
    error = task.error
    passing = error is not None and not isinstance(error, PerpixelError | FileNotFoundError)
    told = {"error": None if error is None else one_line(error), "again": passing}
    return json.dumps(task.entry | told)
