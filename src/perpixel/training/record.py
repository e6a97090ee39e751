"""Listeners: several at once, and TensorBoard with curves and example overlays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from perpixel.data.palette import colorize, overlay
from perpixel.metrics.scores import Scores
from perpixel.metrics.tags import TagScores
from perpixel.training.job import Job, Listener, State
from perpixel.training.validate import Example

Palette = Sequence[tuple[int, int, int]]
PICTURE_WIDTH = 1200


class Listeners(Listener):
    """Tell several listeners the same."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def started(self, job: Job, state: State, facts: dict[str, Any]) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.started(job, state, facts)

    def warned(self, message: str) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.warned(message)

    def stepped(self, state: State, loss: float, rate: float, progress: float, images: int) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.stepped(state, loss, rate, progress, images)

    def validated(self, state: State, scores: Scores | TagScores, examples: list[Example], improved: bool) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.validated(state, scores, examples, improved)

    def ended(self, state: State, finished: bool) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.ended(state, finished)


class TensorBoard(Listener):
    """Write curves, per-class IoU and example overlays (truth beside prediction) into the run directory.

    Raises:
        ImportError: The `tensorboard` extra is not installed.
    """

    def __init__(self, run: Path, classes: Sequence[str], palette: Palette, every: int = 10) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(run))
        self.classes, self.palette, self.every = classes, palette, every

    def stepped(self, state: State, loss: float, rate: float, progress: float, images: int) -> None:
        """Add a point of the loss and of the rate."""
        if state.iteration % self.every == 0:
            self.writer.add_scalar("train/loss", loss, state.iteration)
            self.writer.add_scalar("train/learning_rate", rate, state.iteration)

    def validated(self, state: State, scores: Scores | TagScores, examples: list[Example], improved: bool) -> None:
        """Add the scores and the pictures."""
        curves = {f"val/{name}": value for name, value in scores.columns().items()}
        if isinstance(scores, Scores):
            curves |= {f"iou/{name}": value for name, value in zip(self.classes, scores.iou, strict=True)}
        for name, value in curves.items():
            if value is not None:
                self.writer.add_scalar(name, value, state.iteration)
        for example in examples:
            picture = side_by_side(example, self.palette)
            self.writer.add_image(f"val/{example.name}", picture, state.iteration, dataformats="HWC")
        self.writer.flush()

    def ended(self, state: State, finished: bool) -> None:
        """Close the file."""
        self.writer.close()


def side_by_side(example: Example, palette: Palette) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the image, its truth and its prediction in one row, uint8 (H, 3W, 3)."""
    pixels = np.asarray(overlay(example.pixels, example.prediction, palette, opacity=0.0).convert("RGB"))
    row = np.concatenate((pixels, colorize(example.target, palette), colorize(example.prediction, palette)), axis=1)
    if row.shape[1] <= PICTURE_WIDTH:
        return row
    height = max(1, round(row.shape[0] * PICTURE_WIDTH / row.shape[1]))
    return np.asarray(Image.fromarray(row).resize((PICTURE_WIDTH, height), Image.Resampling.BILINEAR))
