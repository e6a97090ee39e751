"""Do masks of some classes help others, which have tags alone? TransferNet on drawn objects, narrow, on a CPU.

    python benchmarks/weak_labels.py [--targets 5] [--seeds 0 1 2] [--images 600] [--folder DIR] [--json FILE]

For each seed a data set is drawn; training never sees the masks of the first few kinds of objects, the targets. One
classifier learns from all tags, and everything else stands on it:

    activation maps   no masks at all: where the classifier's scores reach a share of their highest, for each label
                      found; the share is the one that serves the targets best, so that this is the most it can do
    transfernet       attention and decoder, with the source classes' masks
    uniform           the same without attention: every label looks everywhere alike
    tiled             the same without attention: the decoder gets all features, and the label in every cell
    all masks         transfernet with the targets' masks too: what can be had at most

"+ CRF" refines each label's map with the release's CRF. Mean IoU of target classes and of source classes is of whole
validation images. Runs are kept in the folder, and a run that is done is not trained again: the command can be stopped
and repeated.

Source: Hong, Oh, Lee, Han, CVPR 2016, Table 1: 52.1 on PASCAL VOC's validation images, others without masks 33.8 to 42.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from perpixel.crf.options import CrfOptions
from perpixel.data.dataset import Dataset, open_dataset
from perpixel.data.synthetic.objects import OBJECTS, write
from perpixel.inference.per_label import RELEASED_CRF, predict_labels
from perpixel.inference.segmenter import Segmenter
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.ops.labels import identify
from perpixel.recipes.choose import choose_stages
from perpixel.recipes.everyday import DataFacts
from perpixel.recipes.stages import Stages
from perpixel.runs.load import load
from perpixel.runs.run import Run
from perpixel.runs.start import Wishes, resume, train
from perpixel.training.recipe import Budget, Recipe

VALIDATION_IMAGES = 150
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of an activation map's highest value
Label = Callable[[NDArray[Any]], NDArray[Any]]
Rows = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=5, help="kinds of objects without masks")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--side", type=int, default=96, help="of the images, in pixels")
    parser.add_argument("--images", type=int, default=600, help="for training")
    parser.add_argument("--validation", type=int, default=VALIDATION_IMAGES)
    parser.add_argument("--updates", type=int, nargs=3, default=[900, 200, 900], help="of each phase")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", help="of the network, e.g. stages=3")
    parser.add_argument("--folder", type=Path, help="where data and runs are kept; a temporary one if not given")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = [row for seed in args.seeds for row in one_seed(args, args.folder or Path(temporary), seed)]
    print(table(found))
    if args.json:
        settings = {key: value for key, value in vars(args).items() if key not in ("folder", "json")}
        args.json.write_text(json.dumps({"settings": settings, "rows": found}, indent=1) + "\n")


def one_seed(args: argparse.Namespace, folder: Path, seed: int) -> Rows:
    """Train and score everything of one seed."""
    home = folder / f"seed-{seed}"
    if not (home / "data/dataset.yaml").exists():
        write(home / "data", {"train": args.images, "val": args.validation}, (args.side, args.side), seed=seed)
    weak, targets = home / "weak.yaml", OBJECTS[: args.targets]
    hide(home / "data", weak, OBJECTS[args.targets :])
    tags, attention, masks = recipes(args)
    learned = trained(weak, home / "transfernet", (tags, attention, masks), seed)
    classifier = learned / "phases/1-classifier"
    runs = {
        "transfernet": learned,
        "uniform": trained(weak, home / "uniform", (with_attention(masks, "uniform"),), seed, classifier),
        "tiled": trained(weak, home / "tiled", (with_attention(masks, "tiled"),), seed, classifier),
        "all masks": trained(home / "data", home / "all", (attention, masks), seed, classifier),
    }
    dataset = open_dataset(home / "data")
    rows = activation_rows(load(classifier, "cpu"), dataset, targets)
    for name, run in runs.items():
        segmenter = load(run, "cpu")
        rows.append(scored(name, dataset, targets, per_label(segmenter, None)))
        rows.append(scored(f"{name} + CRF", dataset, targets, per_label(segmenter, RELEASED_CRF)))
    return [{**row, "seed": seed} for row in rows]


def hide(data: Path, weak: Path, sources: Sequence[str]) -> None:
    """Describe the same images and masks, of which training sees some classes only."""
    said = yaml.safe_load((data / "dataset.yaml").read_text())
    places = {key: f"{data.name}/{said[key]}" for key in ("images", "masks", "tags")}
    weak.write_text(yaml.safe_dump({**said, **places, "mask_classes": list(sources)}, sort_keys=False))


def recipes(args: argparse.Namespace) -> Stages:
    """Return the three phases of the quick preset, with the updates, the width and the options asked for."""
    facts = DataFacts(args.images, (args.side, args.side))
    stages = choose_stages("transfernet", "quick", facts, Budget(iterations=sum(args.updates)))
    options = {key: yaml.safe_load(value) for key, _, value in (word.partition("=") for word in args.set)}
    return tuple(
        stage.replace(
            budget=Budget(iterations=updates), width=args.width, validations=3, preset="custom",
            options={**stage.options, "input_size": args.side, **options}, crop_size=(args.side, args.side),
        )
        for stage, updates in zip(stages, args.updates, strict=True)
    )  # fmt: skip


def with_attention(stage: Recipe, kind: str) -> Recipe:
    """Return the last phase without the attention that is learned."""
    options = {**stage.options, "attention": kind}
    return stage.replace(options=options, trainable=("class_head.*", "decoder.*"))


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


def per_label(segmenter: Segmenter, crf: CrfOptions | None) -> Label:
    """Return what labels an image pass by pass."""
    network: Any = segmenter.network
    return lambda pixels: (
        predict_labels(network, pixels, segmenter.normalization, network.background, crf, network.threshold).prediction
    )


def activation_rows(segmenter: Segmenter, dataset: Dataset, targets: Sequence[str]) -> Rows:
    """Score activation maps at every share, and return the one that serves the targets best."""
    network: Any = segmenter.network

    def at(share: float) -> Label:
        @torch.inference_mode()
        def label(pixels: NDArray[Any]) -> NDArray[Any]:
            image = torch.from_numpy(segmenter.normalization.apply(pixels)).view(1, -1, *pixels.shape[:2])
            maps, found = network.activation_maps(image)[0], identify(network.classify(image), network.threshold)[0]
            relative = maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-6)
            highest, index = relative.where(found[:, None, None], torch.tensor(-1.0)).max(0)
            classes: NDArray[Any] = torch.where(highest > share, index + 1, 0).numpy()
            return classes

        return label

    rows = [{**scored("activation maps", dataset, targets, at(share)), "share": share} for share in SHARES]
    return [max(rows, key=lambda row: row["target_iou"])]


def scored(name: str, dataset: Dataset, targets: Sequence[str], label: Label) -> dict[str, Any]:
    """Return mean IoU of target and of source classes over the validation images."""
    confusion = Confusion(dataset.num_classes)
    for pair in dataset.pairs("val"):
        pixels, target = dataset.read(pair)
        confusion.add(torch.from_numpy(target), torch.from_numpy(label(pixels).astype(np.uint8)))
    scores = Scores.from_confusion(confusion)
    iou = {name: value or 0.0 for name, value in zip(dataset.classes, scores.iou, strict=True)}
    row = {
        "method": name,
        "target_iou": statistics.mean(iou[kind] for kind in targets),
        "source_iou": statistics.mean(iou[kind] for kind in OBJECTS if kind not in targets),
        "mean_iou": scores.mean_iou,
    }
    print(row, file=sys.stderr)
    return row


def table(rows: Rows) -> str:
    """Return mean and spread over the seeds, one line a method."""
    columns = ("target_iou", "source_iou", "mean_iou")
    lines = [f"{'method':18}" + "".join(f"{column.replace('_', ' '):>16}" for column in columns)]
    for name in dict.fromkeys(row["method"] for row in rows):
        chosen = [row for row in rows if row["method"] == name]
        values = [[100 * row[column] for row in chosen] for column in columns]
        spreads = [statistics.stdev(value) if len(value) > 1 else 0.0 for value in values]
        means = [statistics.mean(value) for value in values]
        lines.append(f"{name:18}" + "".join(f"{m:9.1f} ± {s:4.1f}" for m, s in zip(means, spreads, strict=True)))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
