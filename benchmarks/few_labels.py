"""What are tags worth beside a few masks? DecoupledNet on drawn objects, narrow, on a CPU.

    python benchmarks/few_labels.py [--masks 5 10 25] [--seeds 0 1 2] [--updates 1500 4000] [--folder DIR] [--json FILE]

For each seed a data set is drawn, and for each number of masks a class its masks are hidden but for those of a few
images. Three trainings are scored on the same test images:

    decouplednet    the classifier from the tags of all images, the rest from the few masks
    strong only     both from the few images with masks: the paper's DecoupledNet-Str
    upper bound     both from all images, with all masks

All have the same updates, so that they differ in their labels alone. "Told" names each image's labels to the network,
so that outlines alone count. The classifier of all tags is trained once a seed.
Runs are kept in the folder, and a run that is done is not trained again: the command can be stopped and repeated.

Source: Hong, Noh, Han, "DecoupledNet", NIPS 2015, Table 1: with 10 masks a class 57.4 beside 41.7, and 67.5 with all.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from label_trials import Rows, add_arguments, draw, measured, phases, settings, spread, trained
from perpixel.data.dataset import open_dataset
from perpixel.data.subset import choose_masks, write_subset
from perpixel.runs.evaluate import evaluate
from perpixel.runs.load import load
from perpixel.runs.run import Run

TAGS_LINE = "tags: tags.csv\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--masks", type=int, nargs="*", default=[5, 10, 25], help="images with masks, a class")
    parser.add_argument("--updates", type=int, nargs=2, default=[1500, 4000], help="of the classifier, of the rest")
    parser.add_argument("--no-strong", action="store_true", help="leave out the trainings without tags")
    add_arguments(parser)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = [row for seed in args.seeds for row in one_seed(args, args.folder or Path(temporary), seed)]
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps({"settings": settings(args), "rows": found}, indent=1) + "\n")


def one_seed(args: argparse.Namespace, folder: Path, seed: int) -> Rows:
    """Train and score everything of one seed."""
    home, stages = folder / f"seed-{seed}", phases("decouplednet", args)
    draw(args, home / "data", seed)
    upper = home / "upper"
    rows = [scored("upper bound", None, seed, trained(home / "data", upper, stages, seed))]
    classifier = upper / "phases/1-classifier"
    for masks in args.masks:
        few, only = home / f"few-{masks}", home / f"only-{masks}"
        if not (few / "dataset.yaml").exists():
            whole = open_dataset(home / "data")
            write_subset(whole, choose_masks(whole, per_class=masks, seed=seed), few)
        ours = trained(few, home / f"decoupled-{masks}", stages[1:], seed, classifier)
        rows.append(scored("decouplednet", masks, seed, ours))
        if not args.no_strong:
            leave_tags_out(few, only)
            theirs = trained(only, home / f"strong-{masks}", stages, seed)
            rows.append(scored("strong only", masks, seed, theirs))
    return rows


def leave_tags_out(few: Path, only: Path) -> None:
    """Describe the same images and masks without tags: what has no mask is then not used at all."""
    only.mkdir(parents=True, exist_ok=True)
    (only / "dataset.yaml").write_text((few / "dataset.yaml").read_text().replace(TAGS_LINE, ""))
    (only / "masked.txt").write_text((few / "masked.txt").read_text())


def scored(name: str, masks: int | None, seed: int, run: Path) -> dict[str, Any]:
    """Return how many masks a run learned from, and its mean IoU on the test images by its own labels and told them."""
    data, segmenter = Run.open(run).open_data(), load(run, "cpu")
    network: Any = segmenter.network
    row = {
        "training": name, "masks": masks, "seed": seed, "images_with_masks": len(data.pairs("train")),
        "told_iou": measured(segmenter, network, data, "test", told=True).mean_iou,
        "mean_iou": evaluate(segmenter, data, "test").scores.mean_iou,
    }  # fmt: skip
    print(row, file=sys.stderr)
    return row


def table(rows: Rows) -> str:
    """Return mean and spread over the seeds, one line a training."""
    lines = [f"{'training':14} {'masks a class':>14} {'images':>7} {'mean IoU':>16} {'told':>16}"]
    for key in dict.fromkeys((row["training"], row["masks"]) for row in rows):
        chosen = [row for row in rows if (row["training"], row["masks"]) == key]
        images = statistics.mean(row["images_with_masks"] for row in chosen)
        scores = " ".join(f"{spread([row[column] for row in chosen]):>16}" for column in ("mean_iou", "told_iou"))
        lines.append(f"{key[0]:14} {key[1] or 'all':>14} {images:7.0f} {scores}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
