"""From a recipe's name or file to its stages."""

from pathlib import Path
from typing import Any

import yaml

from perpixel.errors import UsageError
from perpixel.recipes.papers import RECIPES
from perpixel.recipes.stages import Stages
from perpixel.training.recipe import parse_recipe


def find_recipe(name: str) -> Stages:
    """Return the stages of a recipe.

    Args:
        name: One of `RECIPES`, or a .yaml file with the keys that `recipe` has in `run.yaml`; or a `run.yaml`
            itself; or a list of recipes under `phases`.

    Raises:
        UsageError: There is no such recipe, or the file does not hold one.
    """
    if name in RECIPES:
        return RECIPES[name]
    if name.endswith((".yaml", ".yml")) or Path(name).is_file():
        return read_recipe(Path(name))
    from difflib import get_close_matches

    near = get_close_matches(name, RECIPES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"--recipe: no recipe or .yaml file named {name!r}.{hint} Known: {', '.join(RECIPES)}.")


def read_recipe(path: Path) -> Stages:
    """Read the stages that a file holds.

    Raises:
        UsageError: It cannot be read, or a key in it does not fit.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--recipe: {path} cannot be read ({str(error).splitlines()[0]}).") from None
    stages = _stages(data)
    if not stages or not all(isinstance(stage, dict) and "model" in stage for stage in stages):
        raise UsageError(
            f"--recipe: expected {path} to hold a recipe, which names at least its `model`, or a list of them under "
            "`phases`. Copy `recipe` from a run.yaml to begin with."
        )
    return tuple(parse_recipe(stage) for stage in stages)


def _stages(data: Any) -> list[Any]:
    """Return the recipes in a document, whichever of the three forms it has."""
    if isinstance(data, dict) and isinstance(data.get("phases"), list):
        return list(data["phases"])
    if isinstance(data, dict) and "model" not in data and "recipe" in data:
        return [data["recipe"]]
    return [data]
