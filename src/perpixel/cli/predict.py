"""`perpixel predict`: label photos with a trained network."""

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
    from perpixel.runs.predicting.predict import Predictions

SHOWN = 20  # failures named on the terminal; predictions.json has all


def predict_command(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    inputs: Annotated[
        list[str], typer.Argument(help="Images, films, folders of images, or patterns such as 'photos/*.jpg'.")
    ],
    out: Annotated[str, typer.Option(help="The folder that predictions go to.")],
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
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also NAME.overlay.png: the classes' colours over the image.")
    ] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also NAME.npz: `probabilities`, float16 (K, H, W).")
    ] = False,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty", help="Also NAME.uncertainty.png and .npz: entropy; with --samples, variance and more."
        ),
    ] = False,
    original_values: Annotated[
        bool,
        typer.Option("--original-values", help="Write the values that the data set's own masks store."),
    ] = False,
    vector: Annotated[
        str | None, typer.Option(help="Also polygons: geojson, labelme (one file an image) or coco (one for all).")
    ] = None,
    simplify: Annotated[float, typer.Option(help="How far polygons may be from the border, in pixels.")] = 0.0,
    min_area: Annotated[int, typer.Option(help="Smaller regions get no polygon: a neighbour absorbs them.")] = 0,
    every: Annotated[int, typer.Option(min=0, help="Of a film, also every N-th frame's class ids as an image.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Predict again what is already there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="What was done, as JSON on stdout.")] = False,
    device: Device = "auto",
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="[ADDRESS]",
            help="Predict on a Ray cluster: HOST:PORT, or none for RAY_ADDRESS or this machine. INPUT and --out may "
            "then be addresses such as s3://bucket/photos.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="With --cluster: how many networks at a time. One a GPU, or one for four cores.")
    ] = None,
) -> None:
    """Label every pixel of photos, at their own size.

    Writes OUT/NAME.png (class ids that viewers show in colour) and OUT/predictions.json. Predictions that
    are already there are skipped, so the same command goes on after an interruption.

    Example: perpixel predict runs/street photos/ --out labelled --overlay
    """
    from perpixel.runs.predicting.predict import Wanted

    options = make_options(
        scales, fusion, flip, tile, overlap, rotations=rotations, proposals=proposals, blend=blend, samples=samples,
        crf=crf, run=run, ensemble=ensemble, ensemble_by=ensemble_by,
    )  # fmt: skip
    wanted = Wanted(
        overlay, probabilities, original_values, overwrite, uncertainty, _vectors(vector, simplify, min_area), every
    )
    if cluster is not None:
        record = _predict_on_cluster(run, inputs, out, wanted, options, cluster, workers)
    else:
        record = _predict(run, _paths(inputs), Path(_paths([out])[0]), wanted, options, choose_device(device))
    if json:
        typer.echo(json_format.dumps(record.to_json(), indent=2))
    _say(record, out)
    if record.failed:
        raise typer.Exit(1)


def _vectors(format: str | None, simplify: float, min_area: int) -> Any:
    from perpixel.errors import UsageError
    from perpixel.export.polygons import Outlining
    from perpixel.runs.predicting.vectors import Vectors

    outlining = Outlining(simplify, min_area)
    if format is None:
        if simplify or min_area:
            raise UsageError(
                "predict: --simplify and --min-area are for polygons. Add --vector geojson, or leave them."
            )
        return None
    kind: Any = format  # Vectors checks it
    return Vectors(kind, outlining)


def _predict(run: Path, words: list[str], out: Path, wanted: Any, options: Any, device: str | None) -> "Predictions":
    from perpixel.cli.progress import Counter
    from perpixel.runs.load import fingerprint, load_for
    from perpixel.runs.predicting.inputs import find_inputs
    from perpixel.runs.predicting.predict import predict_inputs
    from perpixel.runs.run import Run

    opened = Run.open(run)
    found, missing = find_inputs(words, out)
    segmenter = load_for(opened, options, device)
    made_by = {"run": str(run), "weights": fingerprint(opened)}
    with Counter("Predicting") as counter:
        return predict_inputs(segmenter, found, out, wanted, options, made_by, counter, missing, counter)


def _paths(words: list[str]) -> list[str]:
    """Return words that are paths, `file://` taken off; addresses need a cluster."""
    from perpixel.errors import UsageError
    from perpixel.runs.predicting.remote import is_address, without_file

    for word in filter(is_address, words):
        raise UsageError(f"predict: expected a path, got the address {word}. Add --cluster, or copy the images here.")
    return [without_file(word) for word in words]


def _predict_on_cluster(
    run: Path, words: list[str], out: str, wanted: Any, options: Any, address: str, workers: int | None
) -> "Predictions":
    from perpixel.cli.progress import Counter
    from perpixel.runs.load import fingerprint, load_for
    from perpixel.runs.predicting.cluster import Cluster, predict_on_cluster
    from perpixel.runs.run import Run

    opened = Run.open(run)
    cluster = Cluster(None if address in ("auto", "here") else address, workers)
    made_by = {"run": str(run), "weights": fingerprint(opened)}
    segmenter = load_for(opened, options, "cpu")
    with Counter("Predicting") as counter:
        return predict_on_cluster(segmenter, words, out, wanted, options, made_by, cluster, counter)


def _say(record: "Predictions", out: str) -> None:
    for failure in record.failed[:SHOWN]:
        typer.echo(f"Failed: {_printable(failure.source)}: {failure.reason}", err=True)
    if len(record.failed) > SHOWN:
        typer.echo(f"… and {len(record.failed) - SHOWN} more in {out}/predictions.json", err=True)
    for warning in record.warnings:
        typer.echo(f"Warning: {warning}.", err=True)
    counts = f"{len(record.done)} predicted, {len(record.skipped)} already there, {len(record.failed)} failed"
    typer.echo(f"{counts}; in {out}", err=True)


def _printable(name: str) -> str:
    """Return a name on one line: line breaks and bytes that are no Unicode as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
