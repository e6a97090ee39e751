"""From a run directory to a network that predicts."""

from pathlib import Path

import torch

from perpixel.errors import RunError
from perpixel.inference.segmenter import Segmenter
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


def load_run(run: Run, device: str | None = None) -> Segmenter:
    """Load an opened run."""
    network = build_network(run.record)
    weights = run.path / files.MODEL
    if not weights.exists():
        raise RunError(
            f"load: {run.path} has no {files.MODEL} yet: training stopped before its first validation. "
            f"Go on with `perpixel train --resume {run.path}`."
        )
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
