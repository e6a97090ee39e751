"""`perpixel models`: the catalogue, and the papers' recipes."""

import json as json_format
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from perpixel.training.recipe import Recipe


def models(
    recipes: Annotated[bool, typer.Option("--recipes", help="What `perpixel train --recipe` takes.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List the networks, with their papers and sizes, or the papers' recipes.

    Example: perpixel models --json
    """
    rows = known_recipes() if recipes else catalogue()
    if json:
        typer.echo(json_format.dumps(rows, indent=2, ensure_ascii=False))
    elif recipes:
        show_recipes(rows)
    else:
        show(rows)


def known_recipes() -> list[dict[str, Any]]:
    """Return one row a recipe, with its stages, where its numbers are from, and what the paper reached."""
    from perpixel.recipes.papers import RECIPES

    return [
        {
            "name": name,
            "stages": [_stage(stage) for stage in stages],
            "source": stages[-1].sources.get("*", ""),
            "expected": stages[-1].expected,
        }
        for name, stages in RECIPES.items()
    ]


def _stage(recipe: "Recipe") -> dict[str, Any]:
    return {
        "model": recipe.model,
        "initial_weights": recipe.initial_weights,
        "iterations": recipe.budget.iterations,
        "epochs": recipe.budget.epochs,
        "images_per_iteration": recipe.batch_size * recipe.accumulate,
        "crop_size": recipe.crop_size,
        "learning_rate": recipe.optimizer.learning_rate,
    }


def show_recipes(rows: list[dict[str, Any]]) -> None:
    """Print the recipes, one line a stage."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    names = max(len(row["name"]) for row in rows) + 2
    models = max(len(stage["model"]) for row in rows for stage in row["stages"]) + 2
    headings = f"{'iterations':>11}  {'batch':>5}  {'rate':>7}  begins from"
    console.print(f"{'recipe':<{names}}{'trains':<{models}}{headings}", style="bold")
    for row in rows:
        for number, stage in enumerate(row["stages"]):
            name = row["name"] if number == 0 else ""
            budget = f"{stage['iterations']:,}" if stage["iterations"] else f"{stage['epochs'] or 0:g} epochs"
            begins = "the stage before" if number else _sources(stage["initial_weights"])
            numbers = f"{budget:>11}  {stage['images_per_iteration']:>5}  {stage['learning_rate']:>7.2g}"
            console.print(f"{name:<{names}}{stage['model']:<{models}}{numbers}  {begins}")
    console.print("\nperpixel train DATA --recipe NAME runs all its stages.", style="dim")


def _sources(initial_weights: str | dict[str, str]) -> str:
    """Return what a stage begins from, in words."""
    if isinstance(initial_weights, str):
        return initial_weights
    return " and ".join(initial_weights.values())


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
    names = max(len(row["name"]) for row in rows) + 2
    encoders = max(len(row["encoder"]) for row in rows) + 2
    headings = f"{'classes':>7}  {'parameters':>11}  {'stride':>6}  {'sees':>7}"
    console.print(f"{'  model':<{names + 2}}{'encoder':<{encoders}}{headings}", style="bold")
    for paper, networks in groupby(rows, key=lambda row: row["paper"]):
        console.print(paper, style="dim")
        for row in networks:
            numbers = (
                f"{row['num_classes']:>7}  {row['parameters']:>11,}  "
                f"{row['output_stride']:>6}  {row['receptive_field']:>4} px"
            )
            console.print(f"  {row['name']:<{names}}{row['encoder']:<{encoders}}{numbers}")
    console.print("\nparameters: at the paper's classes. stride, sees: the coarsest map, in pixels.", style="dim")
