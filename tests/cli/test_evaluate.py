"""`perpixel evaluate`."""

import json
from pathlib import Path

import pytest
import typer
from torch import Tensor, nn
from typer.testing import CliRunner

from perpixel.cli.evaluate import evaluate_command
from perpixel.data.dataset import open_dataset
from perpixel.runs import load
from tests.labelled import network, write_data, write_run


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(load, "build_network", lambda _: network())
    app = typer.Typer()
    app.command()(evaluate_command)
    return app


def test_the_table_shows_scores_the_baseline_and_every_class(app: typer.Typer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", write_data(tmp_path / "data"))
    result = CliRunner().invoke(app, [str(run)])
    assert result.exit_code == 0, result.output
    for said in (
        "mean IoU",
        "100.0 %",
        "always",
        "ignored pixels",
        "mean IoU near borders",
        "boundary F",
        "red",
        "green",
        "blue",
    ):
        assert said in result.stdout


def test_json_goes_to_stdout_alone_or_to_a_file(app: typer.Typer, tmp_path: Path) -> None:
    run = str(write_run(tmp_path / "run", write_data(tmp_path / "data")))
    to_stdout = CliRunner().invoke(app, [run, "--json", "-"])
    CliRunner().invoke(app, [run, "--json", str(tmp_path / "new/scores.json")])
    document = json.loads(to_stdout.stdout)
    assert document == json.loads((tmp_path / "new/scores.json").read_text())
    assert document["mean_iou"] == 1.0


def test_the_report_is_written_where_asked(app: typer.Typer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", write_data(tmp_path / "data"))
    result = CliRunner().invoke(app, [str(run), "--report", str(tmp_path / "page")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "page/index.html").is_file()


def test_data_that_has_moved_can_be_named(app: typer.Typer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tmp_path / "gone")
    result = CliRunner().invoke(app, [str(run), "--data", str(write_data(tmp_path / "here"))])
    assert result.exit_code == 0, result.output


def test_a_broken_pair_makes_the_code_1_and_much_ignored_is_warned_about(app: typer.Typer, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", ignored_rows=6)
    (data / "images/val/1.png").write_bytes(b"no image")
    result = CliRunner().invoke(app, [str(write_run(tmp_path / "run", data))])
    assert result.exit_code == 1
    assert "50% of all pixels are ignored" in result.stderr
    assert "val/1" in result.stderr


@pytest.mark.parametrize(("option", "said"), [("--report", "expected a folder"), ("--json", "expected a file")])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, said: str
) -> None:
    run = write_run(tmp_path / "run", write_data(tmp_path / "data"))
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("perpixel.cli.evaluate._measure", lambda *_: pytest.fail("it measured first"))
    place = tmp_path / "file" if option == "--report" else tmp_path
    result = CliRunner().invoke(app, [str(run), option, str(place)])
    assert said in str(result.exception)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_ensemble_is_measured_and_named_beside_the_scores(app: typer.Typer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", write_data(tmp_path / "data"))
    second = write_run(tmp_path / "second", tmp_path / "data")
    result = CliRunner().invoke(app, [str(run), "--ensemble", str(second), "--json", "-"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["mean_iou"] == 1.0
    assert document["options"]["ensemble"]["run"] == str(second)
    assert document["options"]["ensemble"]["method"] == "product"


class Tagger(nn.Conv2d):
    """The same network, asked for tags too."""

    def classify(self, image: Tensor) -> Tensor:
        return self(image).mean((2, 3))


def test_tags_are_measured_where_there_are_no_masks(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_data(tmp_path / "data")
    pictures = open_dataset(data).pairs("val")
    (data / "tags.csv").write_text("image,tags\n" + "".join(f"{picture.id},red\n" for picture in pictures))
    for picture in pictures:
        picture.mask.unlink()
    with (data / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\n")
    words = [str(write_run(tmp_path / "run", data)), "--data", str(data)]
    assert "finds no tags" in str(CliRunner().invoke(app, words).exception)
    monkeypatch.setattr(load, "build_network", lambda _: Tagger(3, 3, 1))
    shown, written = CliRunner().invoke(app, words), CliRunner().invoke(app, [*words, "--json", "-"])
    assert shown.exit_code == 0, shown.output
    assert "F1 of tags" in shown.stdout
    assert "none with a mask" in shown.stdout
    assert "there is no mean IoU" in shown.stderr
    assert json.loads(written.stdout)["mean_iou"] is None
    report = CliRunner().invoke(app, [*words, "--report", str(tmp_path / "page")])
    assert "has tags alone. Leave it out" in str(report.exception)
    flipped = CliRunner().invoke(app, [*words, "--flip"])
    assert "expected no inference options, got scales 1, mirrored too" in str(flipped.exception)
