"""From a network's name and a preset's name to a recipe."""

from collections.abc import Sequence

from perpixel.errors import UsageError
from perpixel.recipes import activation_maps, decouplednet, transfernet
from perpixel.recipes.everyday import DataFacts, quick, strong
from perpixel.recipes.papers import RECIPES
from perpixel.recipes.stages import Stages, share_budget
from perpixel.training.recipe import Budget, Recipe, with_settings

CALLED_AFTER_DATA = {"fcn8s-two-headed": "fcn8s-siftflow", "fcn32s-late-fusion": "fcn32s-nyud-color-hha"}
# Each network's own recipe; of one trained in stages, the last.
PAPERS = {name: stages[-1] for name, stages in RECIPES.items() if stages[-1].model == name} | {
    model: RECIPES[name][-1] for model, name in CALLED_AFTER_DATA.items()
}
PRESETS = ("quick", "paper", "strong")


# Networks that learn from tags, whose parts learn one after the other: from a preset's recipe to its stages.
PHASED = {
    "activation-maps": activation_maps.from_tags,
    "decouplednet": decouplednet.in_two_phases,
    "transfernet": transfernet.in_three_phases,
}


def choose_stages(
    model: str, preset: str, data: DataFacts, budget: Budget | None = None, settings: Sequence[str] = ()
) -> Stages:
    """Return the recipes of a preset's stages: one for most networks.

    Args:
        model: A name of the catalogue.
        preset: quick, paper or strong.
        data: Number and size of the training images.
        budget: How long to train, all stages together; the preset's own where None.
        settings: KEY=VALUE, as a user gives them. They are not applied, but our own presets fit the rest of the
            network's options to those that are among them: small images want less of a VGG, more of a ResNet.

    Raises:
        UsageError: As `choose_recipe`; or a setting of the network is none.
    """
    if model not in PHASED:
        return (choose_recipe(model, preset, data, budget),)
    if preset == "paper" and model in RECIPES:
        return RECIPES[model] if budget is None else share_budget(RECIPES[model], budget)
    options = [setting for setting in settings if setting.strip().startswith("options.")]
    return PHASED[model](with_settings(choose_recipe(model, preset, data, budget), options))


def choose_recipe(model: str, preset: str, data: DataFacts, budget: Budget | None = None) -> Recipe:
    """Return the recipe of a preset.

    Args:
        model: A name of the catalogue.
        preset: quick, paper or strong.
        data: Number and size of the training images, which `quick` and `strong` fit themselves to.
        budget: How long to train; the preset's own where None.

    Raises:
        UsageError: No such preset, or the network has no paper of its own.
    """
    if preset == "quick":
        return quick(model, data, budget)
    if preset == "strong":
        return strong(model, data, budget)
    if preset != "paper":
        raise UsageError(f"--preset: expected one of {', '.join(PRESETS)}, got {preset!r}.")
    if model not in PAPERS:
        raise UsageError(
            f"--preset paper: {model} is not one paper's network. Use --preset quick or strong, or a model with "
            f"a paper: {', '.join(PAPERS)}."
        )
    recipe = PAPERS[model]
    return recipe if budget is None else share_budget((recipe,), budget)[0]
