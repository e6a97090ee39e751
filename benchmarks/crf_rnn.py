"""CRF-RNN against the CRF that does not learn, on drawn street scenes: mean IoU, everywhere and around borders.

    python benchmarks/crf_rnn.py [--seeds 1] [--json FILE]

For each seed a narrow FCN-8s, the paper's network, is trained from scratch. From there it is trained on for the same
updates on the same batches in three ways: alone, which is the fair control; kept as it is, with a CRF behind it that
learns; and both learning, which is CRF-RNN. The CRF that does not learn gets its deviations and weights by a grid on
scenes of the training split, once for the network and once for the control; those that learn begin from what the grid
gave for the network. All are scored on scenes that nothing has seen.
"""

import argparse
import copy
import itertools
import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from perpixel.crf.layer import DenseCrf
from perpixel.crf.options import PRESETS, CrfOptions
from perpixel.data.normalization import Normalization
from perpixel.data.synthetic import CLASSES, SyntheticScenes
from perpixel.metrics.boundary import Boundary
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.models.catalog import build
from perpixel.models.crf_rnn import CrfRnn

SIZE = (96, 128)
TRAIN, TUNE, TEST = 200, 16, 48
WIDTH = 1 / 8
UPDATES, MORE, BATCH = 400, 100, 4
NORMALIZATION = Normalization(mean=(110.0, 115.0, 115.0), std=(60.0, 60.0, 60.0))
GRID = tuple(itertools.product((3.0, 6.0, 12.0), (4.0, 8.0, 16.0), (5.0, 10.0, 20.0), (0.0, 3.0)))
BANDS = (1, 2, 4)
BATCHES = 16  # of scenes at a time, where nothing learns

Split = tuple[Tensor, Tensor, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = [compare(seed) for seed in range(arguments.seeds)]
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def compare(seed: int) -> dict:
    """Train and score everything for one seed, and print a line for each."""
    train, test = scenes(TRAIN, 1000 + seed), scenes(TEST, 2000 + seed)
    torch.manual_seed(seed)
    network = build("fcn8s", len(CLASSES), width=WIDTH, padding=1)
    seconds = fit(network, train, UPDATES, [(network.parameters(), 2e-3)], seed)
    print(f"seed {seed}: fcn8s, {UPDATES} updates in {seconds:.0f} s of processor time")
    control = copy.deepcopy(network)
    control_seconds = fit(control, train, MORE, [(control.parameters(), 5e-4)], seed + 1)
    tuned, tuned_control = tune(network, train), tune(control, train)
    layer, learned = beginning(network, tuned), beginning(network, tuned)
    layer.network.requires_grad_(False)
    fit(layer, train, MORE, [(layer.crf.parameters(), 2e-2)], seed + 1)
    rates = [(learned.network.parameters(), 5e-4), (learned.crf.parameters(), 2e-2)]
    learned_seconds = fit(learned, train, MORE, rates, seed + 1)
    print(f"seed {seed}: {MORE} updates more in {control_seconds:.0f} s alone, {learned_seconds:.0f} s with the CRF")
    judged = {
        "network": network,
        "network + CRF, preset": frozen(network, PRESETS["default"]),
        "network + CRF, tuned": frozen(network, tuned),
        "trained on alone": control,
        "trained on alone + CRF, tuned": frozen(control, tuned_control),
        "network + CRF that learned": layer,
        "CRF-RNN, both learned": learned,
        "its network without the layer": learned.network,
    }
    rows = {word: score(model, test, word) for word, model in judged.items()}
    return {"seed": seed, "tuned": tuned.to_dict(), "tuned_control": tuned_control.to_dict(), "scores": rows}


def scenes(count: int, seed: int) -> Split:
    """Draw scenes: images as the network takes them, pixels, and targets."""
    pixels, targets = zip(*SyntheticScenes(count, SIZE, seed), strict=True)
    stored = np.stack(pixels)
    target = torch.from_numpy(np.stack(targets).astype(np.int64))
    return torch.from_numpy(NORMALIZATION.apply(stored)), torch.from_numpy(stored).permute(0, 3, 1, 2), target


def fit(
    network: nn.Module, train: Split, updates: int, rates: list[tuple[Iterable[Tensor], float]], seed: int
) -> float:
    """Train with Adam, rates falling linearly to a tenth, mirrored at random; return the seconds of processor time."""
    began, generator = time.process_time(), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([{"params": list(parameters), "lr": rate} for parameters, rate in rates])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: 1 - 0.9 * update / updates)
    network.train()
    for _ in range(updates):
        chosen = torch.randint(len(train[0]), (BATCH,), generator=generator)
        image, target = train[0][chosen], train[2][chosen]
        if torch.rand((), generator=generator) < 0.5:
            image, target = image.flip(-1), target.flip(-1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(image), target, ignore_index=255).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    network.eval()
    return time.process_time() - began


def frozen(network: nn.Module, options: CrfOptions) -> CrfRnn:
    """Put a CRF that has learned nothing behind a network."""
    return CrfRnn(network, DenseCrf.from_options(len(CLASSES), options), NORMALIZATION).eval()


def beginning(network: nn.Module, options: CrfOptions) -> CrfRnn:
    """Put a CRF that will learn behind a copy of a network: 5 iterations in training, 10 at test, as the paper."""
    model = frozen(copy.deepcopy(network), options)
    model.crf.iterations, model.crf.test_iterations = 5, 10
    return model


@torch.inference_mode()
def tune(network: nn.Module, train: Split) -> CrfOptions:
    """Return the best of the grid by mean IoU on some training scenes; five iterations, as in training."""
    image, pixels, target = (part[:TUNE] for part in train)
    logits, best, found = network(image), -1.0, PRESETS["default"]
    for weight, xy, rgb, spatial in GRID:
        options = CrfOptions((weight, xy, rgb), (spatial, 3.0) if spatial else None, 5, "after")
        prediction = DenseCrf.from_options(len(CLASSES), options)(logits, pixels).argmax(1)
        mean_iou = mean_iou_of(target, prediction)
        if mean_iou > best:
            best, found = mean_iou, options
    print(f"  grid: {found.bilateral}, {found.spatial}: {100 * best:.1f} on {TUNE} training scenes")
    return found.replace(iterations=10)


@torch.inference_mode()
def score(network: nn.Module, test: Split, word: str) -> dict:
    """Score unseen scenes, everywhere and around borders, and print a line."""
    prediction = torch.cat([network(image) for image in test[0].split(BATCHES)]).argmax(1)
    boundary = Boundary(len(CLASSES), BANDS)
    for one, other in zip(test[2].numpy(), prediction.numpy(), strict=True):
        boundary.add(one.astype(np.uint8), other.astype(np.uint8))
    trimap = {width: scores.mean_iou for width, scores in boundary.scores().items()}
    row = {"mean_iou": mean_iou_of(test[2], prediction), "trimap": trimap, "boundary_f": boundary.boundary_f}
    bands = "  ".join(f"{width} px {100 * (value or 0):.1f}" for width, value in trimap.items())
    print(f"  {word:32} mean IoU {100 * row['mean_iou']:.1f}  band {bands}  F {100 * (row['boundary_f'] or 0):.1f}")
    return row


def mean_iou_of(target: Tensor, prediction: Tensor) -> float:
    confusion = Confusion(len(CLASSES))
    confusion.add(target.to(torch.uint8), prediction.to(torch.uint8))
    return Scores.from_confusion(confusion).mean_iou or 0.0


if __name__ == "__main__":
    main()
