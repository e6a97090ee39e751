"""The films among the inputs of `predict`; see video.py.

OUT/NAME.mkv            class ids of every frame
    NAME.overlay.mp4    the classes' colours over the film
    NAME/0000000.png    the class ids of every n-th frame
"""

from collections.abc import Sequence
from pathlib import Path

from perpixel.data.videos.library import is_video_name, load_av
from perpixel.errors import DataError
from perpixel.runs.predicting.inputs import Input
from perpixel.runs.predicting.kinds import Order, refuse
from perpixel.runs.predicting.places import Places
from perpixel.runs.predicting.steps import Wanted
from perpixel.runs.predicting.video import VideoResult, predict_video


class Films:
    """See `Kind`. Needs PyAV, the extra `video`."""

    def takes(self, path: Path) -> bool:
        """See `Kind`."""
        return is_video_name(path.name)

    def suffixes(self, wanted: Wanted) -> list[str]:
        """See `Kind`."""
        return [".mkv", *([".overlay.mp4"] if wanted.overlay else [])]

    def is_done(self, item: Input, places: Places, wanted: Wanted) -> bool:
        """See `Kind`."""
        return places.is_done(item) and (not wanted.every or places.paths(item)[0].with_suffix("").is_dir())

    def predict(self, item: Input, paths: Sequence[Path], order: Order, ways: dict[str, str] | None) -> VideoResult:
        """See `Kind`. Of a damaged film, what comes before the damage is labelled, and then `DataError` raised."""
        load_av()
        wanted = order.wanted
        refuse(
            {
                "--probabilities": wanted.probabilities, "--uncertainty": wanted.uncertainty,
                "--vector": wanted.vectors, "--original-values": wanted.original_values,
            },
            "class ids, an overlay and single frames to be wanted of a film",
            "Predict it without, or take it apart into images",
        )  # fmt: skip
        result = predict_video(
            order.segmenter, item.source, paths[0], order.options, picture=paths[1] if wanted.overlay else None,
            every=wanted.every, made_by=order.identity, ways=ways, advance=order.advance(item.source.name, "frames", 1),
        )  # fmt: skip
        if result.damage:
            raise DataError(f"{result.damage} {result.frames} frames before that were labelled: {paths[0]}")
        return result
