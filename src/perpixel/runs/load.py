"""From a run directory to a network that predicts."""

import hashlib
from pathlib import Path

import torch

from perpixel.errors import RunError
from perpixel.inference.options import Options
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.phases import first_unfinished
from perpixel.runs.run import Run, build_network
from perpixel.training import files


def load(path: Path | str, device: str | None = None) -> Segmenter:
    """Open a trained run for prediction.

    Args:
        path: The directory that `perpixel train` wrote.
        device: "cpu" or "cuda"; None takes CUDA where there is one.

    Raises:
        RunError: The directory is not a run, or has no weights yet.
    """
    return load_run(Run.open(path), device)


def load_for(run: Run, options: Options, device: str | None = None) -> Segmenter:
    """Load an opened run, and the second one of an ensemble.

    Raises:
        RunError: One of them is no run, or has no weights yet.
        UsageError: They know other classes, or see other pixels.
    """
    segmenter = load_run(run, device)
    return segmenter if options.ensemble is None else segmenter.join(load(options.ensemble.run, device))


def fingerprint(run: Run) -> str:
    """Return a short hash of the weights.

    Raises:
        RunError: There are none yet.
    """
    with _weights(run).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def load_run(run: Run, device: str | None = None) -> Segmenter:
    """Load an opened run."""
    network = build_network(run.record)
    weights = _weights(run)
    state, _ = files.load_model(weights)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(f"load: {weights} does not fit the network of run.yaml. {error}") from None
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return Segmenter(
        network,
        classes=run.classes,
        palette=run.palette,
        normalization=run.normalization,
        scale=run.recipe.image_scale,
        coding=run.coding,
        device=where,
        bits=run.dataset_spec.bits,
    )


def _weights(run: Run) -> Path:
    weights = run.path / files.MODEL
    if not weights.exists():
        phase = first_unfinished(run.path)
        when = "before its first validation" if phase == run.path else f"in {phase.name}, a phase before the last"
        raise RunError(
            f"load: {run.path} has no {files.MODEL} yet: training stopped {when}. "
            f"Go on with `perpixel train --resume {run.path}`."
        )
    return weights
