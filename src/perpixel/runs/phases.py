"""Where the stages of a run are: the last in the run's own directory, the earlier ones below it.

    RUN/phases/1-fcn32s/   a run directory of its own
        phases/2-fcn16s/   begun from the weights of 1-fcn32s
        run.yaml …         the last stage, begun from those of 2-fcn16s

A stage is done when its record says so; `--resume RUN` goes on with the first that is not.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from perpixel.runs.run import RECORD, Run
from perpixel.training.recipe import Recipe

PHASES = "phases"


def phase_folders(run: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """Return where each stage goes, by the stages' names."""
    earlier = (run / PHASES / f"{number}-{name}" for number, name in enumerate(names[:-1], start=1))
    return (*earlier, run)


def phase_name(stage: Recipe) -> str:
    """Return what a stage is called: by its network, or by the part of it that learns from tags."""
    return {"tagging": "classifier", "attention": "attention"}.get(stage.task, stage.model)


def phases_of(run: Path) -> tuple[Path, ...]:
    """Return the directories of a run's stages, in their order; of an ordinary run, its own."""
    found = [path for path in (run / PHASES).glob("*-*") if (path / RECORD).is_file()]
    return (*sorted(found, key=lambda path: int(path.name.partition("-")[0])), run)


def first_unfinished(run: Path) -> Path:
    """Return the stage to go on with; the last where all are done."""
    phases = phases_of(run)
    if len(phases) == 1:
        return run
    return next((path for path in phases if not Run.open(path).record.finished), run)


def relative_source(phase: Path, before: Path) -> str:
    """Return how a stage's directory finds the one before, wherever the run is moved to."""
    return Path(os.path.relpath(before, phase)).as_posix()
