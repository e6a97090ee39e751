"""A data set and a network small enough to train in a test."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from perpixel.data.dataset import Dataset
from perpixel.data.normalization import Normalization
from perpixel.data.spec import DatasetSpec
from perpixel.training.job import Job
from perpixel.training.machine import Plan
from perpixel.training.recipe import AdamW, Budget, Recipe

CLASSES = ("ground", "square", "disc")


def write_tiny(root: Path, train: int = 5, val: int = 2, size: tuple[int, int] = (24, 32)) -> Path:
    """Write images of a square and a disc, each of its own colour, with exact masks and `dataset.yaml`."""
    for split, count in (("train", train), ("val", val)):
        for folder in ("images", "masks"):
            (root / folder / split).mkdir(parents=True)
        for index in range(count):
            pixels, target = shapes(1000 * (split == "val") + index, size)
            Image.fromarray(pixels).save(root / "images" / split / f"{index:03}.png")
            Image.fromarray(target).save(root / "masks" / split / f"{index:03}.png")
    DatasetSpec(
        name="tiny", images="images/{split}", masks="masks/{split}", splits=("train", "val"), classes=CLASSES
    ).save(root / "dataset.yaml")
    return root


def shapes(seed: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image and its class ids."""
    rng = np.random.default_rng(seed)
    height, width = size
    target = np.zeros(size, np.uint8)
    row, column = rng.integers(0, height // 2), rng.integers(0, width // 2)
    target[row : row + height // 3, column : column + width // 4] = 1
    rows, columns = np.mgrid[:height, :width]
    middle = rng.integers(height // 2, height), rng.integers(width // 2, width)
    target[(rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < (height / 4) ** 2] = 2
    colors = np.array([[90, 90, 90], [200, 60, 60], [60, 60, 200]])
    pixels = colors[target] + rng.normal(0, 12, (*size, 3))
    return pixels.clip(0, 255).astype(np.uint8), target


class TinyNet(nn.Module):
    """Two convolutions with batch normalisation and dropout: everything that makes resuming hard."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Conv2d(8, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits at the image's size."""
        logits: Tensor = self.classifier(self.dropout(self.norm(self.first(image)).relu()))
        return logits


def tiny_recipe(**changes: object) -> Recipe:
    """Return a recipe of a few iterations."""
    recipe = Recipe(
        model="tiny", crop_size=(16, 16), batch_size=2, budget=Budget(iterations=6), validations=3,
        optimizer=AdamW(learning_rate=0.01),
    )  # fmt: skip
    return recipe.replace(**changes)


def tiny_job(data: Path, run: Path, **changes: object) -> Job:
    """Return a job on tiny data, with the number format given so that nothing is measured."""
    run.mkdir(parents=True, exist_ok=True)
    dataset = Dataset(DatasetSpec.load(data / "dataset.yaml"), data)
    normalization = Normalization(mean=(100.0, 90.0, 110.0), std=(50.0, 50.0, 50.0))
    return Job(tiny_recipe(**changes), dataset, run, normalization, seed=3, plan=Plan(False, True))


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of all weights and buffers."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def same_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Return whether two state dicts are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
