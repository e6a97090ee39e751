"""GeoJSON, COCO and labelme: what they hold, and what our own readers make of it."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perpixel.data.annotations.read import label_meanings, read_drawn
from perpixel.data.annotations.run_lengths import fill, pack_counts, unpack_counts
from perpixel.data.pairs import Pair
from perpixel.data.spec import DatasetSpec
from perpixel.export.coco import join_coco, to_coco
from perpixel.export.geojson import to_geojson
from perpixel.export.labelme import to_labelme
from perpixel.export.polygons import Outlining, find_polygons

CLASSES = ("background", "cell", "wall")
IDS = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 2))
NESTED = np.zeros((11, 11), np.uint8)  # a wall with a hole of background in which a cell lies, with a hole again
NESTED[1:10, 1:10], NESTED[2:9, 2:9], NESTED[3:8, 3:8], NESTED[5, 5] = 2, 0, 1, 0

twice = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def read_back(folder: Path, document: dict[str, Any], encoding: str, classes: tuple[str, ...] = CLASSES) -> np.ndarray:
    path = folder / "a.json"
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(document))
    path.touch()
    spec = DatasetSpec(name="x", images=".", masks=".", splits=("train",), classes=classes, encoding=encoding)
    return read_drawn(Pair("a", "train", folder / "a.png", path, 1), encoding, label_meanings(spec))


@twice
@given(IDS)
def test_what_labelme_gets_is_read_back_as_the_same_mask(tmp_path: Path, ids: np.ndarray) -> None:
    document = to_labelme(find_polygons(ids), ids.shape, "a.png", CLASSES)
    assert np.array_equal(read_back(tmp_path, document, "labelme"), ids)


@twice
@given(IDS)
def test_labelme_needs_no_class_named_background(tmp_path: Path, ids: np.ndarray) -> None:
    document = to_labelme(find_polygons(ids), ids.shape, "a.png", ("sky", "cell", "wall"))
    assert np.array_equal(read_back(tmp_path, document, "labelme", ("sky", "cell", "wall")), ids)


def test_labelme_gets_background_only_where_it_would_be_covered() -> None:
    document = to_labelme(find_polygons(NESTED), NESTED.shape, "a.png", CLASSES)
    assert [shape["label"] for shape in document["shapes"]] == ["wall", "background", "cell", "background"]
    assert (document["imageHeight"], document["imageWidth"], document["imageData"]) == (11, 11, None)


@pytest.mark.parametrize("seed", range(20))
def test_what_coco_gets_is_read_back_as_the_same_mask(tmp_path: Path, seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, 3, (7, 9), dtype=np.uint8)
    document = to_coco(find_polygons(ids), ids.shape, "a.png", CLASSES)
    folder = tmp_path / str(seed)
    folder.mkdir()
    assert np.array_equal(read_back(folder, document, "coco"), ids)


def test_coco_has_polygons_run_lengths_for_holes_and_categories_from_1(tmp_path: Path) -> None:
    document = to_coco(find_polygons(NESTED), NESTED.shape, "sub/a.png", CLASSES)
    assert document["images"] == [{"id": 1, "file_name": "sub/a.png", "height": 11, "width": 11}]
    assert [category["id"] for category in document["categories"]] == [1, 2, 3]
    kinds = [type(annotation["segmentation"]).__name__ for annotation in document["annotations"]]
    assert kinds == ["dict", "dict", "dict", "dict", "list"]
    wall = document["annotations"][1]
    assert (wall["category_id"], wall["bbox"], wall["area"]) == (3, [1, 1, 9, 9], 81 - 49)
    assert np.array_equal(read_back(tmp_path, document, "coco"), NESTED)


@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=12))
def test_packed_run_lengths_are_unpacked_as_they_were(counts: list[int]) -> None:
    assert unpack_counts(pack_counts(np.array(counts))).tolist() == counts


def test_packed_run_lengths_are_those_worked_out_by_hand() -> None:
    """COCO API, common/maskApi.c, rleToString."""
    assert pack_counts(np.array([6, 2, 3, 2, 3])) == "62300"
    assert pack_counts(np.array([40])) == "X1"
    assert pack_counts(np.array([5, 4, 5, 3])) == "545O"


def test_run_lengths_of_a_region_with_a_hole_fill_it_again() -> None:
    document = to_coco(find_polygons(NESTED), NESTED.shape, "a.png", CLASSES)
    packed = document["annotations"][0]["segmentation"]["counts"]
    outer = fill(unpack_counts(packed), NESTED.shape, columns=True)
    assert outer.sum() == 11 * 11 - 9 * 9


def test_joined_documents_are_one_with_new_numbers(tmp_path: Path) -> None:
    for name, ids in (("a", [[0, 1]]), ("b", [[2, 2]]), ("c", [[1, 0]])):
        document = to_coco(find_polygons(np.array(ids)), (1, 2), f"{name}.png", CLASSES)
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    text = io.StringIO()
    assert join_coco([tmp_path / f"{name}.json" for name in "abc"], text) == 3
    joined = json.loads(text.getvalue())
    assert [(image["id"], image["file_name"]) for image in joined["images"]] == [
        (1, "a.png"),
        (2, "b.png"),
        (3, "c.png"),
    ]
    assert [(a["id"], a["image_id"]) for a in joined["annotations"]] == [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3)]
    assert [category["name"] for category in joined["categories"]] == list(CLASSES)


def test_nothing_joined_is_still_a_document() -> None:
    text = io.StringIO()
    join_coco([], text)
    assert json.loads(text.getvalue()) == {"images": [], "annotations": [], "categories": []}


def test_geojson_has_a_closed_polygon_with_its_class_for_each_region() -> None:
    document = to_geojson(find_polygons(NESTED), CLASSES, [(0, 0, 0), (255, 0, 16), (1, 2, 3)])
    assert document["type"] == "FeatureCollection"
    cell = document["features"][3]
    assert cell["properties"] == {"class": "cell", "id": 1, "pixels": 24, "fill": "#ff0010"}
    rings = cell["geometry"]["coordinates"]
    assert len(rings) == 2
    assert all(ring[0] == ring[-1] for ring in rings)
    assert "pixels" in document["coordinates_are"]


@pytest.mark.parametrize(
    "transform", [None, (0.5, 0.0, 600000.0, 0.0, -0.5, 5000000.0), (2.0, 0.1, 5.0, -0.1, 2.0, 7.0)]
)
def test_outlines_run_counter_clockwise_on_the_map_and_holes_clockwise(transform: Any) -> None:
    """RFC 7946, Sec. 3.1.6."""
    for feature in to_geojson(find_polygons(NESTED), CLASSES, transform=transform)["features"]:
        outline, *holes = (np.array(ring) for ring in feature["geometry"]["coordinates"])
        assert signed_area(outline) > 0
        assert all(signed_area(hole) < 0 for hole in holes)


def signed_area(ring: np.ndarray) -> float:
    (x, y) = (ring - ring[0]).T
    return float(x[:-1] @ y[1:] - y[:-1] @ x[1:])


def test_map_coordinates_come_from_the_transform_and_name_their_system() -> None:
    ids = np.zeros((2, 3), int)
    document = to_geojson(find_polygons(ids), ["land"], transform=(10, 0, 1000, 0, -10, 2000), crs="EPSG:32632")
    (ring,) = document["features"][0]["geometry"]["coordinates"]
    assert sorted(map(tuple, ring[:-1])) == [(1000, 1980), (1000, 2000), (1030, 1980), (1030, 2000)]
    assert document["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32632"
    assert "coordinates_are" not in document


def test_scores_are_written_where_they_are_known() -> None:
    probabilities = np.array([[[0.9, 0.7]], [[0.1, 0.3]], [[0.0, 0.0]]], np.float32)
    found = find_polygons(probabilities.argmax(0), Outlining(), probabilities)
    assert to_geojson(found, CLASSES)["features"][0]["properties"]["score"] == 0.8
    assert to_coco(found, (1, 2), "a.png", CLASSES)["annotations"][0]["score"] == 0.8
