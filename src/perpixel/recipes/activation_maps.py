"""Class activation maps learn from tags alone, in one phase; the presets are ours."""

from perpixel.encoders.classifier import VGGS
from perpixel.encoders.external import PREFIXES, external_strides
from perpixel.recipes.stages import Stages
from perpixel.training.recipe import Recipe, Windows

WIDE = 224  # sides from which all of an encoder serves
VGG_STAGES, OTHERS_STAGES = 4, 3  # in smaller images: cells then see 100 pixels (VGG-16) and 99 (ResNet-18)
MULTIPLE = 32  # sides of crops are multiples of the coarsest stride


def from_tags(recipe: Recipe) -> Stages:
    """Return our own presets' training of class activation maps: whole images, made square, and their tags.

    The encoder learns from scratch, with batch normalisation, in larger batches than a network that has a mask for each
    pixel to learn from. In small images its deepest cells would see everything, and are left out: with all of a
    ResNet-18, blobs in images of 64 pixels have a mean IoU of 25.5, with four of its maps 35.5, with three 39.3.

    Args:
        recipe: `quick` or `strong`, made for any network.
    """
    height, width = recipe.crop_size or (320, 320)
    side = max(MULTIPLE, max(height, width) // MULTIPLE * MULTIPLE)
    encoder = str(recipe.options.get("encoder", "vgg11-bn" if recipe.preset == "quick" else "vgg16-bn"))
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


def cell_of(encoder: str) -> int:
    """Return how wide a cell is in our own presets, in pixels: 8, or what another library's encoder can have."""
    return min(external_strides(encoder)) if encoder.startswith(PREFIXES) else 8
