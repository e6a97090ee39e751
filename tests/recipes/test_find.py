"""Recipes by name or from a file."""

from pathlib import Path

import pytest
import yaml

from perpixel.errors import UsageError
from perpixel.recipes.fcn import FCN8S, FCN16S, FCN32S
from perpixel.recipes.find import find_recipe


def test_a_staged_recipe_has_all_its_stages() -> None:
    assert find_recipe("fcn8s") == (FCN32S, FCN16S, FCN8S)


def test_a_wrong_name_tells_the_nearest_and_all() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'fcn8s'\?.*segnet-basic"):
        find_recipe("fcn8")


@pytest.mark.parametrize("form", ["recipe", "run.yaml", "phases"])
def test_a_file_holds_a_recipe_a_run_or_several_phases(tmp_path: Path, form: str) -> None:
    one = FCN16S.model_dump(mode="json")
    document = {"recipe": one, "run.yaml": {"perpixel": "1", "recipe": one}, "phases": {"phases": [one, one]}}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(one if form == "recipe" else document[form]))
    assert find_recipe(str(path)) == (FCN16S,) * (2 if form == "phases" else 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1", "cannot be read"),
        ("", "expected .* to hold a recipe"),
        ("phases: []", "expected .* to hold a recipe"),
        ("width: 1", "names at least its `model`"),
        ("{model: segnet, batchsize: 3}", "batchsize: "),
    ],
)
def test_a_file_that_is_no_recipe_says_why(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        find_recipe(str(path))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"gone\.yaml cannot be read"):
        find_recipe("gone.yaml")
