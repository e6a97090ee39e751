"""The films among the inputs of `predict`; see video.py.

OUT/NAME.mkv            class ids of every frame
    NAME.overlay.mp4    the classes' colours over the film
    NAME/0000000.png    the class ids of every n-th frame
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from perpixel.data.videos.library import is_video_name, load_av
from perpixel.errors import DataError, UsageError
from perpixel.inference.options import Options
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.predicting.inputs import Input, without
from perpixel.runs.predicting.places import Places
from perpixel.runs.predicting.steps import Wanted
from perpixel.runs.predicting.video import VideoResult, predict_video


class VideoProgress(Protocol):
    """Is told how far a film is."""

    def part(self, name: str, done: int, total: int, unit: str, size: float) -> None:
        """Take note of frames done, and in all."""


def split_videos(inputs: Sequence[Input]) -> tuple[Sequence[Input], list[Input]]:
    """Return what is no film, and the films."""
    return without(inputs, lambda path: is_video_name(path.name))


def video_places(out: Path, wanted: Wanted, inputs: Sequence[Input], sources: dict[str, str]) -> Places:
    """Return where the films' predictions go."""
    suffixes = [".mkv", *([".overlay.mp4"] if wanted.overlay else [])]
    return Places(out, suffixes, inputs, sources, wanted.overwrite)


def film_is_done(item: Input, places: Places, every: int) -> bool:
    """Say whether all that is wanted of a film is there."""
    return places.is_done(item) and (not every or places.paths(item)[0].with_suffix("").is_dir())


def predict_one_video(
    segmenter: Segmenter,
    item: Input,
    paths: Sequence[Path],
    wanted: Wanted,
    options: Options,
    made_by: dict[str, Any],
    ways: dict[str, str] | None,
    progress: VideoProgress | None,
) -> VideoResult:
    """Predict one film, or go on with it.

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
        DataError: The file cannot be used, or not to its end; what came before the damage is then labelled.
        UsageError: What is wanted does not exist for films, or PyAV is missing.
    """
    load_av()
    asked = {
        "--probabilities": wanted.probabilities, "--uncertainty": wanted.uncertainty, "--vector": wanted.vectors,
        "--original-values": wanted.original_values,
    }  # fmt: skip
    refused = [name for name, value in asked.items() if value]
    if refused:
        raise UsageError(
            f"predict: expected class ids, an overlay and single frames to be wanted of a film, got "
            f"{', '.join(refused)}. Predict it without, or take it apart into images"
        )
    name = item.source.name
    result = predict_video(
        segmenter, item.source, paths[0], options,
        picture=paths[1] if wanted.overlay else None, every=wanted.every,
        made_by={key: value for key, value in made_by.items() if key != "run"}, ways=ways,
        advance=None if progress is None else lambda done, total: progress.part(name, done, total, "frames", 1),
    )  # fmt: skip
    if result.damage:
        raise DataError(f"{result.damage} {result.frames} frames before that were labelled: {paths[0]}")
    return result
