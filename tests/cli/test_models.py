"""`perpixel models`."""

import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from perpixel.cli.models import models
from perpixel.models.catalog import MODELS
from perpixel.recipes.papers import RECIPES
from perpixel.training.recipe import Recipe

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


def test_recipes_are_listed_with_all_their_stages(app: typer.Typer) -> None:
    rows = json.loads(CliRunner().invoke(app, ["--recipes", "--json"]).stdout)
    by_name = {row["name"]: row for row in rows}
    assert list(by_name) == list(RECIPES)
    assert [stage["model"] for stage in by_name["fcn8s"]["stages"]] == ["fcn32s", "fcn16s", "fcn8s"]
    assert by_name["deconvnet"]["stages"][1]["images_per_iteration"] == 64


def test_the_list_of_recipes_has_a_line_a_stage(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--recipes"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in RECIPES)
    assert result.stdout.count("the stage before") == sum(len(stages) - 1 for stages in RECIPES.values())


def test_the_reference_lists_every_recipe_and_every_key() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "recipes.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|.* \|.* \|.* \|", text.split("## Keys")[0], re.MULTILINE)
    assert listed == list(RECIPES)
    assert Recipe.model_fields.keys() == set(re.findall(r"`([a-z_]+)`", _first_cells(text.split("## Keys")[1])))


def _first_cells(text: str) -> str:
    return "\n".join(line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `"))
