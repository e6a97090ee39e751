"""U-Net: one large tile at a time, high momentum, borders between cells weighted.

Source: Ronneberger, Fischer & Brox, MICCAI 2015, Sec. 3 (recalled). The paper gives no rate, decay or iterations.

With one tile at a time, a momentum of 0.99 makes a step the average of about a hundred tiles.
"""

from perpixel.data.transforms import Augmentation
from perpixel.training.recipe import SGD, BorderWeighted, Budget, Fixed, Recipe

UNET = Recipe(
    model="unet", preset="paper", crop_size=(388, 388), batch_size=1, budget=Budget(iterations=40_000),
    augmentation=Augmentation(flip=0.5, vertical_flip=0.5, rotate=180.0, elastic=10.0, color=0.2),
    optimizer=SGD(learning_rate=1e-4, momentum=0.99, weight_decay=0.0), schedule=Fixed(),
    loss=BorderWeighted(weight=10.0, std=5.0), class_weights="median-frequency",
    sources={
        "*": "MICCAI 2015, Sec. 3: momentum 0.99, one tile a batch",
        "crop_size": "MICCAI 2015, Fig. 1: 572 pixels in, 388 out; the margin is mirrored from the crop",
        "augmentation.elastic": "MICCAI 2015, Sec. 3.1: a 3 x 3 grid, 10 pixels, bicubic",
        "loss": "MICCAI 2015, Eq. 2: w0 = 10, sigma about 5 pixels",
        "class_weights": "MICCAI 2015, Sec. 3: w_c balances the classes; the rule is not given",
        "optimizer.learning_rate": "ours; the paper gives none",
        "budget": "ours; the paper gives 10 hours on a Titan",
        "expected": "MICCAI 2015, Table 2",
    },
    expected={"IoU on PhC-U373": 0.9203, "IoU on DIC-HeLa": 0.7756},
    differs=(
        "Mirroring up and down and turns of any angle are ours, for views without an upper side.",
        "A crop's margin is its own mirror image; the paper's tile shows 92 more pixels of the real image.",
    ),
)  # fmt: skip
