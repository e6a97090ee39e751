"""What the pipeline's options leave in a folder of predictions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from perpixel.errors import UsageError
from perpixel.inference.options import Options
from perpixel.runs.predicting.inputs import find_inputs
from perpixel.runs.predicting.predict import Predictions, Wanted, predict_inputs
from tests.labelled import network, segmenter, write_images


def predict(folder: Path, layer: nn.Module | None = None, **more: Any) -> Predictions:
    out = folder.parent / "out"
    inputs, failed = find_inputs([str(folder)], out)
    return predict_inputs(segmenter(layer), inputs, out, failed=failed, **({"wanted": Wanted()} | more))


class FromItsCorner(nn.Module):
    """Every label depends on the first pixel of the tile."""

    def forward(self, image: Tensor) -> Tensor:
        """Return the image, its channels moved on by that pixel's class."""
        return image.roll(int(image[0, :, 0, 0].argmax()), dims=1)


def dropping() -> nn.Module:
    return nn.Sequential(nn.Dropout(0.5), network())


def test_uncertainty_is_a_picture_and_the_maps_in_half_precision(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png")
    options = Options(samples=5)
    predict(folder, dropping(), wanted=Wanted(uncertainty=True), options=options)
    stored = np.load(tmp_path / "out/a.uncertainty.npz")
    shapes = {name: (stored[name].shape, stored[name].dtype) for name in stored}
    half = np.dtype(np.float16)
    assert shapes == {
        "entropy": ((12, 16), half), "variance": ((3, 12, 16), half), "mutual_information": ((12, 16), half),
    }  # fmt: skip
    with Image.open(tmp_path / "out/a.uncertainty.png") as picture:
        assert picture.mode == "RGB"
    assert len(predict(folder, dropping(), wanted=Wanted(uncertainty=True), options=options).skipped) == 1


def test_a_network_without_dropout_still_has_an_entropy(tmp_path: Path) -> None:
    predict(write_images(tmp_path / "in", "a.png"), wanted=Wanted(uncertainty=True))
    assert list(np.load(tmp_path / "out/a.uncertainty.npz")) == ["entropy"]


def test_samples_without_dropout_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a network with dropout"):
        predict(write_images(tmp_path / "in", "a.png"), options=Options(samples=2))
    assert not (tmp_path / "out/a.png").exists()


def test_an_image_called_like_another_ones_uncertainty_keeps_a_name_of_its_own(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png", "a.uncertainty.png")
    record = predict(folder, wanted=Wanted(uncertainty=True))
    assert sorted(entry["name"] for entry in record.done) == ["a", "a.uncertainty.png"]
    assert not record.failed


def test_tiles_leave_their_seams_score_and_a_warning_where_they_disagree(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png", "b.png")
    agreeing = predict(folder, options=Options(tile=(12, 8), overlap=4))
    assert [entry["seams"]["blended"] for entry in agreeing.done] == [0.0, 0.0]
    assert agreeing.warnings == []
    predict(folder, FromItsCorner(), options=Options(tile=(12, 8), overlap=4), wanted=Wanted(overwrite=True))
    document = json.loads((tmp_path / "out/predictions.json").read_text())
    assert document["made_by"]["options"]["tile"] == [12, 8]
    assert "neighbouring tiles disagree" in document["warnings"][0]
