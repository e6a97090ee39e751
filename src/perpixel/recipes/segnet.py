"""SegNet and SegNet-Basic on CamVid, and SegNet on SUN RGB-D, as released.

What TPAMI did otherwise: batches of 12 for SegNet-Basic's study, of 5 for CamVid's benchmark, which it says balanced
classes in Table 2 and did not in Table 3; both print the same scores for SegNet, so one of the two is uncertain.

Source: alexgkendall/SegNet-Tutorial, Models/{,bayesian_}segnet{,_basic}_{train,solver}.prototxt and
Example_Models/train_segnet_sun.prototxt;
Badrinarayanan, Kendall & Cipolla, TPAMI 2017, Sec. 3.3 and 4.
"""

from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Augmentation
from perpixel.training.recipe import SGD, Budget, Fixed, Recipe

RAW_BGR = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), order="bgr")

# In the order of the release; TPAMI's Table 2 begins with building.
CAMVID_CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip

# Published, and not what the stated rule gives for signs (9.6446 against 3.5331 recomputed from the counts).
CAMVID_MEDIAN_FREQUENCY = (
    0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614,
)  # fmt: skip

SEGNET = Recipe(
    model="segnet", preset="paper", initial_weights="vgg16-imagenet",
    crop_size=None, batch_size=4, budget=Budget(iterations=40_000), augmentation=Augmentation(flip=0.0),
    normalization=RAW_BGR,
    optimizer=SGD(
        learning_rate=1e-3, momentum=0.9, weight_decay=5e-4, bias_rate=2.0, bias_decay=0.0, norm_shift_decay=0.0
    ),
    schedule=Fixed(), loss_normalization="valid", class_weights="median-frequency",
    batch_norm_statistics="training-set", keep="pixel_accuracy",
    sources={
        "*": "SegNet-Tutorial, Models/segnet_{train,solver}.prototxt",
        "loss_normalization": "caffe-segnet, softmax_loss_layer.cpp, normalize: true counts labelled pixels",
        "batch_norm_statistics": "Scripts/compute_bn_statistics.py",
        "keep": "TPAMI, Sec. 3.3: highest global accuracy on the validation set",
        "class_weights": "Models/segnet_train.prototxt for CamVid's eleven classes, the rule elsewhere",
        "expected": "arXiv:1511.00561v2, trained on CamVid alone (recalled)",
    },
    expected={"pixel_accuracy": 0.886, "mean_accuracy": 0.659, "mean_iou": 0.502},
    differs=("expected is on the CamVid test split, from ImageNet weights (arXiv v2, recalled).",),
)  # fmt: skip

SEGNET_BASIC = SEGNET.replace(
    model="segnet-basic", initial_weights="none", budget=Budget(iterations=10_000),
    optimizer=SGD(learning_rate=0.1, momentum=0.9, weight_decay=5e-4, bias_rate=2.0, bias_decay=0.0),
    sources={
        **SEGNET.sources, "*": "SegNet-Tutorial, Models/segnet_basic_{train,solver}.prototxt",
        "expected": "TPAMI, Table 1",
    },
    expected={"pixel_accuracy": 0.827, "mean_accuracy": 0.620, "mean_iou": 0.477},
    differs=("expected is on the CamVid test split, TPAMI Table 1, median-balanced; the table used batches of 12.",),
)  # fmt: skip

# ---- Bayesian SegNet ---------------------------------------------------------------------------------

BAYESIAN_SEGNET = SEGNET.replace(
    model="bayesian-segnet", budget=Budget(iterations=60_000),
    sources={
        **SEGNET.sources, "*": "SegNet-Tutorial, Models/bayesian_segnet_{train,solver}.prototxt",
        "expected": "arXiv:1511.02680 (recalled)",
    },
    expected={"pixel_accuracy": 0.869, "mean_accuracy": 0.763, "mean_iou": 0.631},
    differs=(
        "expected is on the CamVid test split, mean of samples with dropout, from ImageNet weights (recalled).",
        "Validation predicts once without dropout, the paper's weight averaging.",
    ),
)  # fmt: skip

BAYESIAN_SEGNET_BASIC = SEGNET_BASIC.replace(
    model="bayesian-segnet-basic",
    sources={
        **BAYESIAN_SEGNET.sources, "*": "SegNet-Tutorial, Models/bayesian_segnet_basic_{train,solver}.prototxt",
    },
    expected={"pixel_accuracy": 0.816, "mean_accuracy": 0.705, "mean_iou": 0.558}, differs=BAYESIAN_SEGNET.differs,
)  # fmt: skip

