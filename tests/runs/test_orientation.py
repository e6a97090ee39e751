"""perpixel.runs.orientation: scenes drawn upright, and the same turned every way."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from perpixel.data.pairs import Pair, Picture
from perpixel.data.synthetic import scene
from perpixel.recipes.everyday import DataFacts, quick
from perpixel.runs.orientation import is_upright

Sample = tuple[np.ndarray, np.ndarray]


def upright(samples: list[Sample], num_classes: int = 8, masks: bool = True) -> bool:
    dataset = SimpleNamespace(
        num_classes=num_classes,
        read=lambda pair: samples[int(pair.name)],
        read_pixels=lambda picture: samples[int(picture.name)][0],
    )
    mask = Path("mask.png") if masks else None
    kind = Pair if masks else Picture
    return is_upright(dataset, [kind(str(index), "train", Path(), mask) for index in range(len(samples))])


def blobs(seed: int) -> Sample:
    """Return one of two classes in patches that lie anywhere."""
    rng = np.random.default_rng(seed)
    target = np.kron(rng.integers(0, 2, (16, 16), dtype=np.uint8), np.ones((8, 8), np.uint8))
    return (60 + 120 * target)[..., None].astype(np.uint8), target


def test_street_scenes_are_upright() -> None:
    assert upright([scene(seed, (64, 96)) for seed in range(12)])


def test_patches_that_lie_anywhere_are_not() -> None:
    assert not upright([blobs(seed) for seed in range(60)], num_classes=2)


def test_few_images_say_too_little() -> None:
    assert upright([blobs(seed) for seed in range(7)], num_classes=2)


def test_light_from_above_makes_even_classes_upright() -> None:
    lit = []
    for seed in range(60):
        pixels, target = blobs(seed)
        pixels[:64] += 40
        lit.append((pixels, target))
    assert upright(lit, num_classes=2)
    assert upright(lit, num_classes=2, masks=False)


def test_without_masks_brightness_alone_decides() -> None:
    assert not upright([blobs(seed) for seed in range(60)], num_classes=2, masks=False)


def test_a_single_row_has_no_halves() -> None:
    assert upright([(np.zeros((1, 9, 1), np.uint8), np.zeros((1, 9), np.uint8))] * 9)


@pytest.mark.parametrize(("stands", "scale"), [(True, (0.6, 1.8)), (False, (1.0, 1.0))])
def test_only_images_without_an_up_are_laid_all_eight_ways(stands: bool, scale: tuple[float, float]) -> None:
    augmentation = quick("unet-same", DataFacts(16, (512, 512), stands)).augmentation
    assert augmentation.scale == scale
    assert augmentation.vertical_flip == augmentation.transpose == (0.0 if stands else 0.5)
