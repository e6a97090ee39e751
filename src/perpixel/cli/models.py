"""`perpixel models`: the catalogue."""

import json as json_format
from typing import Annotated, Any

import typer


def models(
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List the networks, with their papers and sizes.

    Example: perpixel models --json
    """
    rows = catalogue()
    if json:
        typer.echo(json_format.dumps(rows, indent=2, ensure_ascii=False))
    else:
        show(rows)


def catalogue() -> list[dict[str, Any]]:
    """Return one row a network; parameters are counted at the paper's number of classes."""
    from perpixel.models.catalog import MODELS, count_parameters

    return [
        {
            "name": name,
            "paper": row.paper,
            "encoder": row.encoder,
            "parameters": count_parameters(name),
            "num_classes": row.num_classes,
            "output_stride": row.output_stride,
            "receptive_field": row.receptive_field,
        }
        for name, row in MODELS.items()
    ]


def show(rows: list[dict[str, Any]]) -> None:
    """Print the catalogue, one block a paper."""
    from itertools import groupby

    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    headings = f"{'classes':>7}  {'parameters':>11}  {'stride':>6}  {'sees':>6}"
    console.print(f"{'model':<18}{'encoder':<14}{headings}", style="bold")
    for paper, networks in groupby(rows, key=lambda row: row["paper"]):
        console.print(paper, style="dim")
        for row in networks:
            numbers = (
                f"{row['num_classes']:>7}  {row['parameters']:>11,}  "
                f"{row['output_stride']:>6}  {row['receptive_field']:>3} px"
            )
            console.print(f"  {row['name']:<16}{row['encoder']:<14}{numbers}")
    console.print("\nparameters: at the paper's classes. stride, sees: the coarsest map, in pixels.", style="dim")
