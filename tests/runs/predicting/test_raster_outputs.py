"""Probabilities and polygons of a raster, in constant memory and in whatever pieces the work was done."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from perpixel.data.palette import distinct_colors
from perpixel.export.polygons import EXACT, Outlining
from perpixel.inference.options import Options
from perpixel.runs.predicting import raster_polygons
from perpixel.runs.predicting.disk_rows import DiskRows
from perpixel.runs.predicting.raster import predict_raster
from perpixel.runs.predicting.raster_polygons import write_raster_polygons
from perpixel.runs.predicting.stored import Stored
from tests.data.rasters.files import UTM, noise, write_tiff
from tests.runs.predicting.test_raster import TILES, StopError, segmenter

tifffile = pytest.importorskip("tifffile")
predict = functools.partial(predict_raster, ways={})  # no measuring: what is equal is equal to the bit


def test_probabilities_are_those_of_the_whole_image_in_steps_of_a_255th(tmp_path: Path) -> None:
    pixels = noise(530, 600)
    path = write_tiff(tmp_path / "a.tif", pixels, place=UTM)
    predict(segmenter(), path, tmp_path / "b.tif", TILES, probabilities=tmp_path / "b.probabilities.tif")
    whole = segmenter().probabilities(pixels, TILES).transpose(1, 2, 0)
    with tifffile.TiffFile(tmp_path / "b.probabilities.tif") as file:
        found, page = file.pages[0].asarray(), file.pages[0]
        assert page.is_tiled
        assert page.tags[33922].value == UTM[1].value
        assert '<Item name="DESCRIPTION" sample="3" role="description">d</Item>' in page.tags[42112].value
    assert found.dtype == np.uint8
    assert np.abs(found / 255 - whole).max() <= 0.5 / 255 + 1e-6
    predict(segmenter(), path, tmp_path / "c.tif", TILES)
    assert (tmp_path / "c.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_gdal_knows_the_bands_names_and_scale(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    named = segmenter()
    named.classes = ("sky & sea", "Straße", "c", "d")
    path = write_tiff(tmp_path / "a.tif", noise(60, 50), place=UTM)
    predict(named, path, tmp_path / "b.tif", probabilities=tmp_path / "p.tif")
    with rasterio.open(tmp_path / "p.tif") as file:
        assert file.descriptions == named.classes
        assert file.scales == pytest.approx((1 / 255,) * 4)
        assert file.crs == "EPSG:32633"


def test_probabilities_are_0_where_there_is_no_data(tmp_path: Path) -> None:
    pixels = noise(600, 60)
    pixels[100:520, 10:30] = 9
    path = write_tiff(tmp_path / "a.tif", pixels, nodata="9")
    predict(segmenter(), path, tmp_path / "b.tif", TILES, probabilities=tmp_path / "p.tif")
    empty = (pixels == 9).all(2)
    assert np.array_equal(tifffile.imread(tmp_path / "p.tif").sum(2) == 0, empty)


def test_an_interrupted_raster_goes_on_with_its_probabilities(tmp_path: Path) -> None:
    squares = noise(54, 4).repeat(32, axis=0).repeat(32, axis=1)
    path = write_tiff(tmp_path / "a.tif", squares[:1700])
    whole, again = tmp_path / "whole", tmp_path / "again"
    predict(segmenter(), path, whole / "b.tif", TILES, probabilities=whole / "p.tif", polygons=whole / "p.json")

    def stop(done: int, total: int) -> None:
        if done > 0.75 * total:
            raise StopError

    with pytest.raises(StopError):
        predict(segmenter(), path, again / "b.tif", TILES, probabilities=again / "p.tif", advance=stop)
    assert [path.name for path in again.iterdir()] == [".b.tif.unfinished"]
    files = {"probabilities": again / "p.tif", "polygons": again / "p.json"}
    assert predict(segmenter(), path, again / "b.tif", TILES, **files).resumed == 1024
    for name in ("b.tif", "p.tif", "p.json"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()
    assert {path.name for path in again.iterdir()} == {"b.tif", "p.tif", "p.json"}


# ---- rows on the disk


@given(st.lists(st.tuples(st.integers(1, 7), st.integers(0, 5)), min_size=1, max_size=6), st.integers(0, 9))
@settings(max_examples=40)
def test_rows_come_back_as_they_were_put(
    tmp_path_factory: pytest.TempPathFactory, bands: list[tuple[int, int]], above: int
) -> None:
    height, width, values = sum(rows for rows, _ in bands), 5, 3
    pixels = noise(height, width, values)
    found = np.zeros_like(pixels)
    first, start, row = min(above, height - 1), min(above, height - 1), 0
    with DiskRows(tmp_path_factory.mktemp("rows"), first, (width, values)) as rows:
        for count, left in bands:
            for columns in (slice(0, 2), slice(2, 5)):
                rows.put(slice(row, row + count), columns, pixels[row : row + count, columns])
            row += count
            stop = max(start, row - left)
            if row > first:
                kept = rows.take(stop)
                found[start:stop] = kept.read(slice(start, stop), slice(0, width))
                start = stop
    assert np.array_equal(found[first:start], pixels[first:start])


# ---- polygons


def write_labels(tmp_path: Path, ids: np.ndarray, place: tuple = UTM) -> Path:
    """Write class ids as a raster's prediction is written."""
    from perpixel.data.rasters.writer import compress_tiles, write_tiles

    tiles = [tile for row in range(0, len(ids), 512) for tile in compress_tiles(ids[row : row + 512], 255)]
    write_tiles(
        tmp_path / "b.tif", iter(tiles), sum(map(len, tiles)), ids.shape, ids.dtype, distinct_colors(3), 255, place
    )
    return tmp_path / "b.tif"


