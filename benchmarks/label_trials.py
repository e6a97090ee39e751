"""What the trials with few and with weak labels share: drawn objects, trainings that are not repeated, tables.

Pictures of three splits are drawn: the first is trained on, the second chooses which weights are kept, the third is
scored once, at the end.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from perpixel.crf.options import CrfOptions
from perpixel.data.dataset import Dataset
from perpixel.data.synthetic.objects import write
from perpixel.inference.per_label import LabelNetwork, predict_labels
from perpixel.inference.segmenter import Segmenter
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.recipes.choose import choose_stages
from perpixel.recipes.everyday import DataFacts
from perpixel.recipes.stages import Stages
from perpixel.runs.run import Run
from perpixel.runs.start import Wishes, resume, train
from perpixel.training.recipe import Budget

VALIDATION_IMAGES = 100
BATCHES = (16, 8, 8)  # of the classifier's phase, and of those after it
Rows = list[dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both trials can be told."""
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--side", type=int, default=96, help="of the images, in pixels")
    parser.add_argument("--images", type=int, default=2400, help="for training")
    parser.add_argument("--test-images", type=int, default=200)
    parser.add_argument("--telling", type=float, default=1.0, help="share of each object that looks like its kind")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", help="of the network, e.g. stages=3")
    parser.add_argument("--folder", type=Path, help="where data and runs are kept; a temporary one if not given")
    parser.add_argument("--json", type=Path)


def draw(args: argparse.Namespace, folder: Path, seed: int) -> None:
    """Write a seed's pictures, unless they are there."""
    if not (folder / "dataset.yaml").exists():
        counts = {"train": args.images, "val": VALIDATION_IMAGES, "test": args.test_images}
        write(folder, counts, (args.side, args.side), seed=seed, telling=args.telling)


def phases(model: str, args: argparse.Namespace) -> Stages:
    """Return the phases of the quick preset, with the updates, the width and the options asked for."""
    facts = DataFacts(args.images, (args.side, args.side))
    stages = choose_stages(model, "quick", facts, Budget(iterations=sum(args.updates)))
    options = {key: yaml.safe_load(value) for key, _, value in (word.partition("=") for word in args.set)}
    return tuple(
        stage.replace(
            budget=Budget(iterations=updates), batch_size=batch, width=args.width, validations=4, preset="custom",
            options={**stage.options, "input_size": args.side, **options}, crop_size=(args.side, args.side),
            windows=stage.windows and stage.windows.model_copy(update={"side": round(1.1 * args.side)}),
        )
        for stage, updates, batch in zip(stages, args.updates, BATCHES, strict=False)
    )  # fmt: skip


def trained(data: Path, run: Path, stages: Stages, seed: int, weights: Path | None = None) -> Path:
    """Train the stages into a run, or go on with one that was stopped; return it."""
    if (run / "run.yaml").exists():
        if not Run.open(run).record.finished:
            resume(run)
        return run
    recipe = run.with_suffix(".yaml")
    recipe.write_text(yaml.safe_dump({"phases": [stage.model_dump(mode="json") for stage in stages]}))
    print(f"training {run}", file=sys.stderr)
    train(data, out=run, wishes=Wishes(recipe=str(recipe), seed=seed, device="cpu", weights=str(weights or "none")))
    return run


def measured(
    segmenter: Segmenter, network: LabelNetwork, dataset: Dataset, split: str, crf: CrfOptions | None = None,
    told: bool = False,
) -> Scores:  # fmt: skip
    """Score a network, which may be another than the segmenter's; told, it need not find an image's labels itself."""
    confusion = Confusion(dataset.num_classes)
    whole: Any = segmenter.network
    for pair in dataset.pairs(split):
        pixels, target = dataset.read(pair)
        there = [int(i) - 1 for i in np.unique(target) if i] if told else None  # the background is class 0
        found = predict_labels(network, pixels, segmenter.normalization, whole.background, crf, whole.threshold, there)
        confusion.add(torch.from_numpy(target), torch.from_numpy(found.prediction.astype(np.uint8)))
    return Scores.from_confusion(confusion)


def spread(values: Sequence[float]) -> str:
    """Return fractions as percent: their mean, and the standard deviation where there are several."""
    percent = [100 * value for value in values]
    deviation = statistics.stdev(percent) if len(percent) > 1 else 0.0
    return f"{statistics.mean(percent):.1f} ± {deviation:.1f}"


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked for, without places."""
    return {key: value for key, value in vars(args).items() if key not in ("folder", "json")}
