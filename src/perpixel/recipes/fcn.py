"""FCN, as released and as in the two papers.

    heavy      VGG-16 as released: one image at a time, momentum 0.99, summed loss; FCN-32s, then 16s, then 8s
    fixed      the same, with the last layer alone learning
    CVPR       batches of 20, momentum 0.9; VGG-16 in stages, GoogLeNet (never released)
    AlexNet    as released, which is the CVPR paper's but for a tenth of its rate

Source: shelhamer/fcn.berkeleyvision.org, voc-fcn{32s,16s,8s,8s-atonce,-alexnet}/{solver,train}.prototxt, net.py,
solve.py; Long, Shelhamer & Darrell, CVPR 2015, Sec. 4; Shelhamer, Long & Darrell, TPAMI 2017, Sec. 4.3 and 5.
The nets for other data sets are in `fcn_scenes.py`.

Compare with the figures of CVPR and TPAMI, not with those of arXiv:1411.4038v1, which had trained on some of its
validation images. Rates are for the summed loss: on 500 x 375 pixels 1e-10 is 1.9e-5 of a mean.
"""

from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Augmentation
from perpixel.training.recipe import SGD, Budget, Fixed, Recipe

HEAVY_SCORES = "fcn.berkeleyvision.org, README: mean IoU; TPAMI, Table 3: the others (recalled)"
VOC_MEAN = Normalization(mean=(122.67892, 116.66877, 104.00699), std=(1.0, 1.0, 1.0), order="bgr")


def _heavy(rate: float) -> SGD:
    return SGD(learning_rate=rate, momentum=0.99, weight_decay=5e-4, bias_rate=2.0, bias_decay=0.0)


FCN32S = Recipe(
    model="fcn32s", preset="paper", initial_weights="vgg16-imagenet",
    crop_size=None, batch_size=1, budget=Budget(iterations=100_000), augmentation=Augmentation(flip=0.0),
    normalization=VOC_MEAN, optimizer=_heavy(1e-10), schedule=Fixed(), loss_normalization="sum",
    sources={
        "*": "fcn.berkeleyvision.org, voc-fcn32s/solver.prototxt",
        "loss_normalization": "voc-fcn32s/net.py, normalize: false, ignore_label: 255",
        "normalization": "voc_layers.py, mean in BGR",
        "expected": HEAVY_SCORES,
    },
    expected={"pixel_accuracy": 0.905, "mean_accuracy": 0.765, "mean_iou": 0.636},
    differs=(
        "Images are drawn in reshuffled epochs, not with replacement.",
        "expected is on PASCAL VOC 2011 seg11valid after training on SBD, from ImageNet weights.",
    ),
)  # fmt: skip

FCN16S = FCN32S.replace(
    model="fcn16s", initial_weights="fcn32s", optimizer=_heavy(1e-12),
    sources={"*": "fcn.berkeleyvision.org, voc-fcn16s/solver.prototxt", "expected": HEAVY_SCORES},
    expected={"pixel_accuracy": 0.910, "mean_accuracy": 0.781, "mean_iou": 0.650},
)  # fmt: skip

FCN8S = FCN32S.replace(
    model="fcn8s", initial_weights="fcn16s", optimizer=_heavy(1e-14),
    sources={"*": "fcn.berkeleyvision.org, voc-fcn8s/solver.prototxt", "expected": HEAVY_SCORES},
    expected={"pixel_accuracy": 0.912, "mean_accuracy": 0.776, "mean_iou": 0.655},
)  # fmt: skip

FCN8S_AT_ONCE = FCN32S.replace(
    model="fcn8s-at-once", budget=Budget(iterations=300_000),
    sources={"*": "fcn.berkeleyvision.org, voc-fcn8s-atonce/solver.prototxt", "expected": HEAVY_SCORES},
    expected={"pixel_accuracy": 0.911, "mean_accuracy": 0.785, "mean_iou": 0.654},
)  # fmt: skip

# ---- one layer alone, and the recipe of 2015 ------------------------------------------------------------

