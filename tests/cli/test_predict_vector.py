"""`perpixel predict --vector`, and films."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from perpixel.cli.predict import predict_command
from perpixel.errors import UsageError
from perpixel.runs import load
from tests.labelled import draw, network, write_data, write_images, write_run


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(load, "build_network", lambda _: network())
    app = typer.Typer()
    app.command()(predict_command)
    return app


@pytest.fixture
def run(tmp_path: Path) -> str:
    return str(write_run(tmp_path / "run", write_data(tmp_path / "data")))


def test_polygons_are_written_as_asked(app: typer.Typer, run: str, tmp_path: Path) -> None:
    folder, out = str(write_images(tmp_path / "in", "a.png")), tmp_path / "out"
    words = ["--vector", "geojson", "--simplify", "1.5", "--min-area", "3"]
    result = CliRunner().invoke(app, [run, folder, "--out", str(out), *words])
    assert result.exit_code == 0, result.output
    features = json.loads((out / "a.geojson").read_text())["features"]
    assert all(feature["properties"]["pixels"] >= 3 for feature in features)
    made_by = json.loads((out / "predictions.json").read_text())["made_by"]
    assert made_by["polygons"] == {"simplify": 1.5, "min_area": 3}


def test_simplifying_nothing_is_refused(app: typer.Typer, run: str, tmp_path: Path) -> None:
    folder = str(write_images(tmp_path / "in", "a.png"))
    result = CliRunner().invoke(app, [run, folder, "--out", str(tmp_path / "out"), "--simplify", "1"])
    assert isinstance(result.exception, UsageError)
    assert "Add --vector" in str(result.exception)


def test_a_film_is_named_or_matched_and_its_damage_is_told(app: typer.Typer, run: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from tests.films import read_ids, write_film

    write_film(tmp_path / "films/a.mp4")
    (tmp_path / "films/b.mp4").write_bytes(b"no film")
    out = tmp_path / "out"
    words = [run, str(tmp_path / "films/*.mp4"), "--out", str(out), "--overlay", "--every", "4", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert not document["failed"][1:], document["failed"]
    assert document["done"] == [
        {"name": "a", "source": str(tmp_path / "films/a.mp4"), "files": ["a.mkv", "a.overlay.mp4"], "size": [12, 16],
         "frames": 7}
    ]  # fmt: skip
    assert [Path(failure["source"]).name for failure in document["failed"]] == ["b.mp4"]
    assert np.array_equal(read_ids(out / "a.mkv")[6], draw(6)[1])
    assert np.array_equal(np.asarray(Image.open(out / "a/0000004.png")), draw(4)[1])


def test_a_film_that_is_done_is_skipped_unless_its_single_frames_are_wanted_now(
    app: typer.Typer, run: str, tmp_path: Path
) -> None:
    pytest.importorskip("av")
    from tests.films import write_film

    words = [run, str(write_film(tmp_path / "a.mp4")), "--out", str(tmp_path / "out"), "--json"]
    counts = []
    for more in ([], [], ["--every", "2"], ["--every", "2"]):
        document = json.loads(CliRunner().invoke(app, words + more).stdout)
        counts.append((len(document["done"]), len(document["skipped"])))
    assert counts == [(1, 0), (0, 1), (1, 0), (0, 1)]


def test_what_films_do_not_have_is_refused(app: typer.Typer, run: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from tests.films import write_film

    film = str(write_film(tmp_path / "a.mp4"))
    result = CliRunner().invoke(app, [run, film, "--out", str(tmp_path / "out"), "--probabilities"])
    assert result.exit_code == 1
    assert "--probabilities" in result.stderr


def test_without_pyav_a_film_says_what_to_install(
    app: typer.Typer, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(b"")
    result = CliRunner().invoke(app, [run, str(tmp_path / "a.mp4"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "perpixel[video]" in result.stderr
