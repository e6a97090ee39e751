"""Class activation maps learn from tags alone, in one phase; the presets are ours."""

from perpixel.encoders.classifier import VGGS
from perpixel.encoders.external import PREFIXES
from perpixel.recipes.squares import cell_of, encoder_of, side_of
from perpixel.recipes.stages import Stages
from perpixel.training.recipe import Recipe, Windows

WIDE = 224  # sides from which all of an encoder serves
VGG_STAGES, OTHERS_STAGES = 4, 3  # in smaller images: cells then see 100 pixels (VGG-16) and 99 (ResNet-18)


def from_tags(recipe: Recipe) -> Stages:
    """Return our own presets' training of class activation maps: whole images, made square, and their tags.

    The encoder learns from scratch, with batch normalisation, in larger batches than a network that has a mask for each
    pixel to learn from. In small images its deepest cells would see everything, and are left out: with all of a
    ResNet-18, blobs in images of 64 pixels have a mean IoU of 25.5, with four of its maps 35.5, with three 39.3.

    Args:
        recipe: `quick` or `strong`, made for any network.
    """
    side, encoder = side_of(recipe), encoder_of(recipe)
    stages = VGG_STAGES if encoder in VGGS else OTHERS_STAGES
    if side >= WIDE or encoder.startswith(PREFIXES):
        stages = 0
    options = {
        "encoder": encoder, "output_stride": cell_of(encoder), "input_size": side, "stages": stages, **recipe.options,
    }  # fmt: skip
    return (
        recipe.replace(
            task="tagging", keep="f1", options=options, crop_size=(side, side), image_scale=1.0,
            class_weights="none", average_weights=0.0, batch_size=4 * recipe.batch_size,
            windows=Windows(kind="proposal", context=1.0, side=round(1.1 * side)),
        ),
    )  # fmt: skip