FCN32S_FIXED = FCN32S.replace(
    trainable="classifier",
    sources={
        **FCN32S.sources,
        "trainable": "TPAMI, Table 3, FCN-32s-fixed: the last layer alone is tuned",
        "expected": "TPAMI, Table 3 (recalled)",
    },
    expected={"pixel_accuracy": 0.829, "mean_accuracy": 0.646, "mean_iou": 0.466},
    differs=(*FCN32S.differs, "The solver of this row was not released; FCN-32s's is taken."),
)  # fmt: skip

CVPR_DIFFERS = (
    "The paper does not say whether the loss is a mean over pixels; it is here, which is uncertain.",
    "Weight decay is printed as 5 to the minus 4 or 2 to the minus 4; 5e-4 is taken.",
    "The paper gives at least 175 epochs for its first table, and days for the stages: 3, 1 and 1.",
    "expected is on PASCAL VOC 2011 seg11valid, from ImageNet weights.",
)


def _accumulated(rate: float) -> SGD:
    return SGD(learning_rate=rate, momentum=0.9, weight_decay=5e-4, bias_rate=2.0, bias_decay=0.0)


FCN32S_CVPR = FCN32S.replace(
    accumulate=20, budget=Budget(epochs=175), optimizer=_accumulated(1e-4), loss_normalization="valid",
    sources={
        "*": "CVPR 2015, Sec. 4.3", "initial_weights": "CVPR 2015, Sec. 4.1", "expected": "CVPR 2015, Table 2",
    },
    expected={"pixel_accuracy": 0.891, "mean_accuracy": 0.733, "mean_iou": 0.594}, differs=CVPR_DIFFERS,
)  # fmt: skip

FCN16S_CVPR = FCN32S_CVPR.replace(
    model="fcn16s", initial_weights="fcn32s", budget=Budget(epochs=58), optimizer=_accumulated(1e-6),
    options={"learned_upsampling": True},
    sources={**FCN32S_CVPR.sources, "optimizer": "CVPR 2015, Sec. 4.2: the rate falls by 100 for each skip"},
    expected={"pixel_accuracy": 0.900, "mean_accuracy": 0.757, "mean_iou": 0.624},
)  # fmt: skip

FCN8S_CVPR = FCN16S_CVPR.replace(
    model="fcn8s", initial_weights="fcn16s", optimizer=_accumulated(1e-8),
    expected={"pixel_accuracy": 0.903, "mean_accuracy": 0.759, "mean_iou": 0.627},
)  # fmt: skip

# ---- other encoders ----------------------------------------------------------------------------------

FCN_ALEXNET = FCN32S.replace(
    model="fcn32s-alexnet", initial_weights="alexnet-caffe-imagenet", accumulate=20, loss_normalization="valid",
    optimizer=SGD(learning_rate=1e-4, momentum=0.9, weight_decay=5e-4, layer_rates={"*score_fr.bias": 2.0}),
    sources={
        "*": "fcn.berkeleyvision.org, voc-fcn-alexnet/{solver,train}.prototxt",
        "optimizer": "train.prototxt: no param blocks below score_fr, so biases learn and decay as weights do",
        "expected": "fcn.berkeleyvision.org, README",
    },
    expected={"mean_iou": 0.480},
    differs=(
        *FCN32S.differs,
        "The bias of score_fr decays; the release exempts it.",
        "The rate is the released solver's, 1e-4; CVPR 2015, Sec. 4.3, has 1e-3.",
    ),
)  # fmt: skip

FCN_GOOGLENET = FCN32S_CVPR.replace(
    model="fcn32s-googlenet", initial_weights="googlenet-caffe-imagenet", optimizer=_accumulated(5e-5),
    sources={**FCN32S_CVPR.sources, "expected": "CVPR 2015, Table 1"}, expected={"mean_iou": 0.425},
    differs=(
        *CVPR_DIFFERS[:2],
        "The rate is printed as 5 to the minus 5; 5e-5 is taken.",
        "expected is on PASCAL VOC 2011 val, trained on its 1,112 images, from the authors' own GoogLeNet (68.5 % "
        "top-1), which was never released.",
    ),
)  # fmt: skip
