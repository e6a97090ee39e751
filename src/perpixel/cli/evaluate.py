"""`perpixel evaluate`: how good a trained network is."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perpixel.cli.inference_options import (
    Blend,
    Crf,
    Device,
    Ensemble,
    EnsembleBy,
    Flip,
    Fusion,
    Overlap,
    Proposals,
    Rotations,
    Samples,
    Scales,
    Tile,
    choose_device,
    make_options,
)

if TYPE_CHECKING:
    from rich.console import Console

    from perpixel.runs.evaluate import Evaluation
    from perpixel.runs.evaluate_tags import TagEvaluation

EXAMPLES = 4  # best, and as many worst, images in the report


def evaluate_command(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Other data with the same classes; the run's own if not given."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which part of the data; val, or the only one there is, if not given.")
    ] = None,
    scales: Scales = None,
    fusion: Fusion = None,
    flip: Flip = False,
    tile: Tile = None,
    overlap: Overlap = None,
    rotations: Rotations = 1,
    proposals: Proposals = None,
    ensemble: Ensemble = None,
    ensemble_by: EnsembleBy = None,
    blend: Blend = "linear",
    samples: Samples = 0,
    crf: Crf = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write everything to this file; - is stdout.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Make this folder, with a page of scores and pictures in it.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Measure a run: pixel accuracy, mean accuracy, mean IoU and frequency weighted IoU.

    All come from counts of pixels over the whole split. Ignored pixels are left out; a class without any
    pixel is n/a and left out of the means. Where a split has tags and no masks, the
    tags found in whole images are measured instead.

    Example: perpixel evaluate runs/street --split val --report runs/street/report
    """
    from rich.console import Console

    from perpixel.runs.evaluate_tags import TagEvaluation

    options = make_options(
        scales, fusion, flip, tile, overlap, rotations=rotations, proposals=proposals, blend=blend, samples=samples,
        crf=crf, run=run, ensemble=ensemble, ensemble_by=ensemble_by,
    )  # fmt: skip
    require_places(json, report)
    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    evaluation = _measure(run, data or [], split, options, choose_device(device), bool(report))
    document = {"run": run.name or str(run), **evaluation.to_json()}
    if json is not None:
        write_json(json, document)
    if json is None or str(json) != "-":
        console = Console(highlight=False, soft_wrap=True)
        show_tags(evaluation, console) if isinstance(evaluation, TagEvaluation) else show(evaluation, console)
    for warning in evaluation.warnings:
        messages.print(f"[yellow]Warning:[/] {_escape(warning)}.")
    if report is not None and not isinstance(evaluation, TagEvaluation):
        messages.print(f"Report: {_write_report(evaluation, run, report)}")
    if evaluation.failed:
        for failure in evaluation.failed:
            messages.print(f"[red]Failed:[/] {_escape(failure.source)}: {_escape(failure.reason)}")
        raise typer.Exit(1)


def require_places(json: Path | None, report: Path | None) -> None:
    """Refuse, before minutes of measuring, what could not be written after them."""
    from perpixel.errors import UsageError

    if report is not None and report.exists() and not report.is_dir():
        raise UsageError(f"--report: expected a folder, got the file {report}. Name a new folder.")
    if json is not None and json.is_dir():
        raise UsageError(f"--json: expected a file, got the folder {json}. Add a name: {json / 'scores.json'}.")


