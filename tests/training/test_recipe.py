"""Settings from the command line reach the recipe, and unknown ones are named."""

import pytest
from pydantic import ValidationError

from perpixel.errors import UsageError
from perpixel.training.recipe import SGD, Bootstrapped, Budget, OneCycle, Recipe, with_settings

RECIPE = Recipe(model="segnet")


def test_a_setting_changes_one_number() -> None:
    changed = with_settings(RECIPE, ["optimizer.learning_rate=3e-4", "crop_size=[64,96]", "class_weights=[1,2.5]"])
    assert changed.optimizer.learning_rate == 3e-4
    assert changed.crop_size == (64, 96)
    assert changed.class_weights == (1.0, 2.5)


def test_a_schedule_can_be_named() -> None:
    assert isinstance(with_settings(RECIPE, ["schedule=one-cycle"]).schedule, OneCycle)


def test_a_networks_own_options_pass_through() -> None:
    assert with_settings(RECIPE, ["options.dropout=0.5"]).options == {"dropout": 0.5}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batchsize=4", "Did you mean 'batch_size'"),
        ("optimizer.learning=4", "no setting named 'optimizer.learning'"),
        ("batch_size", "expected KEY=VALUE"),
        ("batch_size=none", "batch_size: "),
        ("optimizer.learning_rate=-1", "greater than 0"),
        ("optimizer.weight_decay=inf", "finite"),
        ("optimizer.weight_decay=[1", "expected a value for optimizer.weight_decay"),
        ("crop_size=[0,32]", "crop_size.0: "),
        ("class_weights=[1,-2,3]", "class_weights"),
        ("budget.epochs=inf", "finite"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_settings(RECIPE, [setting])


def test_a_budget_is_exactly_one_of_three() -> None:
    with pytest.raises(ValidationError, match="exactly one"):
        Budget()
    with pytest.raises(ValidationError, match="exactly one"):
        Budget(iterations=10, minutes=3)
    assert with_settings(RECIPE, ["budget.minutes=2"]).budget == Budget(minutes=2)


def test_a_recipe_survives_being_written_and_read() -> None:
    import yaml

    text = yaml.safe_dump(RECIPE.model_dump(mode="json"))
    assert Recipe.model_validate(yaml.safe_load(text)) == RECIPE


def test_a_loss_can_be_named_and_its_numbers_set() -> None:
    assert with_settings(RECIPE, ["loss=bootstrapped", "loss.pixels=512"]).loss == Bootstrapped(pixels=512)


def test_another_optimiser_keeps_the_rate() -> None:
    changed = with_settings(RECIPE, ["optimizer=sgd", "optimizer.momentum=0.99"]).optimizer
    assert changed == SGD(learning_rate=RECIPE.optimizer.learning_rate, momentum=0.99)


def test_layers_can_be_given_a_rate() -> None:
    changed = with_settings(RECIPE, ["optimizer.layer_rates={'*fc8*': 10}"]).optimizer
    assert changed.layer_rates == {"*fc8*": 10.0}


def test_a_record_of_an_older_version_still_reads() -> None:
    """Keys that came later have defaults that change nothing."""
    old = {"model": "segnet", "loss_normalization": "valid", "class_weights": "none"}
    assert Recipe.model_validate(old) == RECIPE
