"""FCN on VGG-16, as released ("heavy learning": one image at a time, momentum 0.99, summed loss).

Source: shelhamer/fcn.berkeleyvision.org, voc-fcn{32s,16s,8s,8s-atonce}/{solver,train}.prototxt, net.py, solve.py;
Shelhamer, Long & Darrell, TPAMI 2017, Sec. 4.3 and 5.
"""

from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Augmentation
from perpixel.training.recipe import SGD, Budget, Fixed, Recipe

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
    },
    expected={"pixel_accuracy": 0.905, "mean_accuracy": 0.765, "mean_iou": 0.636},
    differs=(
        "Images are drawn in reshuffled epochs, not with replacement.",
        "expected is on PASCAL VOC 2011 seg11valid after training on SBD, from ImageNet weights.",
    ),
)  # fmt: skip

FCN16S = FCN32S.replace(
    model="fcn16s", initial_weights="fcn32s", optimizer=_heavy(1e-12),
    sources={"*": "fcn.berkeleyvision.org, voc-fcn16s/solver.prototxt"},
    expected={"pixel_accuracy": 0.910, "mean_accuracy": 0.781, "mean_iou": 0.650},
)  # fmt: skip

FCN8S = FCN32S.replace(
    model="fcn8s", initial_weights="fcn16s", optimizer=_heavy(1e-14),
    sources={"*": "fcn.berkeleyvision.org, voc-fcn8s/solver.prototxt"},
    expected={"pixel_accuracy": 0.912, "mean_accuracy": 0.776, "mean_iou": 0.655},
)  # fmt: skip

FCN8S_AT_ONCE = FCN32S.replace(
    model="fcn8s-at-once", budget=Budget(iterations=300_000),
    sources={"*": "fcn.berkeleyvision.org, voc-fcn8s-atonce/solver.prototxt"},
    expected={"pixel_accuracy": 0.911, "mean_accuracy": 0.785, "mean_iou": 0.654},
)  # fmt: skip
