"""`perpixel heatmap`."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from perpixel.cli.heatmap import UNTRAINED, heatmap_command
from perpixel.encoders.classifier import Classifier, build_classifier
from perpixel.errors import UsageError, WeightsError


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(heatmap_command)
    return app


@pytest.fixture
def photo(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (60, 90, 3), np.uint8)).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def save(classifier: Classifier, path: Path) -> None:
    """Write weights under the names of their layers alone, as `perpixel weights convert` does."""
    state = classifier.state_dict()
    save_file({name.removeprefix("encoder.").removeprefix("head."): value for name, value in state.items()}, path)


def test_an_untrained_network_says_so_in_the_picture_and_beside_it(
    app: typer.Typer, photo: str, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "heat.png"
    words = [photo, "--model", "resnet18", "--weights", "none", "--class", "7", "--out", str(out), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert UNTRAINED in result.stderr
    document = json.loads(result.stdout)
    assert document["trained"] is False
    assert document["class"]["index"] == 7
    assert document["heatmap"] == [2, 3]
    assert len(document["strongest"]) == 5
    with Image.open(out) as picture:
        assert picture.width == 480


def test_weights_of_ones_own_are_used_with_names_and_any_number_of_classes(
    app: typer.Typer, photo: str, tmp_path: Path
) -> None:
    classifier = build_classifier("resnet18", num_classes=3)
    classifier.state_dict()["head.fc.bias"][1] = 50
    save(classifier, tmp_path / "mine.safetensors")
    (tmp_path / "names.txt").write_text("ground\nsquare\ndisc\n")
    words = ["--weights", str(tmp_path / "mine.safetensors"), "--names", str(tmp_path / "names.txt"), "--json"]
    result = CliRunner().invoke(app, [photo, "--model", "resnet18", "--out", str(tmp_path / "h.png"), *words])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["trained"] is True
    assert document["class"]["name"] == "square"
    assert document["class"]["probability"] > 0.99
    assert UNTRAINED not in result.stderr


def test_weights_of_another_network_are_refused(app: typer.Typer, photo: str, tmp_path: Path) -> None:
    save(build_classifier("resnet18", num_classes=3), tmp_path / "mine.safetensors")
    words = ["--weights", str(tmp_path / "mine.safetensors"), "--out", str(tmp_path / "h.png")]
    result = CliRunner().invoke(app, [photo, "--model", "resnet34", *words])
    assert isinstance(result.exception, WeightsError)
    assert not (tmp_path / "h.png").exists()


def test_a_network_without_published_weights_asks_for_a_file(app: typer.Typer, photo: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [photo, "--model", "vgg16-1x1", "--out", str(tmp_path / "h.png")])
    assert isinstance(result.exception, UsageError)
    assert "--weights none" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "resnet5"], "Did you mean 'resnet50'"),
        (["--model", "resnet18", "--class", "tabby"], "expected a number, got 'tabby'. Say --names FILE"),
        (["--model", "resnet18", "--class", "1000"], "expected a class from 0 to 999, got 1000"),
        (["--model", "resnet18", "--shorter-side", "-1"], "expected a shorter side of 0 or more, got -1"),
        (["--model", "resnet18", "--out", "heat.unknown"], "End it in .png or .jpg"),
    ],
)
def test_what_cannot_be_used_is_said_plainly(
    app: typer.Typer, photo: str, tmp_path: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [photo, "--weights", "none", *words, *([] if "--out" in words else ["--out", "h.png"])]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
