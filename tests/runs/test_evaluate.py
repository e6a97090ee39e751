"""Scores come from counts over the whole split."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from perpixel.data.dataset import open_dataset
from perpixel.errors import DataError
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.runs.evaluate import evaluate
from tests.labelled import draw, network, segmenter, write_data


def test_a_network_that_is_right_everywhere_scores_one(tmp_path: Path) -> None:
    result = evaluate(segmenter(), open_dataset(write_data(tmp_path)))
    assert result.count == 4
    assert result.scores.mean_iou == result.scores.pixel_accuracy == 1.0
    assert result.scores.ignored_share == pytest.approx(2 / 12)
    assert result.warnings == ()


def test_counts_are_summed_over_the_split_not_averaged_over_images(tmp_path: Path) -> None:
    """Compared with one table of all pixels side by side."""
    swapped = network()
    with torch.no_grad():
        swapped.bias.copy_(torch.tensor([0.0, 50.0, 0.0]))  # green wins everywhere
    result = evaluate(segmenter(swapped), open_dataset(write_data(tmp_path)))
    truth = np.concatenate([draw(index)[1][2:] for index in range(4)])
    expected = Scores.from_confusion(Confusion(3).add(truth, np.ones_like(truth)))
    assert result.scores.iou == expected.iou
    assert result.scores.mean_iou == expected.mean_iou
    assert any("every pixel is predicted as green" in warning for warning in result.warnings)


def test_much_that_is_ignored_is_warned_about(tmp_path: Path) -> None:
    result = evaluate(segmenter(), open_dataset(write_data(tmp_path, ignored_rows=6)))
    assert any("50% of all pixels are ignored" in warning for warning in result.warnings)


def test_json_says_scores_definitions_baseline_options_and_counts(tmp_path: Path) -> None:
    document = json.loads(json.dumps(evaluate(segmenter(), open_dataset(write_data(tmp_path))).to_json()))
    assert document["split"] == "val"
    assert document["images"] == 4
    assert [row["name"] for row in document["per_class"]] == ["red", "green", "blue"]
    assert set(document["per_class"][0]) == {"name", "iou", "accuracy", "pixels"}
    assert document["options"]["scales"] == [1.0]
    assert 0 < document["baseline_mean_iou"] < 0.5
    assert np.sum(document["confusion"]["counts"]) == 4 * 10 * 16
    assert document["ignored_pixels"] == 4 * 2 * 16
    assert "mean_iou" in document["definitions"]


def test_best_and_worst_images_are_kept_when_asked_for(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    pixels = np.asarray(Image.open(data / "images/val/2.png"))
    Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(data / "images/val/2.png")
    result = evaluate(segmenter(), open_dataset(data), examples=2)
    assert result.worst[0].score.name == "2"
    assert len(result.worst) == len(result.best) == 2
    assert not {e.score.name for e in result.worst} & {e.score.name for e in result.best}


def test_a_pair_that_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    (data / "images/val/1.png").write_bytes(b"not an image")
    result = evaluate(segmenter(), open_dataset(data))
    assert result.count == 3
    assert [failure.source for failure in result.failed] == ["val/1"]
    assert any("1 of 4 pairs are not in the scores" in warning for warning in result.warnings)


def test_an_unknown_split_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Known: val"):
        evaluate(segmenter(), open_dataset(write_data(tmp_path)), "test")


def test_borders_are_measured_image_by_image_and_reported(tmp_path: Path) -> None:
    """A network that is right everywhere is right near borders; one that says green everywhere finds none."""
    data = open_dataset(write_data(tmp_path))
    right = evaluate(segmenter(), data).to_json()["boundary"]
    assert [row["mean_iou"] for row in right["trimap"]] == [1.0] * 4
    assert right["boundary_f"] == 1.0
    blind = network()
    with torch.no_grad():
        blind.bias.copy_(torch.tensor([0.0, 50.0, 0.0]))
    assert evaluate(segmenter(blind), data).boundary.boundary_f == 0.0
