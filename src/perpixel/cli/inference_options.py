"""The options of prediction, which `evaluate` and `predict` share."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from perpixel.crf.options import CrfOptions
    from perpixel.inference.ensemble import Ensemble as EnsembleOptions
    from perpixel.inference.options import Options

Scales = Annotated[
    list[float] | None,
    typer.Option("--scales", help="Look at the image in each of these sizes, e.g. --scales 0.75 1 1.25"),
]
Fusion = Annotated[
    str | None,
    typer.Option(help="How several looks are joined: mean of probabilities, or max of logits; proposals take max."),
]
Flip = Annotated[bool, typer.Option("--flip", help="Look at the mirror image too.")]
Tile = Annotated[
    tuple[int, int] | None,
    typer.Option(help="H W of tiles in pixels; images that are too large for memory are tiled anyway."),
]
Overlap = Annotated[int | None, typer.Option(help="How far tiles overlap at least, in pixels.")]
Rotations = Annotated[
    int, typer.Option(help="Look at N turns of the image; 1, 2 and 4 are exact, others resample. U-Net takes 7.")
]
Proposals = Annotated[
    str | None,
    typer.Option(help="Look at likely objects, as DeconvNet does: windows, or selective-search (needs OpenCV)."),
]
Ensemble = Annotated[
    Path | None,
    typer.Option(
        "--ensemble",
        metavar="RUN",
        help="Ask a second run too, which sees the whole image: FCN-8s beside DeconvNet's --proposals.",
    ),
]
EnsembleBy = Annotated[
    str | None,
    typer.Option(help="How both are joined: product of scores, as DeconvNet's release does, or mean, as its paper."),
]
Blend = Annotated[
    str, typer.Option(help="How tiles are joined: linear or hann fade, none cuts, mean counts all tiles alike.")
]
Samples = Annotated[int, typer.Option(help="Average T passes with dropout (Bayesian SegNet); 0 drops nothing.")]
Crf = Annotated[
    str | None,
    typer.Option(
        "--crf",
        metavar="[PRESET]",
        help="Sharpen edges last by a fully connected CRF: with the run's own numbers (tune-crf), else its paper's, "
        "or a preset such as deeplab-v1-largefov.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def make_options(
    scales: list[float] | None,
    fusion: str | None,
    flip: bool,
    tile: tuple[int, int] | None,
    overlap: int | None,
    *,
    rotations: int = 1,
    proposals: str | None = None,
    blend: str = "linear",
    samples: int = 0,
    crf: str | None = None,
    run: Path | None = None,
    ensemble: Path | None = None,
    ensemble_by: str | None = None,
) -> "Options":
    """Return what was asked for, checked; `run` says which CRF "auto" is."""
    from perpixel.inference.options import Options
    from perpixel.inference.proposals import Proposals as BoxOptions

    joined: dict[str, Any] = {"blend": blend, "fusion": fusion or "mean"}  # Options checks them
    if proposals is not None:
        boxes: dict[str, Any] = {"finder": proposals, "aggregate": fusion or "max"}
        joined |= {"fusion": "mean", "proposals": BoxOptions(**boxes)}
    joined |= {"ensemble": _second(ensemble, ensemble_by)}
    looks = tuple(scales or (1.0,))
    options = Options(looks, flip=flip, tile=tile, overlap=overlap, rotations=rotations, samples=samples, **joined)
    if crf is None or run is None:
        return options
    return replace(options, crf=_choose_crf(run, crf))


def _second(run: Path | None, method: str | None) -> "EnsembleOptions | None":
    """Return what is asked of a second run, its weights identified."""
    from perpixel.errors import UsageError
    from perpixel.inference.ensemble import Ensemble as EnsembleOptions
    from perpixel.runs.load import fingerprint
    from perpixel.runs.run import Run

    if run is None:
        if method is not None:
            raise UsageError("--ensemble-by: expected a second run to join. Add --ensemble RUN, or leave it.")
        return None
    how: Any = method or "product"  # Ensemble checks it
    return EnsembleOptions(str(run), how, fingerprint(Run.open(run)))


def _choose_crf(run: Path, word: str) -> "CrfOptions":
    """Return the CRF's numbers, and say on stderr where they are from."""
    from perpixel.runs.crf.choice import choose_crf
    from perpixel.runs.run import Run

    choice = choose_crf(Run.open(run), word)
    typer.echo(f"CRF: {choice.source}", err=True)
    if choice.warning:
        typer.echo(f"Warning: {choice.warning}.", err=True)
    return choice.options


def choose_device(name: str) -> str | None:
    """Return what `load` takes: None finds out.

    Raises:
        UsageError: An unknown name, or CUDA where there is none.
    """
    from perpixel.errors import UsageError

    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device: expected auto, cpu or cuda, got {name!r}. The default is auto.")
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UsageError("--device: expected a CUDA device, found none. Use --device cpu.")
    return None if name == "auto" else name
