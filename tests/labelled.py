"""A run directory whose network is right by construction: class k is what is bright in channel k."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from perpixel.data.dataset import Dataset
from perpixel.data.normalization import Normalization
from perpixel.data.palette import distinct_colors
from perpixel.data.spec import DatasetSpec
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.run import DATASET, Record, Run, write_record
from perpixel.training.files import MODEL, save_model
from perpixel.training.recipe import Recipe

CLASSES = ("red", "green", "blue")
STORED = (7, 30, 200)


def draw(seed: int, size: tuple[int, int] = (12, 16)) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels and the ids of their brightest channels."""
    target = np.random.default_rng(seed).integers(0, 3, size, dtype=np.uint8)
    return np.eye(3, dtype=np.uint8)[target] * 200 + 20, target


def write_images(folder: Path, *names: str) -> Path:
    """Write one image a name."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(seed)[0]).save(folder / name)
    return folder


def write_data(root: Path, count: int = 4, ignored_rows: int = 2) -> Path:
    """Write a data set whose masks store 7, 30 and 200, and 99 for pixels to ignore."""
    for folder in ("images", "masks"):
        (root / folder / "val").mkdir(parents=True)
    for index in range(count):
        pixels, target = draw(index)
        stored = np.array(STORED, np.uint8)[target]
        stored[:ignored_rows] = 99
        Image.fromarray(pixels).save(root / "images/val" / f"{index}.png")
        Image.fromarray(stored).save(root / "masks/val" / f"{index}.png")
    spec().save(root / DATASET)
    return root


def spec() -> DatasetSpec:
    """Return the data set's description."""
    return DatasetSpec(
        name="bright", images="images/{split}", masks="masks/{split}", splits=("val",), classes=CLASSES,
        mask_values=dict(zip(STORED, CLASSES, strict=True)), ignore=(99,),
    )  # fmt: skip


def network() -> nn.Conv2d:
    """Return the 1 × 1 convolution that passes every channel on as a logit."""
    layer = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(3)[:, :, None, None] / 10)
        layer.bias.zero_()
    return layer


def segmenter(layer: nn.Module | None = None) -> Segmenter:
    """Return it ready to predict."""
    norm = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    coding = Dataset(spec(), ".").coding
    return Segmenter(layer or network(), CLASSES, distinct_colors(3), norm, coding=coding)


def predict_folder(folder: Path, out: Path, probabilities: bool = False) -> None:
    """Predict a folder; a process of its own may be told to.

    The fastest way of a layer is measured, and two processes may find another one: here it is always the plain one.
    """
    from perpixel.runs.predicting.inputs import find_inputs
    from perpixel.runs.predicting.predict import Wanted, predict_inputs

    torch.set_num_threads(1)
    inputs, failed = find_inputs([str(folder)], out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perpixel.inference.prepared.choose", lambda *_: nn.Conv2d)
        predict_inputs(segmenter(), inputs, out, Wanted(probabilities=probabilities), failed=failed)


def write_run(root: Path, data: Path) -> Path:
    """Write a run directory; its network must be given by replacing `perpixel.runs.load.build_network`."""
    root.mkdir(parents=True)
    spec().save(root / DATASET)
    save_model(root / MODEL, network().state_dict(), {})
    record = Record(
        perpixel="0", torch="0", python="0", command="", seed=0, device="cpu", data=(str(data),), fingerprint="",
        num_classes=3, in_channels=3, initial_weights="none", class_weights=(1.0, 1.0, 1.0),
        recipe=Recipe(model="levels"),
        normalization=Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    )  # fmt: skip
    write_record(root, record)
    Run.open(root)
    return root
