"""What are tags worth beside a few masks? DecoupledNet on drawn objects, narrow, on a CPU.

    python benchmarks/few_labels.py [--masks 5 10 25] [--seeds 0 1 2] [--side 96] [--folder DIR] [--json FILE]

For each seed a data set is drawn, and for each number of masks a class its masks are hidden but for those of a few
images. Three trainings are scored on the same validation images:

    decouplednet    the classifier from the tags of all images, the rest from the few masks
    strong only     both from the few images with masks: the paper's DecoupledNet-Str
    upper bound     both from all images, with all masks

All have the same updates, so that they differ in their labels alone. The classifier of all tags is trained once a seed.
Runs are kept in the folder, and a run that is done is not trained again: the command can be stopped and repeated.

Source: Hong, Noh, Han, "DecoupledNet", NIPS 2015, Table 1: with 10 masks a class 57.4 beside 41.7, and 67.5 with all.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from perpixel.data.dataset import open_dataset
from perpixel.data.subset import choose_masks, write_subset
from perpixel.data.synthetic.objects import write
from perpixel.recipes.choose import choose_stages
from perpixel.recipes.everyday import DataFacts
from perpixel.recipes.stages import Stages
from perpixel.runs.evaluate import evaluate
from perpixel.runs.load import load
from perpixel.runs.run import Run
from perpixel.runs.start import Wishes, resume, train
from perpixel.training.recipe import Budget

VALIDATION_IMAGES = 150
PLAIN = "tags: tags.csv\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--masks", type=int, nargs="*", default=[5, 10, 25], help="images with masks, a class")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--side", type=int, default=96, help="of the images, in pixels")
    parser.add_argument("--tags", type=int, default=600, help="training images")
    parser.add_argument("--updates", type=int, nargs=2, default=[900, 900], help="of the classifier, of the rest")
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--folder", type=Path, help="where data and runs are kept; a temporary one if not given")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = [row for seed in args.seeds for row in one_seed(args, args.folder or Path(temporary), seed)]
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps({"settings": settings(args), "rows": found}, indent=1) + "\n")


def one_seed(args: argparse.Namespace, folder: Path, seed: int) -> list[dict[str, Any]]:
    """Train and score everything of one seed."""
    home = folder / f"seed-{seed}"
    stages = recipes(args)
    if not (home / "data/dataset.yaml").exists():
        write(home / "data", {"train": args.tags, "val": VALIDATION_IMAGES}, (args.side, args.side), seed=seed)
    upper = home / "upper"
    rows = [scored("upper bound", None, seed, trained(home / "data", upper, stages, seed))]
    classifier = upper / "phases/1-classifier"
    for masks in args.masks:
        few, only = home / f"few-{masks}", home / f"only-{masks}"
        if not (few / "dataset.yaml").exists():
            whole = open_dataset(home / "data")
            write_subset(whole, choose_masks(whole, per_class=masks, seed=seed), few)
        leave_tags_out(few, only)
        ours = trained(few, home / f"decoupled-{masks}", stages[1:], seed, classifier)
        theirs = trained(only, home / f"strong-{masks}", stages, seed)
        rows += [scored("decouplednet", masks, seed, ours), scored("strong only", masks, seed, theirs)]
    return rows


def recipes(args: argparse.Namespace) -> Stages:
    """Return the two phases of the quick preset, with the updates and the width asked for."""
    facts = DataFacts(args.tags, (args.side, args.side))
    stages = choose_stages("decouplednet", "quick", facts, Budget(iterations=sum(args.updates)))
    return tuple(
        stage.replace(budget=Budget(iterations=updates), width=args.width, batch_size=8, validations=4, preset="custom")
        for stage, updates in zip(stages, args.updates, strict=True)
    )


def leave_tags_out(few: Path, only: Path) -> None:
    """Describe the same images and masks without tags: what has no mask is then not used at all."""
    only.mkdir(parents=True, exist_ok=True)
    (only / "dataset.yaml").write_text((few / "dataset.yaml").read_text().replace(PLAIN, ""))
    (only / "masked.txt").write_text((few / "masked.txt").read_text())


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


def scored(name: str, masks: int | None, seed: int, run: Path) -> dict[str, Any]:
    """Return a run's mean IoU on the validation images, and what it cost."""
    opened = Run.open(run)
    scores = evaluate(load(run, "cpu"), opened.open_data()).scores
    with_masks = len(opened.open_data().pairs("train"))
    row = {"training": name, "masks": masks, "seed": seed, "images_with_masks": with_masks, "mean_iou": scores.mean_iou}
    print(row, file=sys.stderr)
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return mean and spread over the seeds, one line a training."""
    lines = [f"{'training':14} {'masks a class':>14} {'images':>7} {'mean IoU':>16}"]
    for key in dict.fromkeys((row["training"], row["masks"]) for row in rows):
        chosen = [row for row in rows if (row["training"], row["masks"]) == key]
        values = [100 * row["mean_iou"] for row in chosen]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        images = statistics.mean(row["images_with_masks"] for row in chosen)
        lines.append(f"{key[0]:14} {key[1] or 'all':>14} {images:7.0f} {statistics.mean(values):9.1f} ± {spread:4.1f}")
    return "\n".join(lines)


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked for, without places."""
    return {key: value for key, value in vars(args).items() if key not in ("folder", "json")}


if __name__ == "__main__":
    main()
