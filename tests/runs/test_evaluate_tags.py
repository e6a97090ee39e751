"""Tags are measured where there are no masks."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from perpixel.data.dataset import open_dataset
from perpixel.data.normalization import Normalization
from perpixel.errors import DataError
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.evaluate import evaluate
from perpixel.runs.evaluate_tags import evaluate_tags, has_tags_alone
from tests.tiny import CLASSES, write_tiny

WITH_SQUARE = ("train/000", "val/000")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write images with tags: each names a disc, the first of each split a square too."""
    root = write_tiny(tmp_path / "data")
    for mask in (root / "masks").rglob("*.png"):
        mask.unlink()
    names = [f"{split}/{number:03}" for split, count in (("train", 5), ("val", 2)) for number in range(count)]
    lines = [f"{name},disc{' square' * (name in WITH_SQUARE)}\n" for name in names]
    (root / "tags.csv").write_text("image,tags\n" + "".join(lines))
    with (root / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\nbackground: ground\n")
    return root


class AlwaysBoth(nn.Module):
    """Finds every label in every image."""

    background = 0

    def forward(self, image: Tensor) -> Tensor:
        return image

    def classify(self, image: Tensor) -> Tensor:
        assert image.shape[1:] == (3, 24, 32)
        return torch.full((len(image), 2), 3.0)


def segmenter(network: nn.Module) -> Segmenter:
    normalization = Normalization(mean=(100.0, 90.0, 110.0), std=(50.0, 50.0, 50.0))
    return Segmenter(network, CLASSES, [(0, 0, 0), (9, 9, 9), (99, 99, 99)], normalization)


def test_tags_are_scored_over_all_images_of_the_split(data: Path) -> None:
    found = evaluate_tags(segmenter(AlwaysBoth()), open_dataset(data))
    assert (found.count, found.labels) == (2, ("square", "disc"))
    assert found.scores.recall == 1.0
    assert found.scores.precision == pytest.approx(3 / 4)
    assert found.scores.f1 == pytest.approx(6 / 7)
    assert found.scores.average_precision == (1.0, 1.0)
    assert found.warnings == ("val has tags and no masks: there is no mean IoU, only how well tags are found",)


def test_data_with_another_background_is_refused_since_its_labels_are_others(data: Path) -> None:
    text = (data / "dataset.yaml").read_text()
    (data / "dataset.yaml").write_text(text.replace("background: ground", "background: disc"))
    with pytest.raises(DataError, match="data whose background is ground, as the network learned it, got disc"):
        evaluate_tags(segmenter(AlwaysBoth()), open_dataset(data))


def test_json_has_the_keys_of_every_evaluation_and_null_where_masks_would_be_needed(data: Path) -> None:
    document = json.loads(json.dumps(evaluate_tags(segmenter(AlwaysBoth()), open_dataset(data)).to_json()))
    assert (document["split"], document["images"], document["mean_iou"]) == ("val", 2, None)
    assert document["tags"]["f1"] == pytest.approx(6 / 7)
    assert [row["name"] for row in document["per_class"]] == list(CLASSES)
    assert document["per_class"][0]["average_precision"] is None


def test_an_image_that_cannot_be_read_is_named_and_left_out(data: Path) -> None:
    (data / "images/val/001.png").write_bytes(b"no image")
    found = evaluate_tags(segmenter(AlwaysBoth()), open_dataset(data))
    assert (found.count, [failure.source for failure in found.failed]) == (1, ["val/001"])
    (data / "images/val/000.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="found none of 2"):
        evaluate_tags(segmenter(AlwaysBoth()), open_dataset(data))


def test_a_network_that_finds_no_tags_is_refused(data: Path) -> None:
    with pytest.raises(DataError, match="expected masks in val, found tags alone, and Identity finds no tags"):
        evaluate_tags(segmenter(nn.Identity()), open_dataset(data))


def test_pixels_are_not_measured_by_tags(data: Path, tmp_path: Path) -> None:
    assert has_tags_alone(open_dataset(data), "val")
    assert not has_tags_alone(open_dataset(write_tiny(tmp_path / "masked")), "val")
    with pytest.raises(DataError, match=r"expected pairs in val, found none. val has tags alone: no IoU follows"):
        evaluate(segmenter(AlwaysBoth()), open_dataset(data))
