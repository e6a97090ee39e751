"""`perpixel crf`: sharp edges for anybody's probabilities."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from perpixel.crf.options import CrfOptions

Bilateral = Annotated[
    tuple[float, float, float] | None,
    typer.Option(help="W XY RGB of the kernel near-and-alike: weight, pixels, levels of 0 to 255."),
]
Spatial = Annotated[tuple[float, float] | None, typer.Option(help="W XY of the kernel near: weight, pixels.")]
Iterations = Annotated[int | None, typer.Option(help="Mean-field updates; the papers take 5 or 10.")]
Normalization = Annotated[str | None, typer.Option(help="symmetric, after (DeepLab's own code) or none.")]


def crf_command(
    image: Annotated[Path, typer.Argument(help="The image that was predicted.")],
    probabilities: Annotated[
        Path, typer.Argument(help=".npz with `probabilities`, or .npy: (K, H, W) at the image's size.")
    ],
    out: Annotated[Path, typer.Option(help="FILE.png for class ids, FILE.npz for probabilities.")],
    preset: Annotated[str | None, typer.Option(help="A paper's numbers, e.g. deeplab-v2-resnet101.")] = None,
    bilateral: Bilateral = None,
    spatial: Spatial = None,
    iterations: Iterations = None,
    normalization: Normalization = None,
    tile: Annotated[
        tuple[int, int] | None, typer.Option(help="H W: refine larger images in overlapping tiles of so many pixels.")
    ] = None,
    logits: Annotated[bool, typer.Option("--logits", help="The file holds scores before softmax.")] = False,
    json: Annotated[bool, typer.Option("--json", help="What was done, as JSON on stdout.")] = False,
) -> None:
    """Refine class probabilities, of any network, with the fully connected CRF.

    The image and `predict --probabilities`, or any program's (K, H, W), are all it needs. Without options:
    weight 4 for pixels near (49 px) and alike (5 levels), 3 for near (3 px), 10 updates.

    Example: perpixel crf photo.jpg labelled/photo.npz --out sharp.png
    """
    from perpixel.runs.crf.refine import check_place, palette_beside, refine_file, save_refined

    options = crf_options(preset, bilateral, spatial, iterations, normalization).replace(tile=tile)
    check_place(out)
    refined = refine_file(image, probabilities, options, logits)
    num_classes, height, width = refined.probabilities.shape
    check_place(out, num_classes)
    save_refined(out, refined, palette_beside(probabilities, num_classes))
    typer.echo(
        f"{num_classes} classes, {height} × {width}: {refined.changed:.2%} of the pixels changed; {out}", err=True
    )
    if json:
        document = {
            "image": str(image), "probabilities": str(probabilities), "out": str(out), "num_classes": num_classes,
            "size": [height, width], "changed": refined.changed, "crf": options.to_dict(),
        }  # fmt: skip
        typer.echo(json_format.dumps(document, indent=2, ensure_ascii=False))


def crf_options(
    preset: str | None,
    bilateral: tuple[float, float, float] | None,
    spatial: tuple[float, float] | None,
    iterations: int | None,
    normalization: str | None,
) -> "CrfOptions":
    """Return a preset, or the numbers given, with what was said besides.

    Raises:
        UsageError: A preset and kernels at once, an unknown name, or a value that cannot be used.
    """
    from perpixel.crf.options import CrfOptions, find_preset
    from perpixel.errors import UsageError

    if preset is not None and (bilateral is not None or spatial is not None):
        raise UsageError("crf: expected --preset, or --bilateral and --spatial, got both. A preset has its kernels.")
    given = {"bilateral": bilateral, "spatial": spatial, "iterations": iterations, "normalization": normalization}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return (CrfOptions() if preset is None else find_preset(preset)).replace(**changes)
