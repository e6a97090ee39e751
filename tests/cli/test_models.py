"""`perpixel models`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from perpixel.cli.models import models
from perpixel.models.catalog import MODELS

KEYS = {"name", "paper", "encoder", "parameters", "num_classes", "output_stride", "receptive_field"}


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(models)
    return app


def test_json_is_the_whole_catalogue(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--json"])
    rows = json.loads(result.stdout)
    assert [row["name"] for row in rows] == list(MODELS)
    assert all(set(row) == KEYS for row in rows)
    assert next(row for row in rows if row["name"] == "segnet")["parameters"] == 29_449_355


def test_the_table_names_every_network(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in MODELS)
