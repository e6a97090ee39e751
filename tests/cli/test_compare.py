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
    assert "without masks" not in both.stdout
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
