"""What our own presets of networks that learn from tags share: the side that images are seen at, encoder and cells."""

from perpixel.encoders.external import PREFIXES, external_strides
from perpixel.training.recipe import Recipe

LARGEST = 320  # the authors' side
MULTIPLE = 32  # sides are multiples of the coarsest stride
CELL = 8


def side_of(recipe: Recipe) -> int:
    """Return at which side, in pixels, images are seen as squares: that of a preset's crops, or the authors' 320."""
    return max(MULTIPLE, max(recipe.crop_size or (LARGEST, LARGEST)) // MULTIPLE * MULTIPLE)


def encoder_of(recipe: Recipe) -> str:
    """Return the encoder that the user named, or a VGG with batch normalisation, which learns from scratch."""
    return str(recipe.options.get("encoder", "vgg11-bn" if recipe.preset == "quick" else "vgg16-bn"))


def cell_of(encoder: str) -> int:
    """Return how wide the cells of maps are, in pixels: 8, or what another library's encoder can have."""
    return min(external_strides(encoder)) if encoder.startswith(PREFIXES) else CELL
