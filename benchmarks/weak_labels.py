"""Do masks of some classes help others, which have tags alone? TransferNet on drawn objects, narrow, on a CPU.

    python benchmarks/weak_labels.py [--targets 5] [--seeds 0 1 2] [--images 2400] [--telling 1] [--folder DIR]
        [--json FILE]

For each seed a data set is drawn; training never sees the masks of the first few kinds of objects, the targets. One
classifier learns from all tags, and everything else stands on it:

    activation maps   no masks at all: where the classifier's scores reach a share of their highest, for each label
                      found; the share is the one that serves the source classes of the validation images best
    transfernet       attention and decoder, with the source classes' masks
    uniform           the same without attention: every label looks everywhere alike
    tiled             the same without attention: the decoder gets all features, and the label in every cell
    all masks         transfernet with the targets' masks too: what can be had at most

"+ CRF" refines each label's map with the release's CRF, which is part of TransferNet; "told" names an image's labels to
both, so that outlines alone differ. Mean IoU of target classes and of source classes is of whole test images; "leads"
compares like with like, seed by seed. With `--telling 0.35` about a third of each object tells its kind, and the rest
looks alike in all kinds, as on photographs. Runs are kept in the folder, and a run that is done is not trained again:
the command can be stopped and repeated.

Source: Hong, Oh, Lee, Han, CVPR 2016, Table 1: 52.1 on PASCAL VOC's validation images, others without masks 33.8 to 42.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from label_trials import Rows, add_arguments, draw, measured, phases, settings, spread, trained
from perpixel.crf.options import CrfOptions
from perpixel.data.dataset import Dataset, open_dataset
from perpixel.data.synthetic.objects import OBJECTS
from perpixel.inference.per_label import RELEASED_CRF, LabelNetwork
from perpixel.inference.segmenter import Segmenter
from perpixel.ops.labels import BACKGROUND_SHARE
from perpixel.runs.load import load
from perpixel.runs.run import Run
from perpixel.training.recipe import Recipe

SHARES = tuple(share / 100 for share in range(20, 75, 5))  # of an activation map's highest value
SHARPNESS = 6.0  # from a relative map to a logit, for the CRF; it moves no border without one
METHODS = ("transfernet", "uniform", "tiled", "all masks")
COLUMNS = ("target_iou", "source_iou", "mean_iou")
MAPS = "activation maps"
FORMS = ("", " + CRF", ", told")  # how each method is scored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=5, help="kinds of objects without masks")
    parser.add_argument("--updates", type=int, nargs=3, default=[1200, 100, 4000], help="of each phase")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=METHODS, help="beside activation maps")
    add_arguments(parser)
    parser.set_defaults(set=["encoder=vgg13-bn"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = [row for seed in args.seeds for row in one_seed(args, args.folder or Path(temporary), seed)]
    print(table(found) + "\n\n" + leads(found))
    if args.json:
        args.json.write_text(json.dumps({"settings": settings(args), "rows": found}, indent=1) + "\n")


def one_seed(args: argparse.Namespace, folder: Path, seed: int) -> Rows:
    """Train and score everything of one seed."""
    home, targets = folder / f"seed-{seed}", OBJECTS[: args.targets]
    draw(args, home / "data", seed)
    weak, whole = home / "weak.yaml", home / "data"
    hide(whole, weak, OBJECTS[args.targets :])
    tags, attention, masks = phases("transfernet", args)
    masks = masks.replace(batch_size=tags.batch_size)
    classifier = trained(weak, home / "classifier", (tags,), seed)
    trials = {
        "transfernet": (weak, (attention, masks)),
        "uniform": (weak, (without_attention(masks, "uniform"),)),
        "tiled": (weak, (without_attention(masks, "tiled"),)),
        "all masks": (whole, (attention, masks)),
    }
    rows = activation_rows(load(classifier, "cpu"), open_dataset(whole), targets)
    for name in args.methods:
        data, stages = trials[name]
        run = trained(data, home / name.replace(" ", "-"), stages, seed, classifier)
        segmenter = load(run, "cpu")
        rows += every_form(name, segmenter, segmenter.network, Run.open(run).open_data(), targets)
    return [{**row, "seed": seed} for row in rows]


def hide(data: Path, weak: Path, sources: tuple[str, ...]) -> None:
    """Describe the same images and masks, of which training sees some classes only."""
    said = yaml.safe_load((data / "dataset.yaml").read_text())
    places = {key: f"{data.name}/{said[key]}" for key in ("images", "masks", "tags")}
    weak.write_text(yaml.safe_dump({**said, **places, "mask_classes": list(sources)}, sort_keys=False))


def without_attention(stage: Recipe, kind: str) -> Recipe:
    """Return the last phase without the attention that is learned; a class head of its own is what tags then train."""
    options = {**stage.options, "attention": kind, "class_head": "own"}
    return stage.replace(options=options, trainable=("class_head.*", "decoder.*"))


class MapsAlone:
    """A classifier's activation maps in the place of a network's passes."""

    def __init__(self, network: Any, share: float) -> None:
        self.network, self.share = network, share

    def classify(self, image: Tensor) -> Tensor:
        """Return what the classifier says."""
        logits: Tensor = self.network.classify(image)
        return logits

    def segment(self, image: Tensor, labels: Tensor) -> Tensor:
        """Return logits whose foreground is where the label's map is above the share of its highest value."""
        maps: Tensor = (self.network.activation_maps(image) * labels[..., None, None]).sum(1, keepdim=True)
        relative = maps / maps.amax((2, 3), keepdim=True).clamp(min=1e-6)
        inside = SHARPNESS * (relative - self.share) + math.log(BACKGROUND_SHARE)
        return torch.cat([torch.zeros_like(inside), inside], 1)