# ---- SUN RGB-D ---------------------------------------------------------------------------------------

# Of 37 classes, from wall to bag. The file has 38 weights: the first, 0.351185, is for label 0, which nothing labels
# and the loss ignores, but which was counted for the median: the two in the middle of all 38 have a mean of 1 as
# frequencies.
SUN_MEDIAN_FREQUENCY = (
    0.382592, 0.447844, 0.634237, 0.375678, 0.582794, 0.476692, 0.776787, 0.980661, 1.020118, 0.623396, 2.596563,
    0.974491, 0.920240, 0.663878, 1.173357, 0.861062, 0.919955, 2.147320, 1.190958, 1.164314, 1.854754, 1.446550,
    2.853078, 0.768276, 1.651721, 4.456313, 2.205633, 1.116695, 2.781543, 0.705917, 4.005834, 2.208329, 0.967071,
    1.475710, 5.347752, 0.745528, 4.017548,
)  # fmt: skip

SEGNET_SUN = BAYESIAN_SEGNET.replace(
    budget=Budget(iterations=180_000), class_weights=SUN_MEDIAN_FREQUENCY,
    sources={
        **BAYESIAN_SEGNET.sources, "*": "SegNet-Tutorial, Example_Models/train_segnet_sun.prototxt",
        "class_weights": "Example_Models/train_segnet_sun.prototxt", "budget": "TPAMI, Table 4",
        "optimizer": "Models/bayesian_segnet_solver.prototxt; none was released for SUN. TPAMI, Sec. 4: 1e-3, batch 4",
        "expected": "TPAMI, Table 4, with median frequency balancing",
    },
    expected={"pixel_accuracy": 0.7175, "mean_accuracy": 0.4485, "mean_iou": 0.3208},
    differs=(
        "Needs the 37 classes in the release's order, what is unlabelled ignored, and images of one size. The release "
        "has the unlabelled as class 0 of 38, which no pixel teaches, and makes images 360 x 480.",
        "expected is on SUN RGB-D's 5,050 test images, colour alone, from ImageNet weights.",
        "Validation predicts once without dropout, the paper's weight averaging.",
    ),
)  # fmt: skip

# ---- the study of decoders ----------------------------------------------------------------------------


def _variant(model: str, pixel_accuracy: float, mean_accuracy: float, mean_iou: float) -> Recipe:
    return SEGNET_BASIC.replace(
        model=model, batch_size=12,
        sources={
            **SEGNET_BASIC.sources, "*": "TPAMI, Sec. 3.3; as SegNet-Tutorial, Models/segnet_basic_solver.prototxt",
        },
        expected={"pixel_accuracy": pixel_accuracy, "mean_accuracy": mean_accuracy, "mean_iou": mean_iou},
        differs=(
            "expected is on the CamVid test split, TPAMI Table 1, median-balanced.",
            "The paper trains until the loss converges; SegNet-Basic's 10,000 iterations are taken.",
        ),
    )  # fmt: skip


def _normless(model: str, pixel_accuracy: float, mean_accuracy: float, mean_iou: float) -> Recipe:
    """Return a variant whose deconvolutions nothing normalises: at rate 0.1 they need their gradient held."""
    recipe = _variant(model, pixel_accuracy, mean_accuracy, mean_iou)
    held = "Gradients are clipped at 1, which is ours: without it the deconvolutions diverge within twenty iterations."
    return recipe.replace(clip_gradient=1.0, differs=(*recipe.differs, held))


DECODER_STUDY = (
    _variant("bilinear-interpolation", 0.779, 0.611, 0.433),
    _variant("segnet-basic-single-channel-decoder", 0.812, 0.607, 0.461),
    _variant("segnet-basic-encoder-addition", 0.834, 0.636, 0.485),
    _normless("fcn-basic", 0.817, 0.624, 0.473),
    _normless("fcn-basic-no-addition", 0.805, 0.586, 0.441),
    _normless("fcn-basic-no-reduction", 0.841, 0.634, 0.501),
    _normless("fcn-basic-no-addition-no-reduction", 0.805, 0.616, 0.459),
)
