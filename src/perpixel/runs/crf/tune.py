"""Tune the CRF for a run: predict some images once, try many numbers on them, keep the best in the run."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perpixel.crf.options import CrfOptions
from perpixel.data.dataset import Dataset
from perpixel.errors import DataError, UsageError
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.crf.grid import Grid
from perpixel.runs.crf.samples import measure, predict_samples, spread_evenly
from perpixel.runs.crf.search import Notebook, Search, Trial, as_tuned, search_key, shuffle_evenly
from perpixel.runs.crf.tuned import MEASURES, Measure, Tuned, write_tuned
from perpixel.runs.predicting.inputs import Failure

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What is searched, and on what.

    Args:
        split: Part of the data.
        images: At most so many of it, from all over it; None takes all.
        grid: Of the coarse search.
        base: What the grid does not say: the spatial kernel, iterations, normalisation.
        measure: What is to be as high as possible.
        options: How images are predicted; its own CRF is left out.
        minutes: After which no further trial begins; None searches to the end.
    """

    split: str
    images: int | None
    grid: Grid
    base: CrfOptions
    measure: Measure = "mean_iou"
    options: Options = DEFAULT
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            words = ", ".join(word.replace("_", "-") for word in MEASURES)
            raise UsageError(f"--measure: expected {words}, got {self.measure!r}. The default is mean-iou.")
        if self.images is not None and self.images < 1:
            raise UsageError(f"--images: expected at least 1, got {self.images}. DeepLab took 100.")


@dataclass(frozen=True)
class Tuning:
    """What came of it.

    Args:
        tuned: The best, as it was written into the run.
        trials: Every trial on all images, the best first, the network alone among them.
        tried: How many trials there were in all.
        finished: Whether the search came to its end in time.
        failed: Images that could not be used.
    """

    tuned: Tuned
    trials: tuple[Trial, ...]
    tried: int
    finished: bool
    failed: tuple[Failure, ...]


def tune_crf(
    run: Path,
    segmenter: Segmenter,
    dataset: Dataset,
    plan: Plan,
    predicted: Advance | None = None,
    tried: Callable[[int, int, float], None] = lambda *_: None,
) -> Tuning:
    """Search, and write `crf.yaml` into the run.

    Whenever this is interrupted, the trials made are in the run's `crf-search.json`, and the next call goes on.

    Args:
        run: The run directory, for what is found.
        segmenter: Its network.
        dataset: Data with its classes.
        plan: What to do.
        predicted: Told (done, total) while images are predicted.
        tried: Told (tried, expected, best so far) while CRFs are tried.

    Raises:
        DataError: The split is unknown, or none of it can be used.
    """
    pairs = spread_evenly(dataset.pairs(plan.split), plan.images)
    if not pairs:
        raise DataError(f"tune-crf: expected images in {plan.split}, found none. Look with `perpixel inspect`.")
    with tempfile.TemporaryDirectory(prefix="perpixel-crf-") as folder:
        samples, failed = predict_samples(segmenter, dataset, pairs, Path(folder), plan.options, predicted)
        if not samples:
            raise DataError(f"tune-crf: none of {len(pairs)} images can be used. The first: {failed[0].reason}")
        names = [pairs[sample.number].id for sample in samples]
        book = Notebook.open(run, search_key(run, names, plan.split, _unusual(plan.options)))
        spread = [samples[index] for index in shuffle_evenly(len(samples))]
        deadline = float("inf") if plan.minutes is None else time.monotonic() + 60 * plan.minutes

        def score(crf: CrfOptions | None, images: int) -> dict[str, float | None]:
            return measure(spread[:images], segmenter.num_classes, crf)

        search = Search(book, score, len(samples), plan.measure, tried, deadline)
        best, before = search.run(plan.grid, plan.base)
    tuned = as_tuned(best, before, plan.measure, plan.split)
    write_tuned(run, tuned)
    seen = [trial for trial in book.trials if trial.images == len(samples)]
    ranked = tuple(sorted(seen, key=search.value, reverse=True))
    return Tuning(tuned, ranked, len(book.trials), time.monotonic() <= deadline, tuple(failed))


def _unusual(options: Options) -> dict[str, Any]:
    """Return the options that are not the default, so that an option more in a later version changes no key."""
    usual = DEFAULT.to_json()
    return {name: value for name, value in options.to_json().items() if value != usual[name]}
