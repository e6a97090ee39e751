"""Folders behind an address are read and written like folders."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from perpixel.data.geotiff import place_tags
from perpixel.errors import UsageError
from perpixel.inference.options import DEFAULT
from perpixel.runs.predicting.cluster_worker import Shipment, Worker, pack
from perpixel.runs.predicting.destinations import LocalDestination, RemoteDestination, Row, find_rows
from perpixel.runs.predicting.inputs import find_inputs
from perpixel.runs.predicting.predict import Wanted, predict_inputs
from perpixel.runs.predicting.record import Journal, Predictions
from perpixel.runs.predicting.remote import RemoteFolder, is_address, without_file
from tests.data.rasters.files import UTM
from tests.data.test_geotiff import write
from tests.labelled import draw, segmenter, write_images

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """Return the address of a folder in memory that holds four images."""
    address = f"memory://{uuid.uuid4().hex}/photos"
    files = fsspec.filesystem("memory")
    folder = write_images(tmp_path / "in", "a.png", "s/b.jpg", "s/b.png", "s/c.png")
    for path in folder.rglob("*.*"):
        files.pipe_file(f"{address}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    files.pipe_file(f"{address}/notes.txt", b"no image")
    files.pipe_file(f"{address}/.hidden/d.png", b"hidden")
    yield address
    files.rm(address.rsplit("/", 1)[0], recursive=True)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("s3://b/x", True), ("memory://x", True), ("file:///x", False), ("C:\\x", False), ("a/b.png", False)],
)
def test_an_address_is_told_from_a_path(word: str, expected: bool) -> None:
    assert is_address(word) == expected


def test_a_file_address_is_the_path_behind_it() -> None:
    assert without_file("file:///data/in") == "/data/in"
    assert without_file("s3://data/in") == "s3://data/in"


def test_an_unknown_kind_of_address_is_refused() -> None:
    with pytest.raises(UsageError, match="an address that fsspec knows"):
        RemoteFolder("nosuchthing://x")


def test_images_behind_an_address_are_named_like_those_of_a_folder(bucket: str, tmp_path: Path) -> None:
    rows, failed = find_rows([bucket], str(tmp_path / "out"))
    assert not failed
    expected = find_inputs([str(tmp_path / "in")], tmp_path / "out")[0]
    assert [row.name for row in rows] == [item.name for item in expected]
    assert [row.source for row in rows] == [
        f"{bucket}/{item.source.relative_to(tmp_path / 'in').as_posix()}" for item in expected
    ]


def test_one_image_behind_an_address_is_an_input(bucket: str, tmp_path: Path) -> None:
    rows, _ = find_rows([f"{bucket}/s/c.png"], str(tmp_path / "out"))
    assert [(row.source, row.name) for row in rows] == [(f"{bucket}/s/c.png", "c")]


def test_an_address_without_images_is_named(bucket: str, tmp_path: Path) -> None:
    rows, failed = find_rows([bucket, "memory://nowhere"], str(tmp_path / "out"))
    assert rows
    assert [failure.source for failure in failed] == ["memory://nowhere"]
    with pytest.raises(UsageError, match="found none"):
        find_rows(["memory://nowhere"], str(tmp_path / "out"))


def test_equal_names_from_two_places_are_refused(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="differ in name"):
        find_rows([bucket, str(tmp_path / "in")], str(tmp_path / "out"))


def worker(out: str, wanted: Wanted | None = None) -> Worker:
    return Worker(lambda: Shipment(pack(segmenter()), out, wanted or Wanted(), DEFAULT, None))


def batch(rows: list[Row]) -> dict[str, list[str]]:
    return {"row": [json.dumps({"index": i, "name": row.name, "source": row.source}) for i, row in enumerate(rows)]}


def test_a_worker_leaves_the_files_that_a_local_prediction_leaves(bucket: str, tmp_path: Path) -> None:
    wanted = Wanted(overlay=True, probabilities=True)
    inputs, _ = find_inputs([str(tmp_path / "in")], tmp_path / "out")
    predict_inputs(segmenter(), inputs, tmp_path / "out", wanted)
    away = bucket.replace("photos", "labelled")
    rows, _ = find_rows([bucket], away)
    outcomes = [json.loads(text) for text in worker(away, wanted)(batch(rows))["outcome"]]
    assert [outcome["error"] for outcome in outcomes] == [None] * 4
    found = RemoteFolder(away)
    local = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*.*")}
    del local["predictions.json"]
    assert set(found.listed()) == set(local)
    assert all(found.read(name) == path.read_bytes() for name, path in local.items())


@pytest.mark.parametrize("goal", ["here", "away"])
def test_a_map_that_a_worker_sees_keeps_its_place_and_is_then_done(bucket: str, tmp_path: Path, goal: str) -> None:
    path = write(tmp_path / "map.tif", draw(0)[0])
    away, here = RemoteFolder(bucket.replace("photos", "labelled")), tmp_path / "out"
    row = Row(str(path), "map")
    (outcome,) = worker(away.address if goal == "away" else str(here))(batch([row]))["outcome"]
    assert json.loads(outcome)["error"] is None
    if goal == "away":
        here.mkdir()
        (here / "map.tif").write_bytes(away.read("map.tif"))
    assert place_tags(here / "map.tif") == UTM
    with Journal(here) as journal:
        place = RemoteDestination(away) if goal == "away" else LocalDestination(here, journal)
        place.prepare([row], Wanted(), Predictions({}, sources={"map": place_of(path, here, goal)}))
        assert place.is_done(row)


def place_of(path: Path, out: Path, goal: str) -> str:
    return os.path.realpath(path) if goal == "away" else os.path.relpath(path, out)


def test_a_worker_names_what_it_cannot_fetch_and_goes_on(bucket: str, tmp_path: Path) -> None:
    rows = [Row(f"{bucket}/gone.png", "gone"), Row(f"{bucket}/notes.txt", "notes"), Row(f"{bucket}/a.png", "a")]
    gone, notes, good = (json.loads(text) for text in worker(str(tmp_path / "out"))(batch(rows))["outcome"])
    assert gone["error"]
    assert "whole image" in notes["error"]
    assert not notes["again"]
    assert good["error"] is None
    assert good["source"] == f"{bucket}/a.png"
    assert (tmp_path / "out/a.png").is_file()


def test_a_destination_knows_what_is_done_and_when_an_image_has_changed(bucket: str, tmp_path: Path) -> None:
    place = RemoteDestination(RemoteFolder(bucket.replace("photos", "labelled")))
    now = time.time()
    place.folder.write("a.png", b"ids")
    place.folder.write("empty.png", b"")
    record = Predictions({}, sources={"a": f"{bucket}/a.png"})
    place.prepare([], Wanted(), record)
    assert place.is_done(Row(f"{bucket}/a.png", "a", now - 60))
    assert not place.is_done(Row(f"{bucket}/a.png", "a", now + 60))
    assert not place.is_done(Row(f"{bucket}/empty.png", "empty", now - 60))
    with pytest.raises(UsageError, match="another image of the same name"):
        place.is_done(Row("s3://elsewhere/a.png", "a"))


def test_a_destination_keeps_the_record_and_gives_it_back(bucket: str) -> None:
    place = RemoteDestination(RemoteFolder(bucket.replace("photos", "labelled")))
    assert place.earlier().sources == {}
    name = os.fsdecode(b"caf\xe9")
    place.keep(Predictions({"weights": "1"}, sources={name: "x"}, prepared={"layer": "PackedConv2d"}))
    earlier = place.earlier()
    assert earlier.made_by == {"weights": "1"}
    assert earlier.sources == {name: "x"}
    assert earlier.prepared == {"layer": "PackedConv2d"}
