"""`perpixel explain`: what is in a network."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from perpixel.explain.layers import Explained


def explain_command(
    model: Annotated[str, typer.Argument(metavar="MODEL|RUN", help="A name of `perpixel models`, or a run.")],
    num_classes: Annotated[int | None, typer.Option(help="K; the paper's own, or the run's.")] = None,
    image_size: Annotated[
        tuple[int, int] | None, typer.Option(help="H W that sizes and multiply-adds are for; the paper's own.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write DIR/NAME.svg, NAME.png, NAME.md and NAME.json.")
    ] = None,
) -> None:
    """Show a network: its layers, what they see, what they cost, and where it differs from its paper.

    Example: perpixel explain fcn8s --image-size 500 500 --out explained
    """
    explained, text = _explain(model, num_classes, image_size)
    if out is not None:
        _write(explained, text, out)
    if json:
        typer.echo(json_format.dumps(explained.to_json(), indent=2, ensure_ascii=False))
    else:
        typer.echo(text)


def _explain(model: str, num_classes: int | None, image_size: tuple[int, int] | None) -> "tuple[Explained, str]":
    from perpixel.models.catalog import MODELS

    if model not in MODELS and (Path(model) / "run.yaml").exists():
        return _explain_run(Path(model), image_size)
    from perpixel.explain.fidelity import card, explain_model
    from perpixel.recipes.choose import PAPERS

    explained = explain_model(model, num_classes, image_size)
    return explained, card(model, explained, PAPERS.get(model))


def _explain_run(path: Path, image_size: tuple[int, int] | None) -> "tuple[Explained, str]":
    import torch

    from perpixel.explain.table import table
    from perpixel.explain.trace import explain
    from perpixel.runs.run import Run, build_network

    run = Run.open(path)
    with torch.device("meta"):
        network = build_network(run.record)
    size = image_size or run.recipe.crop_size or (224, 224)
    explained = explain(network, size, run.record.in_channels, name=run.recipe.model)
    return explained, f"# {run.recipe.model}, as trained in {path}\n\n{table(explained)}"


def _write(explained: "Explained", text: str, out: Path) -> None:
    from perpixel.explain.layout import diagram

    out.mkdir(parents=True, exist_ok=True)
    drawing = diagram(explained)
    (out / f"{explained.name}.svg").write_text(drawing.svg(), encoding="utf-8")
    drawing.png().save(out / f"{explained.name}.png")
    (out / f"{explained.name}.md").write_text(text + "\n", encoding="utf-8")
    document = json_format.dumps(explained.to_json(), indent=2, ensure_ascii=False)
    (out / f"{explained.name}.json").write_text(document + "\n", encoding="utf-8")
    typer.echo(f"{out}/{explained.name}.svg, .png, .md and .json", err=True)
