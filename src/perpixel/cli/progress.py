"""Progress on the terminal: a live line where there is one, a line now and then where there is none."""

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from perpixel.metrics.scores import Scores
from perpixel.metrics.tags import TagScores
from perpixel.training.job import Job, Listener, State
from perpixel.training.validate import Example

QUIET_SECONDS = 30.0  # between lines where no terminal is attached
SMOOTHING = 0.05


class TrainingProgress(Listener):
    """Show loss, images a second, time left and the last validation while a network trains."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.live = self.console.is_terminal
        self.loss = self.speed = 0.0
        self.last = "no validation yet"
        self.spoken = self.stepped_at = time.monotonic()
        self.bar = Progress(
            SpinnerColumn(), BarColumn(bar_width=28), TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            console=self.console, transient=True, disable=not self.live,
        )  # fmt: skip

    def started(self, job: Job, state: State, facts: dict[str, Any]) -> None:
        """Say what was measured, and begin."""
        times = facts["seconds_a_step"]
        measured = "; ".join(f"{plan} {seconds * 1000:.0f} ms" for plan, seconds in times.items())
        self.say(f"{job.recipe.model} computes in {facts['plan']}" + (f" (measured: {measured})" if times else ""))
        if state.iteration:
            self.say(f"Going on from iteration {state.iteration}, {clock(state.elapsed)} into the run.")
        self.bar.start()
        self.task = self.bar.add_task("training", total=1.0)
        self.stepped_at = time.monotonic()

    def warned(self, message: str) -> None:
        """Print it."""
        self.say(f"Note: {message}")

    def stepped(self, state: State, loss: float, rate: float, progress: float, images: int) -> None:
        """Move the bar."""
        now = time.monotonic()
        speed = images / max(now - self.stepped_at, 1e-6)
        self.stepped_at = now
        first = self.speed == 0
        self.loss = loss if first else (1 - SMOOTHING) * self.loss + SMOOTHING * loss
        self.speed = speed if first else (1 - SMOOTHING) * self.speed + SMOOTHING * speed
        left = state.elapsed * (1 - progress) / max(progress, 1e-6)
        line = (
            f"iteration {state.iteration}  loss {self.loss:.3g}  {self.speed:.1f} images/s  "
            f"{clock(left)} left  {self.last}"
        )
        self.bar.update(self.task, completed=progress, description=line)
        if not self.live and now - self.spoken >= QUIET_SECONDS:
            self.say(f"{progress:4.0%}  {line}")

    def validated(self, state: State, scores: Scores | TagScores, examples: list[Example], improved: bool) -> None:
        """Print one line a validation."""
        self.last, told = told_of(scores)
        mark = "  best so far" if improved else ""
        self.say(f"iteration {state.iteration:>6}  {clock(state.elapsed):>8}  {self.last}{told}{mark}")
        self.stepped_at = time.monotonic()

    def ended(self, state: State, finished: bool) -> None:
        """Take the bar away."""
        self.bar.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.spoken = time.monotonic()
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def told_of(scores: Scores | TagScores) -> tuple[str, str]:
    """Return the score that matters most, and the others."""
    if isinstance(scores, TagScores):
        others = f"  precision {percent(scores.precision)}  recall {percent(scores.recall)}"
        return f"F1 of tags {percent(scores.f1)}", f"{others}  mean AP {percent(scores.mean_average_precision)}"
    commonest = f"  (always the commonest class: {percent(scores.baseline_mean_iou)})"
    return f"mean IoU {percent(scores.mean_iou)}", f"{commonest}  pixel accuracy {percent(scores.pixel_accuracy)}"


def percent(value: float | None) -> str:
    """Return a fraction as people read it."""
    return "n/a" if value is None else f"{100 * value:.1f} %"


def clock(seconds: float) -> str:
    """Return seconds as 1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Counter:
    """A progress bar for work that is counted in pieces."""

    def __init__(self, what: str) -> None:
        self.console = Console(stderr=True)
        self.bar = Progress(console=self.console, transient=True, disable=not sys.stderr.isatty())
        self.what, self.done, self.total = what, 0, 0
        self.started = self.spoken = time.monotonic()
        self.task = self.bar.add_task(what, total=None)

    def __enter__(self) -> "Counter":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Move the bar."""
        self.done, self.total = done, total
        self.bar.update(self.task, description=self.what, completed=done, total=total)

    def part(self, name: str, done: int, total: int, unit: str = "megapixels", size: float = 1e6) -> None:
        """Tell how far one piece is that takes long, in megapixels; where there is no terminal, now and then."""
        line = f"{name}: {done / size:.0f} of {total / size:.0f} {unit}"
        whole = max(self.total, self.done + 1)
        self.bar.update(self.task, description=line, completed=self.done + done / total, total=whole)
        now = time.monotonic()
        if self.bar.disable and now - self.spoken >= QUIET_SECONDS:
            self.say(f"{line} after {clock(now - self.started)}")
            self.spoken = now

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
