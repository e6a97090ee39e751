"""`perpixel compare`."""

import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from perpixel.cli.compare import compare_command
from perpixel.errors import UsageError
from perpixel.runs import load
from tests.labelled import network, write_data, write_run


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(load, "build_network", lambda _: network())
    app = typer.Typer()
    app.command()(compare_command)
    return app


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    data = write_data(tmp_path / "data")
    return [str(write_run(tmp_path / name, data)) for name in ("first", "second")]


def test_every_run_has_a_line_and_a_column_in_the_picture(app: typer.Typer, runs: list[str], tmp_path: Path) -> None:
    both = CliRunner().invoke(app, [*runs, "--picture", str(tmp_path / "new/both.png")])
    one = CliRunner().invoke(app, [runs[0], "--picture", str(tmp_path / "one.png")])
    assert both.exit_code == one.exit_code == 0, both.output
    assert "first" in both.stdout
    assert "second" in both.stdout
    assert "without" not in both.stdout
    with Image.open(tmp_path / "new/both.png") as wide, Image.open(tmp_path / "one.png") as narrow:
        assert wide.width > narrow.width
        assert wide.height == narrow.height


def test_json_holds_every_run(app: typer.Typer, runs: list[str]) -> None:
    document = json.loads(CliRunner().invoke(app, [*runs, "--json", "-"]).stdout)
    assert [Path(row["run"]).name for row in document["runs"]] == ["first", "second"]
    assert [row["mean_iou"] for row in document["runs"]] == [1.0, 1.0]
    assert document["runs"][0]["unmasked_mean_iou"] is None


def test_a_picture_that_could_not_be_written_is_refused_first(app: typer.Typer, runs: list[str]) -> None:
    result = CliRunner().invoke(app, [*runs, "--picture", "both.jpg"])
    assert isinstance(result.exception, UsageError)
    assert "expected a .png file" in str(result.exception)


def test_places_that_cannot_be_written_to_are_refused_first(app: typer.Typer, runs: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    below = CliRunner().invoke(app, [*runs, "--picture", str(tmp_path / "file/both.png")])
    folder = CliRunner().invoke(app, [*runs, "--json", str(tmp_path)])
    assert "expected a folder that can be written to" in str(below.exception)
    assert "expected a file, got the folder" in str(folder.exception)
    assert below.stdout == folder.stdout == ""


def test_an_unreadable_image_is_named_and_the_others_are_measured(
    app: typer.Typer, runs: list[str], tmp_path: Path
) -> None:
    (tmp_path / "data/images/val/0.png").write_bytes(b"no image")
    result = CliRunner().invoke(app, [*runs, "--picture", str(tmp_path / "both.png")])
    assert result.exit_code == 1
    assert "3 images" in result.stdout
    assert result.stderr.count("Failed: ") == 1
    assert (tmp_path / "both.png").exists()


def test_runs_of_one_name_are_told_apart_by_their_paths(app: typer.Typer, runs: list[str], tmp_path: Path) -> None:
    namesake = str(write_run(tmp_path / "b/first", tmp_path / "data"))
    result = CliRunner().invoke(app, [runs[0], namesake])
    assert "b/first" in result.stdout.replace("\n", "")
