"""What happens to one image: read, predict, write. Here, in threads, or on another machine.

    Input -> Task -> size -> read -> compute -> write -> Task, with what is to be recorded of it

Whatever is wrong with an image ends up in its task: the others are to be done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perpixel.data.geotiff import place_tags, without_data, write_labels
from perpixel.data.images import image_size
from perpixel.data.masks import IGNORE
from perpixel.data.palette import index_image
from perpixel.inference.options import Options
from perpixel.inference.prediction import Prediction
from perpixel.inference.segmenter import Segmenter
from perpixel.inference.uncertainty_picture import draw_uncertainty
from perpixel.runs.predicting.inputs import Input
from perpixel.runs.predicting.outputs import replace
from perpixel.runs.predicting.places import Places
from perpixel.runs.predicting.stored import Stored
from perpixel.runs.predicting.vectors import Vectors, write_polygons


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
        every: Of a film, every n-th frame as an image; 0 for none.
    """

    overlay: bool = False
    probabilities: bool = False
    original_values: bool = False
    overwrite: bool = False
    uncertainty: bool = False
    vectors: Vectors | None = None
    every: int = 0

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


class Steps:
    """What is done with every image, in the same way.

    Args:
        segmenter: The trained network.
        places: Where outputs go.
        wanted: What to write.
        options: How to predict.
        known: Names of what was made in this way, where files may be there that were not; None trusts all files.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        places: Places,
        wanted: Wanted,
        options: Options,
        known: frozenset[str] | None = None,
    ) -> None:
        self.segmenter, self.places, self.wanted, self.options = segmenter, places, wanted, options
        self.known = known

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

    def compute(self, task: Task) -> Task:
        """Predict an image that was read."""
        if task.ended:
            return task
        try:
            assert task.pixels is not None
            task.result = self.segmenter.predict_pixels(
                task.pixels, self.options, probabilities=self.wanted.probabilities, uncertainty=self.wanted.uncertainty
            )
        except Exception as error:
            task.error = error
        return task

    def write(self, task: Task) -> Task:
        """Write an image's files."""
        try:
            if not task.ended:
                assert task.result is not None
                write_prediction(task.result, self.places.paths(task.item), self.wanted, task.item)
                task.entry |= facts(task.result)
            if task.error is None:
                task.entry["origin"] = self.places.relative(task.item)
        except Exception as error:
            task.error = error
        task.pixels = None
        return task


def facts(result: Prediction) -> dict[str, Any]:
    """Return what is recorded of a prediction besides its files."""
    height, width = result.prediction.shape
    seams = {"seams": result.seams.to_json()} if result.seams else {}
    return {"size": [height, width]} | seams


def write_prediction(result: Prediction, paths: Sequence[Path], wanted: Wanted, item: Input) -> None:
    """Write what is asked for, the class ids last, each file in one step.

    Where the class ids go to a GeoTIFF, pixels without data have no class.
    """
    on_map = paths[0].suffix == ".tif"
    empty = without_data(item.source, result.pixels.shape[2]) if on_map else None
    if empty is not None:
        result = replace_fields(result, prediction=np.where(empty, IGNORE, result.prediction))
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
        elif on_map:
            _save_map(path, result, wanted, item, may_be_empty=empty is not None)
        elif wanted.original_values:
            _save_png(path, Image.fromarray(result.original_values()))
        else:
            _save_png(path, index_image(result.prediction, result.palette))


def _save_map(path: Path, result: Prediction, wanted: Wanted, item: Input, *, may_be_empty: bool) -> None:
    stored = Stored.of(len(result.classes), result.coding, wanted.original_values, may_be_empty)
    values = stored.encode(result.prediction)
    labels = index_image(values, result.palette) if stored.are_ids else Image.fromarray(values)
    place = place_tags(item.source)
    replace(path, lambda beside: write_labels(beside, labels, place, stored.nodata))


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


def one_line(error: BaseException) -> str:
    """Return why something failed."""
    if isinstance(error, MemoryError):
        return "it does not fit into memory. Try --tile 512 512"
    if isinstance(error, OSError) and error.strerror:
        return f"the system refused ({error.strerror})"
    text = str(error).strip()
    return " ".join(text.splitlines()[:2]) if text else type(error).__name__