def _measure(
    run: Path, data: list[Path], split: str | None, options: Any, device: str | None, pictures: bool
) -> "Evaluation | TagEvaluation":
    from perpixel.cli.progress import Counter
    from perpixel.errors import UsageError
    from perpixel.inference.options import DEFAULT
    from perpixel.runs.evaluate import evaluate
    from perpixel.runs.evaluate_tags import evaluate_tags, has_tags_alone
    from perpixel.runs.load import load_for
    from perpixel.runs.run import Run

    opened = Run.open(run)
    dataset = opened.open_data(*data)
    segmenter = load_for(opened, options, device)
    if split is None:
        split = dataset.splits[0] if len(dataset.splits) == 1 else "val"
    tags_alone = has_tags_alone(dataset, split)
    if tags_alone and pictures:
        raise UsageError(f"--report: expected masks to show beside predictions, {split} has tags alone. Leave it out.")
    if tags_alone and options != DEFAULT:
        raise UsageError(
            f"evaluate: expected no inference options, got {options.words()}, and {split} has tags alone: they are "
            "told from one look at the whole image. Leave them out."
        )
    with Counter(f"Evaluating {split}") as counter:
        if tags_alone:
            return evaluate_tags(segmenter, dataset, split, counter)
        return evaluate(segmenter, dataset, split, options, EXAMPLES if pictures else 0, counter)


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a document to a file, in one step, or to stdout for -.

    Raises:
        UsageError: The file cannot be written.
    """
    text = json_format.dumps(document, indent=2, ensure_ascii=False)
    if str(path) == "-":
        typer.echo(text)
        return
    from perpixel.errors import UsageError
    from perpixel.training.files import write_atomically

    def write(beside: Path) -> None:
        beside.write_text(text + "\n", encoding="utf-8")

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, write)
    except OSError as error:
        raise UsageError(f"--json: cannot write {path} ({error.strerror}). Use another file.") from None


def _write_report(evaluation: "Evaluation", run: Path, folder: Path) -> Path:
    from perpixel.errors import UsageError
    from perpixel.reports.evaluation import write_report
    from perpixel.runs.run import Run

    try:
        return write_report(evaluation, folder, run.resolve().name, Run.open(run).metrics())
    except OSError as error:
        raise UsageError(f"--report: cannot write into {folder} ({error.strerror}). Use another.") from None


def show_tags(evaluation: "TagEvaluation", console: "Console") -> None:
    """Print how well tags are found, and each class's average precision."""
    from rich.table import Table
    from rich.text import Text

    from perpixel.cli.progress import percent

    scores = evaluation.scores
    console.print(f"{evaluation.data}, {evaluation.split}: {evaluation.count} images with tags, none with a mask\n",
                  markup=False)  # fmt: skip
    named = {
        "F1 of tags": scores.f1, "precision": scores.precision, "recall": scores.recall,
        "mean average precision": scores.mean_average_precision,
    }  # fmt: skip
    for label, value in named.items():
        console.print(f"{label:<24}{percent(value):>8}", markup=False)
    table = Table("class", box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("average precision", justify="right")
    for name, value in zip(evaluation.labels, scores.average_precision, strict=True):
        table.add_row(Text(name), percent(value))
    console.print("", table)


def show(evaluation: "Evaluation", console: "Console") -> None:
    """Print the four scores and one line a class."""
    from perpixel.cli.progress import percent

    scores, names = evaluation.scores, evaluation.classes
    commonest = scores.commonest_class
    baseline = "" if commonest is None else f"   (always {names[commonest]}: {percent(scores.baseline_mean_iou)})"
    console.print(f"{evaluation.data}, {evaluation.split}: {evaluation.count} images\n", markup=False)
    for label, value, remark in (
        ("mean IoU", scores.mean_iou, baseline),
        ("pixel accuracy", scores.pixel_accuracy, ""),
        ("mean accuracy", scores.mean_accuracy, ""),
        ("frequency weighted IoU", scores.frequency_weighted_iou, ""),
        ("ignored pixels", scores.ignored_share, ""),
    ):
        console.print(f"{label:<24}{percent(value):>8}{remark}", markup=False)
    console.print(_borders(evaluation), markup=False)
    console.print(_table(evaluation))


def _borders(evaluation: "Evaluation") -> str:
    """Return one line a measure of the borders: the trimap's mean IoU for each width, and F."""
    from perpixel.cli.progress import percent

    boundary = evaluation.boundary
    bands = ", ".join(f"{width} px {percent(scores.mean_iou)}" for width, scores in boundary.scores().items())
    return f"{'mean IoU near borders':<24}{bands}\n{'boundary F':<24}{percent(boundary.boundary_f):>8}\n"


def _table(evaluation: "Evaluation") -> Any:
    from rich.table import Table
    from rich.text import Text

    from perpixel.cli.progress import percent

    scores = evaluation.scores
    table = Table("class", box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.title_justify = "left"
    for heading in ("IoU", "accuracy", "pixels"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for name, iou, accuracy, pixels in zip(evaluation.classes, scores.iou, scores.accuracy, scores.pixels, strict=True):
        bar = Text("█" * round(20 * (iou or 0)), style="cyan")
        table.add_row(Text(name), percent(iou), percent(accuracy), f"{pixels:,}", bar)
    return table


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
