"""Search a run's numbers for the CRF, keeping every trial: whatever interrupts, a rerun goes on.

    RUN/crf-search.json    what was tried, on which images, and what it gave
        crf.yaml           the best, once the search is through

A trial is never repeated while weights, images and the rest of the prediction stay the same.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perpixel import __version__
from perpixel.crf.options import CrfOptions
from perpixel.runs.crf.grid import RATIOS, Grid, axes, step
from perpixel.runs.crf.tuned import Measure, Tuned
from perpixel.training.files import MODEL, write_atomically

TRIALS = "crf-search.json"
COARSE_SHARE, COARSE_LEAST = 0.25, 8  # of the images that see the whole grid
KEPT = 5  # points of the grid that all images see
MOST_ROUNDS = 12  # of fine steps

Measures = dict[str, float | None]
Score = Callable[[CrfOptions | None, int], Measures]


@dataclass(frozen=True)
class Trial:
    """What one CRF gave; `crf` None is the network alone."""

    crf: CrfOptions | None
    images: int
    measures: Measures

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"crf": self.crf and self.crf.to_dict(), "images": self.images, "measures": self.measures}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Trial":
        """Return the trial that `to_json` gave."""
        crf = values["crf"]
        return cls(None if crf is None else CrfOptions.from_dict(crf), int(values["images"]), dict(values["measures"]))


@dataclass
class Notebook:
    """Every trial so far, also in a file.

    Args:
        path: The file.
        key: What trials depend on; trials made under another key are forgotten.
    """

    path: Path
    key: dict[str, Any]
    trials: list[Trial] = field(default_factory=list)

    @classmethod
    def open(cls, run: Path, key: dict[str, Any]) -> "Notebook":
        """Return the run's notebook, empty where it is about something else or cannot be read."""
        book = cls(run / TRIALS, json.loads(json.dumps(key)))
        try:
            stored = json.loads(book.path.read_text(encoding="utf-8"))
            if stored["key"] == book.key:
                book.trials = [Trial.from_json(trial) for trial in stored["trials"]]
        except (OSError, ValueError, TypeError, KeyError):
            book.trials = []
        return book

    def find(self, crf: CrfOptions | None, images: int) -> Trial | None:
        """Return a trial that was made before."""
        return next((trial for trial in self.trials if trial.crf == crf and trial.images == images), None)

    def add(self, trial: Trial) -> Trial:
        """Note a trial down, on disk before anything else happens."""
        self.trials.append(trial)
        text = json.dumps({"key": self.key, "trials": [trial.to_json() for trial in self.trials]}, indent=1) + "\n"
        write_atomically(self.path, lambda beside: _write(beside, text))
        return trial


@dataclass
class Search:
    """Coarse to fine.

    Args:
        book: Where trials are noted.
        score: Measures a CRF on the first so many images.
        images: How many there are.
        measure: What is to be as high as possible.
        advance: Told (tried, expected at least, best so far) after each trial.
        deadline: `time.monotonic()` at which no further trial begins.
    """

    book: Notebook
    score: Score
    images: int
    measure: Measure = "mean_iou"
    advance: Callable[[int, int, float], None] = lambda *_: None
    deadline: float = float("inf")
    tried: int = 0
    expected: int = 0

    def run(self, grid: Grid, base: CrfOptions) -> tuple[Trial, Trial]:
        """Return the best trial on all images, and the one without a CRF.

        The network alone and one CRF are measured even after the deadline.
        """
        few = min(self.images, max(COARSE_LEAST, round(COARSE_SHARE * self.images)))
        self.expected = 1 + len(grid) + KEPT + 10 * len(RATIOS)
        before = self.try_one(None, self.images)
        coarse = self.try_all(grid.points(base), few)
        first = sorted(coarse, key=self.value, reverse=True)[:KEPT] or [Trial(base, 0, {})]
        chosen = [self.try_one(first[0].crf, self.images)]
        chosen += self.try_all((trial.crf for trial in first[1:]), self.images)
        return self.climb(max(chosen, key=self.value)), before

    def climb(self, best: Trial) -> Trial:
        """Step from point to better point, one number at a time, until no step helps."""
        for ratio in RATIOS:
            for _ in range(MOST_ROUNDS):
                before = best
                assert best.crf is not None
                for axis in axes(best.crf):
                    best = self.move(best, axis, ratio)
                if best is before:
                    break
        return best

    def move(self, best: Trial, axis: tuple[str, int], ratio: float) -> Trial:
        """Return the better of a point and its neighbours up and down one axis; down only where up is not better."""
        for factor in (ratio, 1 / ratio):
            assert best.crf is not None
            for trial in self.try_all([step(best.crf, axis, factor)], self.images):
                if self.value(trial) > self.value(best):
                    return trial
        return best

    def try_all(self, points: Iterable[CrfOptions | None], images: int) -> list[Trial]:
        """Measure points as long as there is time."""
        trials = []
        for point in points:
            known = self.book.find(point, images)
            if known is None and time.monotonic() > self.deadline:
                break
            trials.append(known or self.try_one(point, images))
        return trials

    def try_one(self, point: CrfOptions | None, images: int) -> Trial:
        """Measure one point, unless the notebook has it."""
        trial = self.book.find(point, images)
        if trial is None:
            trial = self.book.add(Trial(point, images, self.score(point, images)))
        self.tried += 1
        self.expected = max(self.expected, self.tried)
        self.advance(self.tried, self.expected, max(self.value(t) for t in self.book.trials if t.images == images))
        return trial

    def value(self, trial: Trial) -> float:
        """Return what is to be as high as possible."""
        return trial.measures.get(self.measure) or 0.0


def shuffle_evenly(count: int) -> list[int]:
    """Return 0..count−1 in an order whose beginnings are spread over all of it: by reversed binary digits."""
    digits = max(1, (count - 1).bit_length())
    return sorted(range(count), key=lambda index: int(f"{index:0{digits}b}"[::-1], 2))


def search_key(run: Path, images: Sequence[str], split: str, prediction: dict[str, Any]) -> dict[str, Any]:
    """Return what every trial depends on."""
    with (run / MODEL).open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    named = hashlib.sha256("\n".join(images).encode()).hexdigest()[:16]
    return {"weights": weights, "split": split, "images": named, "prediction": prediction, "perpixel": __version__}


def as_tuned(best: Trial, before: Trial, measure: Measure, split: str) -> Tuned:
    """Return the best numbers with what they brought."""
    assert best.crf is not None
    return Tuned(best.crf, measure, split, best.images, before.measures, best.measures, __version__)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