def activation_rows(segmenter: Segmenter, dataset: Dataset, targets: tuple[str, ...]) -> Rows:
    """Score activation maps, with the share that serves the classes with masks best on the validation images."""
    network = segmenter.network
    by_share = {
        share: scored("", segmenter, MapsAlone(network, share), dataset, targets, None, "val")["source_iou"]
        for share in SHARES
    }
    share = max(by_share, key=lambda share: by_share[share])
    rows = every_form(MAPS, segmenter, MapsAlone(network, share), dataset, targets)
    return [{**row, "share": share} for row in rows]


def every_form(name: str, segmenter: Segmenter, network: Any, dataset: Dataset, targets: tuple[str, ...]) -> Rows:
    """Score a network without and with the CRF, and without once more where the labels are known."""
    plain, crf, told = (name + form for form in FORMS)
    return [
        scored(plain, segmenter, network, dataset, targets, None),
        scored(crf, segmenter, network, dataset, targets, RELEASED_CRF),
        scored(told, segmenter, network, dataset, targets, None, told=True),
    ]


def scored(
    name: str, segmenter: Segmenter, network: LabelNetwork, dataset: Dataset, targets: tuple[str, ...],
    crf: CrfOptions | None, split: str = "test", told: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return mean IoU of target and of source classes over a split."""
    scores = measured(segmenter, network, dataset, split, crf, told)
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
    lines = [f"{'method':22}" + "".join(f"{column.replace('_', ' '):>16}" for column in COLUMNS)]
    for name in dict.fromkeys(row["method"] for row in rows):
        chosen = [row for row in rows if row["method"] == name]
        lines.append(f"{name:22}" + "".join(f"{spread([row[column] for row in chosen]):>16}" for column in COLUMNS))
    return "\n".join(lines)


def leads(rows: Rows) -> str:
    """Return by how much each method leads activation maps in the same form on the targets, and its worst seed."""
    iou = {(row["method"], row["seed"]): row["target_iou"] for row in rows}
    seeds = dict.fromkeys(row["seed"] for row in rows)
    lines = [f"{'lead over ' + MAPS:28}{'target iou':>16}{'worst seed':>12}"]
    for name in dict.fromkeys(row["method"] for row in rows):
        form = next(form for form in reversed(FORMS) if name.endswith(form))
        if name != MAPS + form:
            lead = [iou[name, seed] - iou[MAPS + form, seed] for seed in seeds]
            lines.append(f"{name:28}{spread(lead):>16}{100 * min(lead):12.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
