"""The options of prediction, which `evaluate` and `predict` share."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from perpixel.inference.options import Options

Scales = Annotated[
    list[float] | None,
    typer.Option("--scales", help="Look at the image in each of these sizes, e.g. --scales 0.75 1 1.25"),
]
Fusion = Annotated[str, typer.Option(help="How several looks are joined: mean of probabilities, or max of logits.")]
Flip = Annotated[bool, typer.Option("--flip", help="Look at the mirror image too.")]
Tile = Annotated[
    tuple[int, int] | None,
    typer.Option(help="H W of tiles in pixels; images that are too large for memory are tiled anyway."),
]
Overlap = Annotated[int | None, typer.Option(help="How far tiles overlap at least, in pixels.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def make_options(
    scales: list[float] | None, fusion: str, flip: bool, tile: tuple[int, int] | None, overlap: int | None
) -> "Options":
    """Return what was asked for, checked."""
    from perpixel.inference.options import Options

    method: Any = fusion  # Options checks it
    return Options(tuple(scales or (1.0,)), method, flip, tile, overlap)


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
