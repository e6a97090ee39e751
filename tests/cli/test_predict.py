"""`perpixel predict`."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from perpixel.cli.predict import predict_command
from perpixel.crf.options import PRESETS
from perpixel.errors import UsageError
from perpixel.runs import load
from perpixel.runs.predicting.record import Predictions
from tests.labelled import network, write_data, write_images, write_run


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(load, "build_network", lambda _: network())
    app = typer.Typer()
    app.command()(predict_command)
    return app


@pytest.fixture
def run(tmp_path: Path) -> str:
    return str(write_run(tmp_path / "run", write_data(tmp_path / "data")))


def test_a_folder_is_predicted_and_json_says_what_was_done(app: typer.Typer, run: str, tmp_path: Path) -> None:
    folder, out = str(write_images(tmp_path / "in", "a.png", "b.jpg")), str(tmp_path / "out")
    result = CliRunner().invoke(app, [run, folder, "--out", out, "--overlay", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [entry["name"] for entry in document["done"]] == ["a", "b"]
    assert "2 predicted, 0 already there, 0 failed" in result.stderr
    assert (tmp_path / "out/b.overlay.png").is_file()


def test_a_bad_file_makes_the_code_1_and_is_named(app: typer.Typer, run: str, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png")
    (folder / "bad.jpg").write_text("not a photo")
    result = CliRunner().invoke(app, [run, str(folder), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "bad.jpg" in result.stderr
    assert (tmp_path / "out/a.png").is_file()


def test_options_reach_the_prediction(app: typer.Typer, run: str, tmp_path: Path) -> None:
    folder, out = str(write_images(tmp_path / "in", "a.png")), str(tmp_path / "out")
    words = ["--scales", "0.5", "--scales", "1", "--fusion", "max", "--flip", "--tile", "8", "8", "--overlap", "2"]
    words += ["--rotations", "4", "--blend", "hann", "--crf", "deconvnet"]
    result = CliRunner().invoke(app, [run, folder, "--out", out, *words, "--json"])
    assert json.loads(result.stdout)["made_by"]["options"] == {
        "scales": [0.5, 1.0], "fusion": "max", "flip": True, "tile": [8, 8], "overlap": 2,
        "rotations": 4, "blend": "hann", "samples": 0, "seed": 0, "crf": PRESETS["deconvnet"].to_dict(),
        "proposals": None, "ensemble": None,
    }  # fmt: skip
    assert "CRF: preset deconvnet" in result.stderr


def test_an_option_that_cannot_be_used_is_refused(app: typer.Typer, run: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [run, str(tmp_path), "--out", str(tmp_path / "out"), "--fusion", "median"])
    assert isinstance(result.exception, UsageError)


def test_an_address_needs_a_cluster(app: typer.Typer, run: str, tmp_path: Path) -> None:
    for words in ([run, "s3://bucket/photos", "--out", str(tmp_path)], [run, str(tmp_path), "--out", "s3://bucket/x"]):
        result = CliRunner().invoke(app, words)
        assert isinstance(result.exception, UsageError)
        assert "Add --cluster" in str(result.exception)


def test_a_file_address_is_a_path(app: typer.Typer, run: str, tmp_path: Path) -> None:
    folder, out = write_images(tmp_path / "in", "a.png"), tmp_path / "out"
    assert CliRunner().invoke(app, [run, f"file://{folder}", "--out", f"file://{out}"]).exit_code == 0
    assert (out / "a.png").is_file()


def test_a_cluster_is_given_what_was_typed(app: typer.Typer, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def note(segmenter: Any, words: list[str], out: str, wanted: Any, options: Any, made_by: Any, *more: Any) -> Any:
        given.append((words, out, more[0].address, more[0].workers, str(segmenter.device)))
        return Predictions({})

    monkeypatch.setattr("perpixel.runs.predicting.cluster.predict_on_cluster", note)
    typed = [run, "s3://b/in", "--out", "s3://b/out", "--workers", "3", "--cluster"]
    assert CliRunner().invoke(app, [*typed, "head:6379"]).exit_code == 0
    assert CliRunner().invoke(app, [*typed, "here"]).exit_code == 0
    assert given == [
        (["s3://b/in"], "s3://b/out", "head:6379", 3, "cpu"),
        (["s3://b/in"], "s3://b/out", None, 3, "cpu"),
    ]


def test_a_strange_name_is_printed_on_one_line(app: typer.Typer, run: str, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png")
    (folder / "new\nline.png").write_text("no image")
    result = CliRunner().invoke(app, [run, str(folder), "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 1
    assert "new\\nline.png:" in result.stderr
    assert json.loads(result.stdout)["failed"][0]["source"].endswith("new\nline.png")


def test_a_second_run_is_asked_too_and_named_beside_the_result(app: typer.Typer, run: str, tmp_path: Path) -> None:
    second = write_run(tmp_path / "second", write_data(tmp_path / "more"))
    folder, out = str(write_images(tmp_path / "in", "a.png")), str(tmp_path / "out")
    words = [run, folder, "--out", out, "--ensemble", str(second), "--proposals", "windows"]
    result = CliRunner().invoke(app, [*words, "--ensemble-by", "mean"])
    assert result.exit_code == 0, result.output
    made_by = json.loads((tmp_path / "out/predictions.json").read_text())["made_by"]
    told = made_by["options"]["ensemble"]
    assert told == {"run": str(second), "method": "mean", "weights": made_by["weights"]}  # here they are the same
    moved = second.rename(tmp_path / "moved")
    again = CliRunner().invoke(app, [*words[:4], "--ensemble", str(moved), *words[6:], "--ensemble-by", "mean"])
    assert "1 already there" in again.stderr
    other = CliRunner().invoke(app, [*words[:4], "--ensemble", str(moved), *words[6:]])
    assert "different: options" in str(other.exception)


def test_a_way_to_join_without_a_second_run_is_refused(app: typer.Typer, run: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [run, "a.png", "--out", str(tmp_path / "out"), "--ensemble-by", "mean"])
    assert isinstance(result.exception, UsageError)
    assert "Add --ensemble RUN" in str(result.exception)
