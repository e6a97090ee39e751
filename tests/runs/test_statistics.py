"""Statistics are exact, and everything that cannot be used is said at once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.dataset import Dataset, open_dataset
from perpixel.errors import DataError
from perpixel.runs.statistics import with_statistics
from tests.tiny import write_tiny


def test_statistics_are_those_of_all_training_pixels(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "tiny")
    spec = with_statistics(open_dataset(data))
    pixels = np.concatenate([np.asarray(Image.open(p)).reshape(-1, 3) for p in (data / "images/train").iterdir()])
    targets = [np.asarray(Image.open(p)) for p in (data / "masks/train").iterdir()]
    assert spec.mean == pytest.approx(pixels.mean(0), abs=1e-3)
    assert spec.std == pytest.approx(pixels.std(0), abs=1e-3)
    assert spec.pixel_counts == tuple(sum(int((target == k).sum()) for target in targets) for k in range(3))
    assert spec.image_counts == tuple(sum(bool((target == k).any()) for target in targets) for k in range(3))


def test_every_bad_pair_of_both_splits_is_named_before_training(tmp_path: Path) -> None:
    """A value that is no class, a truncated image and a mask of another size: three lines, not one."""
    data = write_tiny(tmp_path / "tiny")
    Image.fromarray(np.full((24, 32), 9, np.uint8)).save(data / "masks/train/001.png")
    image = data / "images/train/003.png"
    image.write_bytes(image.read_bytes()[:200])
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(data / "masks/val/000.png")
    with pytest.raises(DataError) as caught:
        with_statistics(open_dataset(data))
    assert len(caught.value.problems) == 3
    for part in ("3 of 7 pairs", "001.png", "003.png", "000.png", "inspect"):
        assert part in str(caught.value)


def test_without_masks_the_tagged_images_are_read_and_no_class_is_counted(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "tiny")
    lines = "".join(f"train/{number:03},disc\n" for number in range(4))
    (data / "tags.csv").write_text("image,tags\n" + lines)
    for mask in (data / "masks/train").iterdir():
        mask.unlink()
    with (data / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\n")
    spec = with_statistics(open_dataset(data))
    images = sorted((data / "images/train").iterdir())[:4]
    pixels = np.concatenate([np.asarray(Image.open(path)).reshape(-1, 3) for path in images])
    assert spec.mean == pytest.approx(pixels.mean(0), abs=1e-3)
    assert (spec.pixel_counts, spec.image_counts) == (None, None)
    assert with_statistics(Dataset(spec, data)) is spec, "nothing is left to read"
