"""DecoupledNet's two phases."""

import pytest

from perpixel.errors import UsageError
from perpixel.recipes.choose import choose_stages
from perpixel.recipes.everyday import DataFacts
from perpixel.recipes.papers import RECIPES
from perpixel.training.recipe import SGD, Budget, Step

DATA = DataFacts(images=40, image_size=(128, 96))


@pytest.mark.parametrize(
    ("name", "iterations", "every"),
    [("decouplednet", 17_500, 10_000), ("decouplednet-25", 15_000, 10_000), ("decouplednet-5", 5_500, 4_000)],
)
def test_the_second_phase_is_the_released_one(name: str, iterations: int, every: int) -> None:
    """training/00N_*/solver.prototxt: rate 0.01, batches of 4 x 16, momentum 0.9, decay 5e-4."""
    _, recipe = RECIPES[name]
    assert (recipe.budget.iterations, recipe.schedule) == (iterations, Step(every=every))
    assert isinstance(recipe.optimizer, SGD)
    assert (recipe.optimizer.learning_rate, recipe.optimizer.weight_decay) == (0.01, 5e-4)
    assert (recipe.batch_size, recipe.accumulate, recipe.crop_size) == (4, 16, (320, 320))


@pytest.mark.parametrize("preset", ["quick", "strong", "paper"])
def test_every_preset_has_two_phases_that_share_the_budget(preset: str) -> None:
    tags, masks = choose_stages("decouplednet", preset, DATA, Budget(minutes=3))
    assert (tags.task, masks.task) == ("tagging", "per-label")
    assert (tags.budget.minutes or 0) + (masks.budget.minutes or 0) == pytest.approx(3)
    assert tags.trainable == ("classifier.*",)
    assert masks.trainable == ("bridge.*", "decoder.*")
    assert tags.options == masks.options


def test_our_presets_see_images_at_one_side() -> None:
    for recipe in choose_stages("decouplednet", "quick", DATA, None):
        assert recipe.crop_size == (128, 128)
        assert recipe.options["input_size"] == 128
        assert (recipe.image_scale, recipe.class_weights) == (1.0, "none")


def test_wide_encoders_have_a_small_window() -> None:
    """7 x 7 places of 2048 channels would be 411 million weights."""
    large = DataFacts(images=40, image_size=(320, 320))
    for settings, window in (((), 7), (["options.encoder=resnet50"], 3), (["options.window=5"], 5)):
        assert choose_stages("decouplednet", "strong", large, None, settings)[0].options["window"] == window


@pytest.mark.parametrize(
    ("side", "encoder", "stages"),
    [
        (320, "vgg16-bn", 5), (128, "vgg11-bn", 4), (96, "vgg11-bn", 3), (32, "vgg11-bn", 3),
        (96, "resnet18", 2), (320, "resnet18", 4), (96, "timm:resnet18", 3), (320, "timm:resnet18", 4),
        (96, "hf:resnet", 5),
    ],
)  # fmt: skip
def test_small_images_have_cells_enough(side: int, encoder: str, stages: int) -> None:
    """A map of 4 x 4 cells cannot say where a label is, nor can cells that see the whole image."""
    tags, _ = choose_stages("decouplednet", "strong", DataFacts(40, (side, side)), None, [f"options.encoder={encoder}"])
    assert tags.options["stages"] == stages


def test_other_networks_have_one_stage() -> None:
    (recipe,) = choose_stages("unet-same", "quick", DATA, None)
    assert recipe.task == "segmentation"


def test_a_score_that_is_not_of_the_task_is_refused() -> None:
    tags, _ = RECIPES["decouplednet"]
    with pytest.raises((UsageError, ValueError), match="expected f1 or mean_average_precision for the task tagging"):
        tags.replace(keep="mean_iou")
