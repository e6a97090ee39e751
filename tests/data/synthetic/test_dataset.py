"""perpixel.data.synthetic.dataset: scenes in memory and on disk are the same."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.dataset import open_dataset
from perpixel.data.masks import IGNORE
from perpixel.data.spec import DatasetSpec
from perpixel.data.synthetic import CLASSES, COLORS, SyntheticScenes, scene, write_scenes
from perpixel.errors import UsageError

SIZE = (32, 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, {"train": 4, "val": 2}, SIZE, seed=7)
    return folder


def test_each_class_has_a_colour() -> None:
    assert len(COLORS) == len(CLASSES)


def test_a_scene_does_not_depend_on_how_many_there_are() -> None:
    few, many = SyntheticScenes(3, SIZE, seed=5), SyntheticScenes(30, SIZE, seed=5)
    assert np.array_equal(few[2][0], many[2][0])
    assert np.array_equal(few[-1][1], few[2][1])
    assert len(list(few)) == len(few) == 3


def test_sets_of_different_seeds_share_no_scene() -> None:
    assert not np.array_equal(SyntheticScenes(1, SIZE, seed=0)[0][0], SyntheticScenes(1, SIZE, seed=1)[0][0])


def test_an_index_outside_is_an_index_error() -> None:
    with pytest.raises(IndexError, match="index below 3, got 3"):
        SyntheticScenes(3, SIZE)[3]


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(UsageError, match="count and a seed of 0 or more, got -1"):
        SyntheticScenes(-1, SIZE)


def test_what_is_written_opens_as_a_data_set_with_exact_masks(folder: Path) -> None:
    data = open_dataset(folder)
    assert data.classes == CLASSES
    assert [len(data.pairs(split)) for split in ("train", "val")] == [4, 2]
    for index, pair in enumerate([*data.pairs("train"), *data.pairs("val")]):
        pixels, target = data.read(pair)
        expected_pixels, expected_target = scene((7, index), SIZE)
        assert np.array_equal(pixels, expected_pixels)
        assert np.array_equal(target, expected_target)


def test_masks_open_in_colour(folder: Path) -> None:
    with Image.open(folder / "masks/train/scene-00000.png") as mask:
        assert mask.mode == "P"


def test_statistics_are_those_of_the_training_scenes(folder: Path) -> None:
    spec = DatasetSpec.load(folder / "dataset.yaml")
    samples = [scene((7, index), SIZE) for index in range(4)]
    values = np.concatenate([pixels.reshape(-1, 3) for pixels, _ in samples])
    assert spec.mean == pytest.approx(values.mean(0), abs=1e-3)
    assert spec.std == pytest.approx(values.std(0), abs=1e-3)
    targets = np.stack([target for _, target in samples])
    assert spec.pixel_counts == tuple(int((targets == c).sum()) for c in range(len(CLASSES)))
    shows = [(targets == c).any((1, 2)) for c in range(len(CLASSES))]
    assert spec.image_counts == tuple(int(images.sum()) for images in shows)
    labelled = (targets != IGNORE).sum((1, 2))
    assert spec.image_pixel_counts == tuple(int(labelled[images].sum()) for images in shows)


def test_progress_is_told_after_each_scene(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    spec = write_scenes(tmp_path, {"val": 2}, (16, 16), progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]
    assert spec.mean is None


def test_nothing_to_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one scene"):
        write_scenes(tmp_path, {"train": 0})
