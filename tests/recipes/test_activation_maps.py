"""Class activation maps' one phase."""

import pytest

from perpixel.models.catalog import build
from perpixel.recipes.choose import choose_stages
from perpixel.recipes.everyday import DataFacts
from perpixel.training.recipe import with_settings


@pytest.mark.parametrize(("side", "stages"), [(96, 4), (256, 0)])
def test_small_images_take_stages_from_an_encoder(side: int, stages: int) -> None:
    (recipe,) = choose_stages("activation-maps", "strong", DataFacts(40, (side, side)))
    assert (recipe.task, recipe.keep) == ("tagging", "f1")
    assert (recipe.options["encoder"], recipe.options["stages"]) == ("vgg16-bn", stages)


@pytest.mark.parametrize(("encoder", "stages"), [("resnet18", 3), ("alexnet", 3), ("googlenet", 3), ("vgg13-bn", 4)])
def test_naming_another_encoder_is_enough(encoder: str, stages: int) -> None:
    """With all of a ResNet-18, blobs lose fourteen points of mean IoU on images of 64 pixels."""
    settings = [f"options.encoder={encoder}", "batch_size=3"]
    (recipe,) = choose_stages("activation-maps", "quick", DataFacts(40, (96, 96)), settings=settings)
    assert recipe.options["stages"] == stages
    assert recipe.batch_size == 16, "what is not the network's is set afterwards"
    build(recipe.model, 4, width=1 / 16, **with_settings(recipe, settings).options)


@pytest.mark.parametrize(("encoder", "stride"), [("timm:resnet18", 8), ("hf:resnet", 32)])
def test_another_librarys_encoder_is_left_whole_and_dilated_where_it_can_be(encoder: str, stride: int) -> None:
    settings = [f"options.encoder={encoder}"]
    (recipe,) = choose_stages("activation-maps", "quick", DataFacts(40, (96, 96)), settings=settings)
    assert (recipe.options["stages"], recipe.options["output_stride"]) == (0, stride)
