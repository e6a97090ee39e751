"""Scores say how they were predicted, and whether tiles agreed."""

import json
from pathlib import Path

import pytest
from torch import Tensor, nn

from perpixel.data.dataset import open_dataset
from perpixel.errors import UsageError
from perpixel.inference.options import Options
from perpixel.runs.evaluate import evaluate
from tests.labelled import segmenter, write_data


class FromItsCorner(nn.Module):
    """Every label depends on the first pixel of the tile."""

    def forward(self, image: Tensor) -> Tensor:
        """Return the image, its channels moved on by that pixel's class."""
        return image.roll(int(image[0, :, 0, 0].argmax()), dims=1)


TILED = Options(tile=(12, 8), overlap=4)


def test_the_options_and_the_seams_are_in_the_json(tmp_path: Path) -> None:
    result = evaluate(segmenter(), open_dataset(write_data(tmp_path)), options=TILED)
    document = json.loads(json.dumps(result.to_json()))
    assert Options.from_json(document["options"]) == TILED
    assert document["seams"]["blended"] == 0
    assert sum(document["seams"]["pixels"]) == 4 * 12 * 8  # two overlaps of 4 columns in each of four images
    assert result.warnings == ()


def test_whole_images_have_no_seams(tmp_path: Path) -> None:
    assert evaluate(segmenter(), open_dataset(write_data(tmp_path))).to_json()["seams"] is None


def test_tiles_that_disagree_are_warned_about(tmp_path: Path) -> None:
    result = evaluate(segmenter(FromItsCorner()), open_dataset(write_data(tmp_path)), options=TILED)
    assert any("neighbouring tiles disagree" in warning for warning in result.warnings)


def test_options_that_a_network_cannot_follow_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a network with dropout"):
        evaluate(segmenter(), open_dataset(write_data(tmp_path)), options=Options(samples=3))
