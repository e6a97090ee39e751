"""`perpixel inspect`: what is in a folder, what is wrong with it, and how that is mended."""

import json as json_format
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perpixel.errors import DataError, UsageError

if TYPE_CHECKING:
    from perpixel.data.inspection import Inspection

EPILOG = "Example: perpixel inspect photos/ masks/ --write"


def inspect_command(
    data: Annotated[
        list[Path], typer.Argument(help="A data set folder, its dataset.yaml, or two folders: IMAGES MASKS.")
    ],
    write: Annotated[bool, typer.Option("--write", help="Write dataset.yaml into the data folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace one that says otherwise.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Where the contact sheet goes; ./inspect-NAME.png if not given.")
    ] = None,
    no_sheet: Annotated[bool, typer.Option("--no-sheet", help="Draw no contact sheet.")] = False,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; all cores if not given.")] = None,
) -> None:
    """Look at every image and mask once: classes, sizes, problems, and a page of overlays.

    Exits with 1 where pairs are left out, with 2 where training would refuse the data.

    Example: perpixel inspect photos/ masks/ --write
    """
    if len(data) > 2:
        raise UsageError(f"inspect: expected DATA, or IMAGES MASKS, got {len(data)} paths. {EPILOG}.")
    found = _scan(data, workers)
    if json:
        typer.echo(json_format.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        from perpixel.reports.tables import print_inspection

        print_inspection(found)
    if found.fatal:
        _say(f"{len(found.fatal)} fatal problems: nothing is written. Mend them and inspect again.")
        raise typer.Exit(2)
    if not no_sheet and not found.unmasked:
        _draw(found, sheet)
    if write:
        _write(found, overwrite)
    elif not json:
        model = " --model activation-maps" if found.unmasked else ""
        _say("Write it down with --write, or train: perpixel train " + " ".join(map(str, data)) + model)
    if any(problem.outcome == "left out" for problem in found.problems):
        raise typer.Exit(1)


def _scan(data: list[Path], workers: int | None) -> "Inspection":
    """Inspect, with a progress bar on standard error where a person watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from perpixel.data.inspection import inspect

    console = Console(stderr=True)
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=None)
        return inspect(
            *data,
            workers=workers,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _draw(found: "Inspection", sheet: Path | None) -> None:
    from perpixel.reports.contact_sheet import save_contact_sheet

    name = re.sub(r"[^\w.-]+", "-", found.spec.name)
    path = sheet or Path.cwd() / f"inspect-{name}.png"
    try:
        save_contact_sheet(found, path)
    except OSError as error:
        raise UsageError(
            f"inspect: expected a place for the contact sheet, cannot write {path} ({error.strerror}). "
            "Say --sheet FILE or --no-sheet."
        ) from None
    _say(f"Overlays: {path}")


def _write(found: "Inspection", overwrite: bool) -> None:
    """Write dataset.yaml beside the data; one that says otherwise stays unless told."""
    path = found.root / "dataset.yaml"
    text = found.spec.to_yaml()
    if path.exists() and path.read_text(encoding="utf-8") != text and not overwrite:
        raise DataError(
            f"inspect: expected no {path}, found one that says otherwise. Keep it, or say --overwrite to replace it."
        )
    try:
        found.spec.save(path)
    except OSError as error:
        raise UsageError(
            f"inspect: expected to write {path}, cannot ({error.strerror}). Copy the data where you may write."
        ) from None
    _say(f"Written: {path}")


def _say(line: str) -> None:
    typer.echo(line, err=True)
