"""The rasters among the inputs of `predict`: those too large to decode whole, each predicted by windows.

OUT/NAME.tif            class ids, tiled and compressed, in the palette's colours, on the input's place on the map
    NAME.overlay.png    small: every n-th pixel
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from perpixel.data.rasters.open import is_large_raster
from perpixel.errors import UsageError
from perpixel.inference.options import Options
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.predicting.inputs import Input, without
from perpixel.runs.predicting.places import Places
from perpixel.runs.predicting.raster import RasterResult, predict_raster
from perpixel.runs.predicting.steps import Wanted


class RasterProgress(Protocol):
    """Is told how far a raster is."""

    def part(self, name: str, done: int, total: int, unit: str = "megapixels", size: float = 1e6) -> None:
        """Take note of pixels done, and in all; or of others, a unit of which is `size`."""

    def say(self, line: str) -> None:
        """Print a line."""


def split_rasters(inputs: Sequence[Input]) -> tuple[Sequence[Input], list[Input]]:
    """Return the images that are decoded whole, and the rasters that are not."""
    return without(inputs, is_large_raster)


def raster_places(out: Path, wanted: Wanted, inputs: Sequence[Input], sources: dict[str, str]) -> Places:
    """Return where the rasters' predictions go."""
    suffixes = [".tif", *([".overlay.png"] if wanted.overlay else [])]
    return Places(out, suffixes, inputs, sources, wanted.overwrite)


def predict_one_raster(
    segmenter: Segmenter,
    item: Input,
    paths: Sequence[Path],
    wanted: Wanted,
    options: Options,
    made_by: dict[str, Any],
    ways: dict[str, str] | None,
    progress: RasterProgress | None,
) -> RasterResult:
    """Predict one raster, or go on with it.

    Args:
        segmenter: The trained network.
        item: What it is, and what it is called.
        paths: Where the ids go, and the overlay where it is wanted.
        wanted: What to write.
        options: How to predict.
        made_by: What identifies the network.
        ways: Which way each layer is to be computed, where that was measured before.
        progress: Told how far it is.

    Raises:
        DataError: The file cannot be used.
        UsageError: What is wanted does not exist for rasters.
    """
    asked = {
        "--probabilities": wanted.probabilities, "--uncertainty": wanted.uncertainty, "--vector": wanted.vectors,
    }  # fmt: skip
    refused = [name for name, value in asked.items() if value]
    if refused:
        raise UsageError(
            f"predict: expected class ids and an overlay to be wanted of a raster that is read by windows, got "
            f"{', '.join(refused)}. Predict it without, or cut it into smaller files"
        )
    name = item.source.name
    return predict_raster(
        segmenter, item.source, paths[0], options,
        overlay=paths[1] if wanted.overlay else None, original_values=wanted.original_values,
        made_by={name: value for name, value in made_by.items() if name != "run"}, ways=ways,
        advance=None if progress is None else lambda done, total: progress.part(name, done, total),
        say=None if progress is None else lambda line: progress.say(f"{name}: {line}"),
    )  # fmt: skip
