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
    """Print the catalogue as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    table.add_column("encoder", no_wrap=True)
    for heading in ("parameters", "classes", "stride", "sees"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("paper", overflow="fold")
    for row in rows:
        numbers = (f"{row['parameters']:,}", str(row["num_classes"]), str(row["output_stride"]))
        table.add_row(row["name"], row["encoder"], *numbers, f"{row['receptive_field']} px", row["paper"])
    console = Console()
    console.print(table)
    console.print("\nstride and sees: of the coarsest feature map, in pixels of the image.", style="dim")
