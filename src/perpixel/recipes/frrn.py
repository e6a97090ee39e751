"""FRRN A and B on Cityscapes, at a quarter and at half of its size, with the bootstrapped loss.

Source: TobyPDE/FRRN, train_frrn_a.py of March 2017 and train.py of November 2016, which trained FRRN B;
Pohlen, Hermans, Mathias & Leibe, CVPR 2017, Sec. 4.
"""

from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Augmentation
from perpixel.training.recipe import AdamW, Bootstrapped, Budget, Recipe, Step

FRRN_A = Recipe(
    model="frrn-a", preset="paper", image_scale=0.25, crop_size=None, batch_size=3, options={"checkpoint": True},
    budget=Budget(iterations=55_000), augmentation=Augmentation(flip=0.0, gamma=0.05, shift=30),
    normalization=Normalization(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=0.0), schedule=Step(every=45_000),
    loss=Bootstrapped(pixels=512 * 16),
    sources={
        "*": "TobyPDE/FRRN, train_frrn_a.py, March 2017: Adam, batch 3, 1e-3, a tenth after 45,000 updates",
        "augmentation": "train_frrn_a.py, March 2017: shifts of 30 pixels, 20 in its last version; "
        "dltools/augmentation.py: how, and gamma",
        "budget": "meetps/pytorch-semseg, issue 57: ten epochs at the lower rate; the release trains until stopped",
        "loss": "train_frrn_a.py, March 2017: 512·16 pixels of 256 x 512; other versions of it take 512·32, and the "
        "later train.py 512·64",
        "options": "dltools/hybrid_training.py: only what splits the network is kept",
        "expected": "CVPR 2017, Table 2 (recalled)",
    },
    expected={"mean_iou": 0.630},
    differs=(
        "Images are drawn uniformly; train_frrn_a.py draws those with rare classes more often.",
        "Labels shrink to the nearest pixel's; the authors take the majority.",
        "expected is on the Cityscapes test set at full resolution.",
    ),
)  # fmt: skip

FRRN_B = FRRN_A.replace(
    model="frrn-b", image_scale=0.5, budget=Budget(iterations=75_000), schedule=Step(every=60_000),
    loss=Bootstrapped(pixels=512 * 64), augmentation=Augmentation(flip=0.0, gamma=0.05, shift=40),
    sources={
        **FRRN_A.sources,
        "augmentation": "train.py, November 2016, and dltools/augmentation.py; train_frrn_b.py shifts by 20",
        "*": "TobyPDE/FRRN, train.py, November 2016: Adam, batch 3, 1e-3, a tenth after 60,000 updates",
        "schedule": "train.py, November 2016; train_frrn_b.py falls after 45,000, as FRRN A",
        "loss": "train.py and train_frrn_b.py: 512·64 pixels of 512 x 1024",
        "budget": "ours after the fall of the rate; the release trains until stopped",
    },
    expected={"mean_iou": 0.718},
    differs=FRRN_A.differs[1:],
)  # fmt: skip
