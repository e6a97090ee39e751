"""Predictions as polygons beside the class ids."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from perpixel.data.dataset import open_dataset
from perpixel.errors import UsageError
from perpixel.export.polygons import Outlining
from perpixel.runs.predicting.inputs import Input, find_inputs
from perpixel.runs.predicting.predict import Predictions, Wanted, predict_inputs
from perpixel.runs.predicting.vectors import Vectors, file_name
from tests.labelled import CLASSES, draw, segmenter, write_images


def predict(folder: Path, format: str, **more: object) -> Predictions:
    out = folder.parent / "out"
    inputs, _ = find_inputs([str(folder)], out)
    vectors = Vectors(format, Outlining(**more))  # type: ignore[arg-type]
    return predict_inputs(segmenter(), inputs, out, Wanted(vectors=vectors))


def test_a_prediction_corrected_in_labelme_is_training_data(tmp_path: Path) -> None:
    """Predict, open nothing, change nothing, and read it: the same class ids."""
    photos = write_images(tmp_path / "photos", "a.png", "sub/b.jpg")
    predict(photos, "labelme")
    data = open_dataset(str(photos), str(tmp_path / "out/labelme"))
    pairs = {pair.name: pair for split in ("train", "val") for pair in data.pairs(split)}
    assert set(pairs) == {"a", "sub/b"}
    _, target = data.read(pairs["a"])
    names = np.array(data.classes)
    assert np.array_equal(names[target], np.array(CLASSES)[draw(0)[1]])
    document = json.loads((tmp_path / "out/labelme/sub/b.json").read_text())
    assert (tmp_path / "out/labelme/sub" / document["imagePath"]).resolve() == photos / "sub/b.jpg"


def test_one_coco_file_holds_all_images_of_the_folder_and_is_training_data(tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", "a.png", "sub/b.png", "sub/c.png")
    predict(photos, "coco")
    (tmp_path / "out/coco.json").rename(photos / "coco.json")
    data = open_dataset(str(photos))
    assert data.classes[1:] == CLASSES
    pairs = {pair.name: pair for split in ("train", "val") for pair in data.pairs(split)}
    for seed, name in enumerate(("a", "sub/b", "sub/c")):
        expected = np.array(CLASSES)[draw(seed)[1]]
        assert np.array_equal(np.array(data.classes)[data.read(pairs[name])[1]], expected)


def test_an_interrupted_folder_has_its_coco_file_after_the_rerun(tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", "a.png", "b.png")
    predict(photos, "coco")
    first = (tmp_path / "out/coco.json").read_bytes()
    (tmp_path / "out/coco.json").unlink()
    (tmp_path / "out/b.png").unlink()
    again = predict(photos, "coco")
    assert (len(again.done), len(again.skipped)) == (1, 1)
    assert (tmp_path / "out/coco.json").read_bytes() == first


def test_geojson_lies_beside_the_class_ids_and_has_scores_with_probabilities(tmp_path: Path) -> None:
    photos, out = write_images(tmp_path / "photos", "a.png"), tmp_path / "out"
    record = predict(photos, "geojson")
    assert record.done[0]["files"] == ["a.png", "a.geojson"]
    assert "score" not in json.loads((out / "a.geojson").read_text())["features"][0]["properties"]
    inputs, _ = find_inputs([str(photos)], out)
    wanted = Wanted(vectors=Vectors("geojson"), probabilities=True)
    predict_inputs(segmenter(), inputs, out, wanted)
    assert json.loads((out / "a.geojson").read_text())["features"][0]["properties"]["score"] > 0.9


def test_geojson_of_a_geotiff_has_map_coordinates(tmp_path: Path) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for code, values in ((33550, (2.0, 2.0, 0.0)), (33922, (0.0, 0.0, 0.0, 1000.0, 5000.0, 0.0))):
        info.tagtype[code] = 12
        info[code] = values
    (tmp_path / "maps").mkdir()
    Image.fromarray(draw(0)[0]).save(tmp_path / "maps/a.tif", tiffinfo=info)
    predict(tmp_path / "maps", "geojson")
    document = json.loads((tmp_path / "out/a.geojson").read_text())
    points = np.array([p for f in document["features"] for ring in f["geometry"]["coordinates"] for p in ring])
    assert (points.min(0).tolist(), points.max(0).tolist()) == ([1000, 5000 - 24], [1032, 5000])


def test_polygons_made_otherwise_are_not_mixed(tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", "a.png")
    predict(photos, "geojson", simplify=1)
    with pytest.raises(UsageError, match="different: polygons"):
        predict(photos, "geojson", simplify=2)


def test_small_regions_are_absorbed_in_polygons_but_not_in_class_ids(tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", "a.png")
    predict(photos, "geojson", min_area=10_000)
    assert len(json.loads((tmp_path / "out/a.geojson").read_text())["features"]) == 1
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/a.png")), draw(0)[1])


def test_a_file_is_named_from_the_folder_of_images() -> None:
    assert file_name(Input(Path("photos/sub/b.JPG"), "sub/b")) == "sub/b.JPG"
    assert file_name(Input(Path("photos/b.overlay.png"), "b.overlay.png")) == "b.overlay.png"
    assert file_name(Input(Path("b.png"), "b")) == "b.png"


def test_a_format_that_nobody_writes_is_refused() -> None:
    with pytest.raises(UsageError, match="expected geojson, coco, labelme, got 'shp'"):
        Vectors("shp")  # type: ignore[arg-type]
