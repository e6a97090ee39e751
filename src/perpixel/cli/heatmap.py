"""`perpixel heatmap`: where a classifier sees a class."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from perpixel.encoders.classifier import Classifier

UNTRAINED = "Untrained: random weights. The picture shows how it works, and nothing of the photo."


def heatmap_command(
    image: Annotated[Path, typer.Argument(help="A photo.")],
    model: Annotated[str, typer.Option(help="An ImageNet classifier, e.g. vgg16, alexnet, googlenet, resnet50.")],
    out: Annotated[Path, typer.Option(help="The picture to write, e.g. heat.png.")],
    class_: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="Number of a class, from 0, or its name in --names. If not given: the one that stands out most.",
        ),
    ] = None,
    names: Annotated[Path | None, typer.Option(help="Names of the classes, one a line, or JSON.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="A name of `perpixel weights list`, a file, or none. If not given: the model's own, from ImageNet."
        ),
    ] = None,
    shorter_side: Annotated[
        int, typer.Option(help="Look at larger photos in this size, in pixels; 0 keeps theirs.")
    ] = 480,
    json: Annotated[bool, typer.Option("--json", help="What was seen, as JSON on stdout.")] = False,
) -> None:
    """Make a classifier fully convolutional, and paint where in a photo it sees a class.

    Without --class, paints the class that stands out most.

    Example: perpixel heatmap photo.jpg --model vgg16 --class 281 --out heat.png
    """
    from perpixel.data.images import read_pixels
    from perpixel.inference.heatmap import class_heatmap, find_class, read_names

    known = read_names(names) if names else []
    index = None if class_ is None else find_class(class_, known)
    pixels = read_pixels(image, channels=3)
    classifier = _classifier(model, weights)
    found = class_heatmap(model, classifier, pixels, index, shorter_side)
    untrained = weights == "none"
    _write(out, pixels, found, f"{_name(found.index, known)}, seen by {model}", UNTRAINED if untrained else "")
    if untrained:
        typer.echo(UNTRAINED, err=True)
    peak = float(found.probabilities.max())
    typer.echo(f"{_name(found.index, known)}: at most {peak:.1%}, on a map of {_by(found.shape)}; in {out}", err=True)
    _say_strongest(found, known)
    if json:
        typer.echo(json_format.dumps(_document(found, known, model, peak, untrained), indent=2, ensure_ascii=False))


def _classifier(model: str, weights: str | None) -> "Classifier":
    from perpixel.cli.progress import Counter
    from perpixel.encoders.classifier import find
    from perpixel.errors import UsageError
    from perpixel.inference.heatmap import load_classifier
    from perpixel.weights.known import KNOWN

    find(model)
    if weights is None and model not in KNOWN:
        raise UsageError(
            f"heatmap: nobody published weights of {model}. Give a file of yours, --weights FILE, or see how it "
            "works with --weights none."
        )
    with Counter("Downloading") as counter:
        return load_classifier(model, None if weights == "none" else weights or model, counter)


def _write(out: Path, pixels: Any, found: Any, title: str, note: str) -> None:
    from perpixel.reports.heatmap import draw_heatmap

    picture = draw_heatmap(pixels, found.probabilities, title, note)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        picture.save(out)
    except ValueError:
        from perpixel.errors import UsageError

        raise UsageError(f"--out: expected the name of a picture, got {out}. End it in .png or .jpg.") from None


def _say_strongest(found: Any, known: list[str]) -> None:
    ranked = "; ".join(f"{_name(index, known)} {value:.1%}" for index, value in found.strongest)
    typer.echo(f"What stands out most, anywhere: {ranked}", err=True)


def _document(found: Any, known: list[str], model: str, peak: float, untrained: bool) -> dict[str, Any]:
    return {
        "model": model,
        "trained": not untrained,
        "class": {"index": found.index, "name": _known(found.index, known), "probability": peak},
        "heatmap": list(found.shape),
        "strongest": [
            {"index": index, "name": _known(index, known), "probability": value} for index, value in found.strongest
        ],
    }


def _known(index: int, known: list[str]) -> str | None:
    return known[index] if index < len(known) else None


def _name(index: int, known: list[str]) -> str:
    name = _known(index, known)
    return f"class {index}" if name is None else f"{name} ({index})"


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
