"""Our own recipes: `quick` for a CPU and a few minutes, `strong` for a GPU and an evening.

Neither is a paper's. `quick` narrows the network and lets it see the images as small as the minutes ask for;
`strong` is the full network with what is known today to help: AdamW, a one-cycle rate, scale and colour
variation, balanced classes and averaged weights.
"""

import math
from dataclasses import dataclass

from perpixel.data.transforms import Augmentation
from perpixel.training.recipe import AdamW, Budget, OneCycle, Recipe

# Pixels a second in training at a quarter of the width on two CPU cores. Nominal: it decides only how small
# the images are made, so that a recipe follows from the data and the minutes and not from the day's load.
QUICK_PIXELS_A_SECOND = 500_000
QUICK_VIEWS = 50  # how often each image should be seen within the budget
QUICK_BATCH = 4
QUICK_UPDATES = 3000  # that the minutes should give, with crops from 128 to 256 pixels
QUICK_SCALES = (1.0, 0.75, 0.5, 0.375, 0.25)
QUICK_SHORTEST = 64  # the network should still see something: shorter side, in pixels
QUICK_MINUTES = 15.0


@dataclass(frozen=True)
class DataFacts:
    """What a recipe needs to know of the training images.

    Attributes:
        images: How many.
        image_size: Their typical (H, W).
        upright: They have an up and a down, as photos have and slides under a microscope have not.
    """

    images: int
    image_size: tuple[int, int]
    upright: bool = True


def quick(model: str, data: DataFacts, budget: Budget | None = None) -> Recipe:
    """Return a recipe for a CPU: the network at a quarter of its width, its images fitted to the minutes."""
    budget = budget or Budget(minutes=QUICK_MINUTES)
    minutes = budget.minutes or QUICK_MINUTES
    scale, most = quick_scale(data, minutes), quick_crop(minutes)
    height, width = (max(1, round(side * scale)) for side in data.image_size)
    return Recipe(
        model=model, preset="quick", width=0.25, image_scale=scale,
        crop_size=(_crop(height, most), _crop(width, most)), batch_size=QUICK_BATCH, budget=budget,
        augmentation=_augmentation(data, scale=(0.6, 1.8), color=0.2),
        optimizer=AdamW(learning_rate=2e-3, weight_decay=1e-2),
        schedule=OneCycle(warmup=0.1),
        class_weights="enet-root", clip_gradient=5.0,
        sources={"*": "ours, chosen on CamVid's validation split"},
    )  # fmt: skip


def quick_scale(data: DataFacts, minutes: float) -> float:
    """Return the largest scale at which each image is still seen `QUICK_VIEWS` times within the minutes."""
    pixels = data.images * data.image_size[0] * data.image_size[1] * QUICK_VIEWS
    wanted = math.sqrt(60 * minutes * QUICK_PIXELS_A_SECOND / max(pixels, 1))
    least = QUICK_SHORTEST / min(data.image_size)
    fitting = [scale for scale in QUICK_SCALES if scale <= max(wanted, least)]
    return fitting[0] if fitting else QUICK_SCALES[-1]


def quick_crop(minutes: float) -> int:
    """Return the greatest side of a crop, in pixels: few minutes are better spent on many small batches."""
    pixels = 60 * minutes * QUICK_PIXELS_A_SECOND / (QUICK_BATCH * QUICK_UPDATES)
    return min(256, max(128, int(math.sqrt(pixels))))


def strong(model: str, data: DataFacts, budget: Budget | None = None) -> Recipe:
    """Return a recipe for a GPU: the full network at full resolution."""
    crop = tuple(_crop(side, most=512) for side in data.image_size)
    return Recipe(
        model=model, preset="strong", crop_size=(crop[0], crop[1]), batch_size=8,
        budget=budget or Budget(epochs=300),
        augmentation=_augmentation(data, scale=(0.5, 2.0), color=0.5),
        optimizer=AdamW(learning_rate=1e-3, weight_decay=1e-2), schedule=OneCycle(warmup=0.05),
        class_weights="enet-root", clip_gradient=1.0, average_weights=0.999,
        sources={"*": "ours"},
    )  # fmt: skip


def _augmentation(data: DataFacts, scale: tuple[float, float], color: float) -> Augmentation:
    """Vary photos as cameras do; what has no up is seen from one distance, as by a microscope, and laid all eight ways.

    Resampling would also smooth away the noise that such images are full of, and the network would miss it later.
    """
    if data.upright:
        return Augmentation(scale=scale, flip=0.5, color=color)
    return Augmentation(scale=(1.0, 1.0), flip=0.5, vertical_flip=0.5, transpose=0.5, color=color)


def _crop(side: int, most: int) -> int:
    """Round a side down to a multiple of 32 that the image still fills, but never below 32."""
    return max(32, min(side, most) // 32 * 32)
