"""`perpixel explain`."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from perpixel.cli.explain import explain_command

KEYS = {"name", "parameters", "macs", "output_stride", "receptive_field", "layers"}
LAYER_KEYS = {"name", "type", "output", "parameters", "macs", "stride", "receptive_field"}


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(explain_command)
    return app


def test_json_is_one_document_with_every_layer(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["segnet-basic", "--image-size", "360", "480", "--num-classes", "12", "--json"])
    document = json.loads(result.stdout)
    assert document.keys() >= KEYS
    assert document["name"] == "segnet-basic"
    assert document["parameters"] == 1_416_652
    assert (document["output_stride"], document["receptive_field"]) == (16, 106)
    assert all(layer.keys() >= LAYER_KEYS for layer in document["layers"])
    assert document["layers"][-1]["output"] == [12, 360, 480]


def test_it_prints_the_card_and_writes_drawing_card_and_layers(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["segnet-basic", "--image-size", "48", "64", "--out", str(tmp_path / "new")])
    assert result.exit_code == 0
    assert "48 x 64 in" in result.stdout
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        f"segnet-basic.{ending}" for ending in ("svg", "png", "md", "json")
    }


def test_an_unknown_name_is_one_message(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["segnt"])
    assert "Did you mean 'segnet'" in str(result.exception)
