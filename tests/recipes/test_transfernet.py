"""TransferNet's three phases."""

import pytest

from perpixel.recipes.choose import choose_stages
from perpixel.recipes.everyday import DataFacts
from perpixel.recipes.papers import RECIPES
from perpixel.training.recipe import AdamW, Budget, Fixed

DATA = DataFacts(images=40, image_size=(128, 96))


def test_attention_and_segmentation_are_the_released_solvers() -> None:
    """training/{1_train_attention,2_train_segmentation}/solver.prototxt: Adam, fixed, 64 images an update, 15,000."""
    _, attention, segmentation = RECIPES["transfernet"]
    for recipe, rate in ((attention, 1e-3), (segmentation, 5e-4)):
        assert isinstance(recipe.optimizer, AdamW)
        assert (recipe.optimizer.learning_rate, recipe.optimizer.weight_decay) == (rate, 0)
        assert recipe.optimizer.layer_rates == {"class_head.score*": 10.0}
        assert (recipe.schedule, recipe.budget.iterations) == (Fixed(), 15_000)
        assert (recipe.batch_size * recipe.accumulate, recipe.crop_size) == (64, (320, 320))
    assert (attention.batch_size, segmentation.batch_size) == (8, 4)
    assert segmentation.loss_weights == (1.0, 2.0)


def test_the_encoder_never_learns_with_attention_or_decoder() -> None:
    """attention.prototxt, attention-decoder.prototxt: lr_mult 0 from conv1_1 to conv5_3."""
    for stages in (RECIPES["transfernet"], choose_stages("transfernet", "quick", DATA, None)):
        tasks = [stage.task for stage in stages]
        assert tasks == ["tagging", "attention", "transfer"]
        assert stages[1].trainable == ("attention.*", "class_head.*")
        assert stages[2].trainable == ("attention.*", "class_head.*", "decoder.*")


@pytest.mark.parametrize("preset", ["quick", "strong", "paper"])
def test_every_preset_has_three_phases_that_share_the_budget(preset: str) -> None:
    stages = choose_stages("transfernet", preset, DATA, Budget(minutes=3))
    assert sum(stage.budget.minutes or 0 for stage in stages) == pytest.approx(3)
    assert all(stage.options == stages[0].options for stage in stages)


@pytest.mark.parametrize(("encoder", "stages"), [("resnet18", 4), ("timm:resnet18", 4), ("hf:resnet", 6)])
def test_cells_are_of_eight_pixels_where_an_encoder_can_be_dilated(encoder: str, stages: int) -> None:
    recipe, *_ = choose_stages("transfernet", "quick", DATA, None, [f"options.encoder={encoder}"])
    assert recipe.options["stages"] == stages


def test_our_presets_begin_from_fresh_weights_on_small_squares() -> None:
    for recipe in choose_stages("transfernet", "quick", DATA, None):
        assert recipe.initial_weights == "none"
        assert (recipe.crop_size, recipe.options["input_size"]) == ((128, 128), 128)
        assert recipe.options["batch_norm"] is True


def test_without_attention_that_is_learned_there_is_no_phase_for_it() -> None:
    stages = choose_stages("transfernet", "quick", DATA, Budget(minutes=3), ["options.attention=tiled"])
    assert [stage.task for stage in stages] == ["tagging", "transfer"]
    assert sum(stage.budget.minutes or 0 for stage in stages) == pytest.approx(3)