def blobs(height: int, width: int) -> np.ndarray:
    """Return class ids of some smooth regions, and one corner without data."""
    rows, columns = np.mgrid[:height, :width]
    ids = ((np.sin(rows / 9) + np.cos(columns / 7 + rows / 31)) > 0.3).astype(np.uint8)
    ids[(rows - 40) ** 2 + (columns - 60) ** 2 < 500] = 2
    ids[:20, :10] = 255
    return ids


def polygons(tmp_path: Path, ids: np.ndarray, outlining: Outlining = EXACT, place: tuple = UTM) -> dict:
    stored, path = Stored(np.arange(3, dtype=np.uint8), 255, are_ids=True), write_labels(tmp_path, ids, place)
    write_raster_polygons(tmp_path / "b.geojson", path, stored, ("a", "b", "c"), distinct_colors(3), outlining)
    document: dict = json.loads((tmp_path / "b.geojson").read_text())
    return document


def draw(document: dict, size: tuple[int, int]) -> np.ndarray:
    """Fill polygons in pixels' coordinates, in four times the size so that borders fall between pixels."""
    picture = Image.new("L", (4 * size[1], 4 * size[0]), 255)
    for feature in document["features"]:
        part = Image.new("L", picture.size, 0)
        for index, ring in enumerate(feature["geometry"]["coordinates"]):
            ImageDraw.Draw(part).polygon([(4 * x - 0.5, 4 * y - 0.5) for x, y in ring], fill=1 - min(index, 1))
        picture.paste(feature["properties"]["id"], mask=Image.fromarray(np.asarray(part) * np.uint8(255)))
    return np.asarray(picture)[2::4, 2::4]


def test_windows_polygons_fill_to_the_class_ids_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster_polygons, "WINDOW", 64)
    ids = blobs(150, 130)
    document = polygons(tmp_path, ids, place=())
    assert document["coordinates_are"].startswith("pixels")
    assert np.array_equal(draw(document, ids.shape), ids)
    assert sum(feature["properties"]["pixels"] for feature in document["features"]) == (ids != 255).sum()


def test_simplified_polygons_leave_no_gap_between_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster_polygons, "WINDOW", 64)
    ids = blobs(150, 130)
    ids[ids == 255] = 0
    assert (draw(polygons(tmp_path, ids, Outlining(simplify=1.5), place=()), ids.shape) != 255).all()


def test_polygons_lie_on_the_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.zeros((100, 90), np.uint8)
    whole = polygons(tmp_path, ids)
    assert whole["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    monkeypatch.setattr(raster_polygons, "WINDOW", 64)
    parts = polygons(tmp_path, ids)["features"]
    assert len(parts) == 4
    for features in (whole["features"], parts):
        points = np.array([p for f in features for ring in f["geometry"]["coordinates"] for p in ring])
        assert points.min(0).tolist() == [500000, 4100000 - 50]
        assert points.max(0).tolist() == [500045, 4100000]


def test_a_raster_without_any_label_has_no_polygons(tmp_path: Path) -> None:
    assert polygons(tmp_path, np.full((5, 5), 255, np.uint8))["features"] == []


def test_what_masks_store_makes_the_same_polygons(tmp_path: Path) -> None:
    from tests.labelled import segmenter as bright

    pixels = np.eye(3, dtype=np.uint8)[np.indices((60, 50))[1] // 20] * 200 + 20
    path = write_tiff(tmp_path / "a.tif", pixels)
    for name, original in (("b", False), ("c", True)):
        predict(
            bright(), path, tmp_path / f"{name}.tif", Options(), polygons=tmp_path / f"{name}.geojson",
            original_values=original,
        )  # fmt: skip
    assert (tmp_path / "b.geojson").read_text() == (tmp_path / "c.geojson").read_text()
    assert len(json.loads((tmp_path / "b.geojson").read_text())["features"]) == 3
