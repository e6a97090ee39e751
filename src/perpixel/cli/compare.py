"""`perpixel compare`: several runs on the same images."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perpixel.cli.inference_options import Crf, Device, Flip, Scales, choose_device, make_options

if TYPE_CHECKING:
    from perpixel.data.dataset import Dataset
    from perpixel.runs.compare import Compared


def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="Run directories, of the same classes.")],
    data: Annotated[
        list[Path] | None, typer.Option(help="What to measure them on; the first run's own data if not given.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which part of the data; val, or the only one there is, if not given.")
    ] = None,
    scales: Scales = None,
    flip: Flip = False,
    crf: Crf = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write everything to this file; - is stdout.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw some images and what each run makes of them to this PNG.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=100, help="How many the picture shows.")] = 6,
    device: Device = "auto",
) -> None:
    """Measure several runs on the same images, and say what each learned from.

    Where masks show some of the classes only, or none, the mean IoU of the others stands apart.

    Example: perpixel compare runs/decoupled runs/strong-only --picture both.png
    """
    from rich.console import Console

    from perpixel.cli.evaluate import require_places, write_json
    from perpixel.reports.comparison import comparison_table

    require_places(json, None)
    _require_png(picture)
    dataset, split = _open(runs[0], data or [], split)
    options = {run: make_options(scales, None, flip, None, None, crf=crf, run=run) for run in runs}
    rows, pairs = _measure(runs, dataset, split, options, choose_device(device), images if picture else 0)
    if json is not None:
        document = {"data": dataset.spec.name, "split": split, "images": rows[0].evaluation.count}
        write_json(json, {**document, "runs": [row.to_json() for row in rows]})
    if json is None or str(json) != "-":
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"{dataset.spec.name}, {split}: {rows[0].evaluation.count} images\n", markup=False)
        console.print(comparison_table(rows))
    if picture is not None:
        _draw(picture, rows, dataset, pairs)
    failed = {failure.source: failure.reason for row in rows for failure in row.evaluation.failed}
    for source, reason in failed.items():
        typer.echo(f"Failed: {source}: {reason}", err=True)
    if failed:
        raise typer.Exit(1)


def _open(run: Path, data: list[Path], split: str | None) -> tuple["Dataset", str]:
    from perpixel.runs.run import Run

    dataset = Run.open(run).open_data(*data)
    return dataset, split or (dataset.splits[0] if len(dataset.splits) == 1 else "val")


def _measure(
    runs: list[Path], dataset: "Dataset", split: str, options: dict[Path, Any], device: str | None, images: int
) -> tuple[list["Compared"], Any]:
    from perpixel.cli.progress import Counter
    from perpixel.runs.compare import compare, pick

    pairs = pick(dataset, split, images)
    with Counter(f"Evaluating {split}") as counter:
        rows = []
        for row in compare(runs, dataset, split, options.__getitem__, device, pairs, counter):
            rows.append(row)
            counter.say(f"{row.run}: mean IoU {100 * (row.evaluation.scores.mean_iou or 0):.1f} %")
    return rows, pairs


def _require_png(picture: Path | None) -> None:
    """Refuse, before minutes of measuring, a picture that could not be written after them."""
    from perpixel.errors import UsageError

    if picture is None:
        return
    if picture.suffix.lower() != ".png" or picture.is_dir():
        raise UsageError(f"--picture: expected a .png file, got {picture}. Add a name, e.g. runs.png.")
    there = next(folder for folder in picture.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UsageError(f"--picture: expected a folder that can be written to, got {there}. Use another file.")


def _draw(path: Path, rows: list["Compared"], dataset: "Dataset", pairs: Any) -> None:
    from perpixel.errors import UsageError
    from perpixel.reports.comparison import comparison_picture
    from perpixel.training.files import write_atomically

    sheet = comparison_picture(rows, dataset, pairs)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda beside: sheet.save(beside, format="PNG"))
    except OSError as error:
        raise UsageError(f"--picture: cannot write {path} ({error.strerror}). Use another file.") from None
    typer.echo(f"Picture: {path}", err=True)
