"""A GeoTIFF of any size keeps its place on the map; no extra is needed for one that is decoded whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perpixel.data.geotiff import place_tags
from perpixel.inference.options import Options
from perpixel.runs.predicting.inputs import find_inputs
from perpixel.runs.predicting.predict import predict_inputs
from perpixel.runs.predicting.record import Predictions
from perpixel.runs.predicting.steps import Wanted
from perpixel.runs.predicting.vectors import Vectors
from tests.data.rasters.files import UTM, write_tiff
from tests.data.test_geotiff import write
from tests.labelled import STORED, draw, segmenter, write_images


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Return a folder of an ordinary image, an ordinary TIFF, and a map whose first two rows hold no data."""
    folder = write_images(tmp_path / "maps", "a.png", "b.tif")
    pixels = draw(7)[0]
    pixels[:2] = 0
    write(folder / "sub.tif", pixels, UTM, nodata="0")
    return folder


def predict(folder: Path, out: Path, wanted: Wanted | None = None) -> Predictions:
    inputs, failed = find_inputs([str(folder)], out)
    return predict_inputs(segmenter(), inputs, out, wanted or Wanted(), failed=failed)


def labels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_labels_of_a_map_are_a_map_and_say_where_there_is_no_data(maps: Path, tmp_path: Path) -> None:
    record = predict(maps, tmp_path / "out", Wanted(overlay=True, probabilities=True, uncertainty=True))
    assert not record.failed
    assert {"a.png", "b.png", "sub.tif", "sub.npz", "sub.overlay.png"} < {p.name for p in (tmp_path / "out").iterdir()}
    assert not (tmp_path / "out/sub.png").exists()
    found = labels(tmp_path / "out/sub.tif")
    assert (found[:2] == 255).all()
    assert np.array_equal(found[2:], draw(7)[1][2:])
    assert place_tags(tmp_path / "out/sub.tif") == UTM
    assert np.load(tmp_path / "out/sub.npz")["probabilities"].shape == (3, 12, 16)


def test_a_map_that_is_done_is_skipped(maps: Path, tmp_path: Path) -> None:
    predict(maps, tmp_path / "out")
    again = predict(maps, tmp_path / "out")
    assert (len(again.done), len(again.skipped)) == (0, 3)
    assert next(entry for entry in again.skipped if entry["name"] == "sub")["files"] == ["sub.tif"]


def test_a_map_may_hold_what_masks_store_and_another_value_for_no_data(maps: Path, tmp_path: Path) -> None:
    predict(maps, tmp_path / "out", Wanted(original_values=True))
    found = labels(tmp_path / "out/sub.tif")
    assert (found[:2] == 255).all()
    assert np.array_equal(found[2:], np.array(STORED, np.uint8)[draw(7)[1][2:]])


@pytest.mark.parametrize("probabilities", [False, True])
def test_polygons_of_a_map_have_its_coordinates_and_leave_out_what_has_no_data(
    maps: Path, tmp_path: Path, probabilities: bool
) -> None:
    predict(maps, tmp_path / "out", Wanted(vectors=Vectors("geojson"), probabilities=probabilities))
    document = json.loads((tmp_path / "out/sub.geojson").read_text())
    points = np.array([p for f in document["features"] for ring in f["geometry"]["coordinates"] for p in ring])
    assert points.max(0).tolist() == [500008, 4100000 - 1]  # two rows of half a metre hold nothing
    assert points.min(0).tolist() == [500000, 4100000 - 6]
    assert sum(feature["properties"]["pixels"] for feature in document["features"]) == 10 * 16
    assert document["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"


def test_a_map_is_never_replaced_by_its_labels(maps: Path) -> None:
    inputs, _ = find_inputs([str(maps / "sub.tif")], maps)
    before = (maps / "sub.tif").read_bytes()
    record = predict_inputs(segmenter(), inputs, maps, Wanted(overwrite=True))
    assert "would replace an image" in record.failed[0].reason
    assert (maps / "sub.tif").read_bytes() == before


def test_sixteen_bits_with_a_value_for_no_data_are_read_by_windows(tmp_path: Path) -> None:
    """Pillow would read the upper 8 bits of colour, and take dark pixels for such."""
    pytest.importorskip("tifffile")
    pixels, target = draw(3)
    wide = pixels.astype(np.uint16)
    wide[:3] = 0
    (tmp_path / "in").mkdir()
    write_tiff(tmp_path / "in/a.tif", wide, nodata="0", place=UTM)
    first = segmenter()
    first.bits = 16
    inputs, _ = find_inputs([str(tmp_path / "in")], tmp_path / "out")
    record = predict_inputs(first, inputs, tmp_path / "out", Wanted(), Options())
    assert not record.failed
    found = labels(tmp_path / "out/a.tif")
    assert (found[:3] == 255).all()
    assert np.array_equal(found[3:], target[3:])
