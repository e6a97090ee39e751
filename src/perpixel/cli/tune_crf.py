"""`perpixel tune-crf`: find the CRF's numbers for a run."""

import json as json_format
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from perpixel.cli.crf import Iterations, Normalization, Spatial, crf_options
from perpixel.cli.inference_options import (
    Device,
    Flip,
    Fusion,
    Overlap,
    Scales,
    Tile,
    choose_device,
    make_options,
)

if TYPE_CHECKING:
    from perpixel.runs.crf.search import Trial
    from perpixel.runs.crf.tune import Tuning

SHOWN = 10  # rows of the table


def tune_crf_command(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    data: Annotated[
        list[Path] | None, typer.Option(help="Other data with the same classes; the run's own if not given.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which part of the data; val, or the only one there is, if not given.")
    ] = None,
    images: Annotated[int, typer.Option(help="At most so many images, from all over the split.", min=1)] = 100,
    grid: Annotated[
        str, typer.Option(help="quick (18 points), or a paper's: deeplab-v1 (96), deeplab-v2 (128).")
    ] = "quick",
    measure: Annotated[
        str, typer.Option(help="To make as high as possible: mean-iou, mean-iou-near-borders or pixel-accuracy.")
    ] = "mean-iou",
    spatial: Spatial = None,
    iterations: Iterations = None,
    normalization: Normalization = None,
    minutes: Annotated[float | None, typer.Option(help="Begin no further trial after so many.", min=0)] = None,
    scales: Scales = None,
    fusion: Fusion = "mean",
    flip: Flip = False,
    tile: Tile = None,
    overlap: Overlap = None,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON on stdout.")] = False,
    device: Device = "auto",
) -> None:
    """Search the CRF's numbers for a run, coarse to fine, and keep the best in it.

    Afterwards `perpixel evaluate RUN --crf` and `predict RUN --crf` use them. Ctrl-C loses nothing: the same
    command goes on.

    Example: perpixel tune-crf runs/street --split val --images 50
    """
    from perpixel.runs.crf.grid import find_grid
    from perpixel.runs.crf.tune import Plan

    plan = Plan(
        split or "", images, find_grid(grid), crf_options(None, None, spatial, iterations, normalization),
        cast(Any, measure.replace("-", "_")), make_options(scales, fusion, flip, tile, overlap), minutes,
    )  # fmt: skip
    tuning = _tune(run, data or [], plan, choose_device(device))
    if json:
        typer.echo(json_format.dumps(document(tuning, run), indent=2, ensure_ascii=False))
    else:
        show(tuning)
    _say(tuning, run)
    if tuning.failed:
        raise typer.Exit(1)


def _tune(run: Path, data: list[Path], plan: Any, device: str | None) -> "Tuning":
    from dataclasses import replace

    from perpixel.cli.progress import Counter
    from perpixel.runs.crf.tune import tune_crf
    from perpixel.runs.load import load_run
    from perpixel.runs.run import Run

    opened = Run.open(run)
    dataset = opened.open_data(*data)
    if not plan.split:
        plan = replace(plan, split=dataset.splits[0] if len(dataset.splits) == 1 else "val")
    segmenter = load_run(opened, device)
    with stopped_by_sigterm(), Counter(f"Predicting {plan.split}") as counter:

        def tried(done: int, expected: int, best: float) -> None:
            counter.bar.update(counter.task, description=f"Trying CRFs, best {_percent(best)}")
            counter(done, expected)

        try:
            return tune_crf(opened.path, segmenter, dataset, plan, counter, tried)
        except KeyboardInterrupt:
            typer.echo("What was tried is kept in the run: the same command goes on.", err=True)
            raise


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Stop on SIGTERM as on Ctrl-C, so that the predictions on disk are removed."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def document(tuning: "Tuning", run: Path) -> dict[str, Any]:
    """Return everything as plain values."""
    tuned = tuning.tuned
    return {
        "run": run.name or str(run), "crf": tuned.options.to_dict(), "measure": tuned.measure, "split": tuned.split,
        "images": tuned.images, "before": tuned.before, "after": tuned.after, "gain": tuned.gain,
        "finished": tuning.finished, "trials": [trial.to_json() for trial in tuning.trials],
        "failed": [{"source": failure.source, "reason": failure.reason} for failure in tuning.failed],
    }  # fmt: skip


def show(tuning: "Tuning") -> None:
    """Print the best trials and the network alone, one row each."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("bilateral", "px", "levels", "spatial", "px", "mean IoU", "near borders", "pixel accuracy"):
        table.add_column(heading, justify="right")
    alone = [trial for trial in tuning.trials if trial.crf is None]
    best = [trial for trial in tuning.trials if trial.crf is not None][:SHOWN]
    for trial in [*alone, *best]:
        table.add_row(*_row(trial))
    Console(highlight=False, soft_wrap=True).print(table)


def _row(trial: "Trial") -> list[str]:
    crf = trial.crf
    kernels = [*(crf.bilateral or ("",) * 3), *(crf.spatial or ("",) * 2)] if crf else ["no CRF", "", "", "", ""]
    numbers = [number if isinstance(number, str) else f"{number:g}" for number in kernels]
    found = trial.measures
    return [*numbers, *(_percent(found.get(m)) for m in ("mean_iou", "mean_iou_near_borders", "pixel_accuracy"))]


def _say(tuning: "Tuning", run: Path) -> None:
    tuned = tuning.tuned
    before, after = _percent(tuned.before[tuned.measure]), _percent(tuned.after[tuned.measure])
    counted = f"{tuning.tried} trials on up to {tuned.images} images of {tuned.split}"
    lines = [f"{counted}: {tuned.measure.replace('_', ' ')} {before} without, {after} with the best CRF."]
    if tuned.gain > 0:
        lines.append(f"Kept in {run / 'crf.yaml'}; use it with: perpixel evaluate {run} --crf")
    else:
        lines.append("No gain: predict without a CRF. The best one is kept all the same, and --crf will warn.")
    if not tuning.finished:
        lines.append("The time was up before the search was: the same command goes on.")
    lines += [f"Failed: {failure.source}: {failure.reason}" for failure in tuning.failed]
    typer.echo("\n".join(lines), err=True)


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.2f} %"
