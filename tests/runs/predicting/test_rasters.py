"""`predict` takes rasters that are too large to decode among its images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from perpixel.cli.main import main
from perpixel.data.normalization import Normalization
from perpixel.data.rasters import open as opening
from perpixel.inference.options import Options
from perpixel.runs.predicting.inputs import find_inputs
from perpixel.runs.predicting.predict import Wanted, predict_inputs
from perpixel.runs.predicting.record import Predictions
from perpixel.runs.predicting.vectors import Vectors
from tests.data.rasters.files import write_tiff
from tests.labelled import draw, network, segmenter, write_data, write_images, write_run

tifffile = pytest.importorskip("tifffile")
OPTIONS = Options(tile=(40, 48), overlap=8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of two small images and a TIFF that counts as large."""
    monkeypatch.setattr(opening, "MAX_PIXELS", 100 * 100)
    folder = write_images(tmp_path / "in", "a.png", "c.tif")
    write_tiff(folder / "big.tif", draw(7, (130, 110))[0], tile=(32, 32), compression="deflate")
    return folder


def predict(folder: Path, out: Path, wanted: Wanted | None = None) -> Predictions:
    inputs, failed = find_inputs([str(folder)], out)
    return predict_inputs(segmenter(), inputs, out, wanted or Wanted(), OPTIONS, failed=failed)


def test_a_raster_among_images_becomes_a_tiff(folder: Path, tmp_path: Path) -> None:
    record = predict(folder, tmp_path / "out", Wanted(overlay=True))
    assert not record.failed
    names = ["a.overlay.png", "a.png", "big.overlay.png", "big.tif", "c.overlay.png", "c.png", "predictions.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert np.array_equal(tifffile.imread(tmp_path / "out/big.tif"), draw(7, (130, 110))[1])
    (entry,) = (entry for entry in record.done if entry["name"] == "big")
    assert entry["files"] == ["big.tif", "big.overlay.png"]
    assert entry["size"] == [130, 110]


def test_a_raster_that_is_done_is_skipped_until_it_changes(folder: Path, tmp_path: Path) -> None:
    predict(folder, tmp_path / "out")
    assert len(predict(folder, tmp_path / "out").skipped) == 3
    write_tiff(folder / "big.tif", draw(8, (130, 110))[0])
    assert [entry["name"] for entry in predict(folder, tmp_path / "out").done] == ["big"]
    assert np.array_equal(tifffile.imread(tmp_path / "out/big.tif"), draw(8, (130, 110))[1])
    assert len(predict(folder, tmp_path / "out", Wanted(overwrite=True)).done) == 3


def test_a_broken_raster_is_named_and_the_rest_is_done(folder: Path, tmp_path: Path) -> None:
    data = (folder / "big.tif").read_bytes()
    (folder / "big.tif").write_bytes(data[: len(data) - 20])
    record = predict(folder, tmp_path / "out")
    assert [failure.source for failure in record.failed] == [str(folder / "big.tif")]
    assert "cut off or damaged" in record.failed[0].reason or "cannot read" in record.failed[0].reason
    assert len(record.done) == 2


def test_what_does_not_exist_for_rasters_is_refused_for_them_alone(folder: Path, tmp_path: Path) -> None:
    record = predict(folder, tmp_path / "out", Wanted(uncertainty=True))
    assert "got --uncertainty. Predict it without" in record.failed[0].reason
    assert len(record.done) == 2
    record = predict(folder, tmp_path / "coco", Wanted(vectors=Vectors("coco")))
    assert "got --vector coco." in record.failed[0].reason


def test_probabilities_and_polygons_of_a_raster_lie_beside_its_class_ids(folder: Path, tmp_path: Path) -> None:
    wanted = Wanted(overlay=True, probabilities=True, vectors=Vectors("geojson"))
    record = predict(folder, tmp_path / "out", wanted)
    (entry,) = (entry for entry in record.done if entry["name"] == "big")
    assert entry["files"] == ["big.tif", "big.overlay.png", "big.probabilities.tif", "big.geojson"]
    assert all((tmp_path / "out" / name).stat().st_size for name in entry["files"])
    assert len(predict(folder, tmp_path / "out", wanted).skipped) == 3
    (tmp_path / "out/big.geojson").unlink()
    assert [entry["name"] for entry in predict(folder, tmp_path / "out", wanted).done] == ["big"]


def test_more_bands_than_pillow_takes_are_read_as_a_raster(tmp_path: Path) -> None:
    pixels, target = draw(5, (20, 30))
    many = np.concatenate([pixels, pixels[..., :2]], axis=2)  # red and green count twice
    path = write_tiff(tmp_path / "a.tif", many)
    first = segmenter(nn.Conv2d(5, 3, 1, bias=False))
    with torch.no_grad():
        first.network.weight.copy_(torch.eye(3, 5)[..., None, None])  # type: ignore[operator]
    first.normalization = Normalization(mean=(0.0,) * 5, std=(1.0,) * 5)
    inputs, _ = find_inputs([str(path)], tmp_path / "out")
    record = predict_inputs(first, inputs, tmp_path / "out", Wanted(), OPTIONS)
    assert not record.failed
    assert np.array_equal(tifffile.imread(tmp_path / "out/a.tif"), target)


def test_a_raster_is_never_replaced_by_its_prediction(folder: Path) -> None:
    inputs, _ = find_inputs([str(folder / "big.tif")], folder)
    before = (folder / "big.tif").read_bytes()
    record = predict_inputs(segmenter(), inputs, folder, Wanted(overwrite=True))
    assert "would replace an image" in record.failed[0].reason
    assert (folder / "big.tif").read_bytes() == before


def test_an_interrupted_command_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from perpixel.cli.progress import Counter

    pixels, target = draw(9, (1300, 60))
    write_tiff(folder / "big.tif", pixels, tile=(64, 64))
    run = write_run(tmp_path / "run", write_data(tmp_path / "data"))
    words = ["predict", str(run), str(folder / "big.tif"), "--out", str(tmp_path / "out"), "--tile", "200", "60"]
    monkeypatch.setattr("perpixel.runs.load.build_network", lambda record: network())
    part = Counter.part

    def interrupt(self: Counter, name: str, done: int, total: int, *unit: Any) -> None:
        if done > 0.6 * total:
            raise KeyboardInterrupt
        part(self, name, done, total, *unit)

    with monkeypatch.context() as patch:
        patch.setattr(Counter, "part", interrupt)
        with pytest.raises(SystemExit, match="130"):
            main(words)
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--json"])
    said = capsys.readouterr()
    assert "big.tif: going on at row 512 of 1300" in said.err
    assert json.loads(said.out)["done"][0]["resumed_at_row"] == 512
    assert np.array_equal(tifffile.imread(tmp_path / "out/big.tif"), target)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["big.tif", "predictions.json"]
