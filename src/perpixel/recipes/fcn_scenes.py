"""FCN for PASCAL-Context, NYUDv2 and SIFT Flow, as released: heavy learning, 300,000 iterations a stage.

That number is every solver's max_iter. The loops of the solve.py files, which do not heed it, ask for others: 50 x
8,000 for PASCAL-Context, 50 x 2,000 for NYUDv2 and SIFT Flow; how long the published nets were trained is uncertain.

Source: shelhamer/fcn.berkeleyvision.org, pascalcontext-fcn*/, nyud-fcn32s-*/, siftflow-fcn*/: net.py, solver.prototxt,
solve.py and the layers' means; Shelhamer, Long & Darrell, TPAMI 2017, Sec. 5 (recalled).
"""

from perpixel.data.normalization import Normalization
from perpixel.recipes.fcn import FCN8S, FCN16S, FCN32S
from perpixel.training.recipe import Budget, Recipe

LONG = Budget(iterations=300_000)
BUDGET = "solver.prototxt, max_iter; the loop of solve.py asks for another number, see this file's beginning: uncertain"
RECALLED = "TPAMI 2017, Sec. 5 (recalled)"


def _released(recipe: Recipe, folder: str, **changes: object) -> Recipe:
    source = f"fcn.berkeleyvision.org, {folder}/{{net.py,solver.prototxt,solve.py}}"
    sources = {"*": source, "budget": BUDGET, "expected": RECALLED}
    return recipe.replace(**{"budget": LONG, "sources": sources, **changes})


# ---- PASCAL-Context: 59 classes and background ---------------------------------------------------------

CONTEXT = (
    "Images are drawn in reshuffled epochs, not with replacement.",
    "expected is on PASCAL-Context val, 59 classes, from ImageNet weights (TPAMI, recalled).",
)

CONTEXT_FCN32S = _released(
    FCN32S, "pascalcontext-fcn32s", differs=CONTEXT,
    expected={"pixel_accuracy": 0.655, "mean_accuracy": 0.491, "mean_iou": 0.367},
)  # fmt: skip
CONTEXT_FCN16S = _released(
    FCN16S, "pascalcontext-fcn16s", differs=CONTEXT,
    expected={"pixel_accuracy": 0.669, "mean_accuracy": 0.513, "mean_iou": 0.384},
)  # fmt: skip
CONTEXT_FCN8S = _released(
    FCN8S, "pascalcontext-fcn8s", differs=CONTEXT,
    expected={"pixel_accuracy": 0.675, "mean_accuracy": 0.523, "mean_iou": 0.391},
)  # fmt: skip

# ---- NYUDv2: 40 classes --------------------------------------------------------------------------------

NYUD_MEAN = Normalization(mean=(92.318, 97.203, 116.190), std=(1.0, 1.0, 1.0), order="bgr")
HHA_MEAN = Normalization(mean=(132.431, 94.076, 118.477), std=(1.0, 1.0, 1.0))  # load_hha does not reverse channels
COLOR_HHA_MEAN = Normalization(mean=(*NYUD_MEAN.mean, *HHA_MEAN.mean), std=(1.0,) * 6)
COLOR_DEPTH_MEAN = Normalization(mean=(*NYUD_MEAN.mean, 7.844), std=(1.0,) * 4, order="bgr")
NYUD = (
    "Images are drawn in reshuffled epochs, not with replacement.",
    "expected is on NYUDv2's 654 test images, from ImageNet weights (TPAMI, recalled).",
)

NYUD_COLOR = _released(
    FCN32S, "nyud-fcn32s-color", normalization=NYUD_MEAN, differs=NYUD,
    expected={"pixel_accuracy": 0.618, "mean_accuracy": 0.447, "mean_iou": 0.316},
)  # fmt: skip
NYUD_HHA = _released(
    FCN32S, "nyud-fcn32s-hha", normalization=HHA_MEAN,
    differs=(*NYUD, "VGG's weights for red meet HHA's first channel; the release copies them as they lie, for blue."),
    expected={"pixel_accuracy": 0.583, "mean_accuracy": 0.357, "mean_iou": 0.252},
)  # fmt: skip
NYUD_COLOR_DEPTH = _released(
    FCN32S, "nyud-fcn32s-color-d", normalization=COLOR_DEPTH_MEAN,
    differs=(*NYUD, "Images have four channels, the depth's natural logarithm last: its mean is 7.844."),
    expected={"pixel_accuracy": 0.621, "mean_accuracy": 0.448, "mean_iou": 0.317},
)  # fmt: skip

NYUD_COLOR_HHA = _released(
    FCN32S, "nyud-fcn32s-color-hha", model="fcn32s-late-fusion", normalization=COLOR_HHA_MEAN,
    initial_weights={"color": "fcn32s-nyud-color", "hha": "fcn32s-nyud-hha"}, optimizer=FCN16S.optimizer,
    sources={
        "*": "fcn.berkeleyvision.org, nyud-fcn32s-color-hha/{net.py,solver.prototxt,solve.py}",
        "budget": BUDGET,
        "optimizer": "nyud-fcn32s-color-hha/solver.prototxt: 1e-12, a hundredth of what either half is trained with",
        "initial_weights": "nyud-fcn32s-color-hha/solve.py: colour after 28,000 iterations, HHA after 60,000",
        "expected": RECALLED,
    },
    expected={"pixel_accuracy": 0.653, "mean_accuracy": 0.440, "mean_iou": 0.333},
    differs=(
        *NYUD,
        "Images have six channels: red, green, blue and then HHA, in .npy files or TIFF. Colours are not reversed; "
        "the first layer of a run that saw them reversed is.",
        "Each half begins from the best weights of a run of its own; give both: --weights color=RUN hha=RUN.",
    ),
)  # fmt: skip

# ---- SIFT Flow: 33 classes of things, and the geometry of each -------------------------------------------

SIFTFLOW_MEAN = Normalization(mean=(108.353, 115.294, 114.578), std=(1.0, 1.0, 1.0), order="bgr")
SIFTFLOW = (
    "Images are drawn in reshuffled epochs, not with replacement.",
    "expected is on SIFT Flow's 200 test images, things alone, from ImageNet weights (TPAMI, recalled).",
)

SKY, HORIZONTAL, VERTICAL = 0, 1, 2  # data/sift-flow/classes.txt; -1, void, is ignored
LYING = ("crosswalk", "desert", "field", "grass", "river", "road", "sand", "sea", "sidewalk")
ABOVE = ("moon", "sky", "sun")
SIFTFLOW_CLASSES = (
    "awning", "balcony", "bird", "boat", "bridge", "building", "bus", "car", "cow", "crosswalk", "desert", "door",
    "fence", "field", "grass", "moon", "mountain", "person", "plant", "pole", "river", "road", "rock", "sand", "sea",
    "sidewalk", "sign", "sky", "staircase", "streetlight", "sun", "tree", "window",
)  # fmt: skip
GEOMETRY = tuple(HORIZONTAL if c in LYING else SKY if c in ABOVE else VERTICAL for c in SIFTFLOW_CLASSES)

SIFTFLOW_FCN32S = _released(
    FCN32S, "siftflow-fcn32s", model="fcn8s-two-headed", options={"finest": 32}, normalization=SIFTFLOW_MEAN,
    label_groups=GEOMETRY, expected={},
    differs=(
        *SIFTFLOW,
        "A pixel's geometry follows from its class, by a table of ours; the data set has labels of its own for it. For "
        "other classes give the group of each with --set label_groups=[…].",
    ),
)  # fmt: skip
SIFTFLOW_FCN16S = SIFTFLOW_FCN32S.replace(
    options={"finest": 16}, initial_weights="fcn8s-two-headed", optimizer=FCN16S.optimizer,
    sources={"*": "fcn.berkeleyvision.org, siftflow-fcn16s/{net.py,solver.prototxt,solve.py}", "budget": BUDGET},
)  # fmt: skip
SIFTFLOW_FCN8S = SIFTFLOW_FCN16S.replace(
    options={"finest": 8},
    sources={
        "*": "fcn.berkeleyvision.org, siftflow-fcn8s/{net.py,solver.prototxt,solve.py}",
        "budget": BUDGET,
        "optimizer": "siftflow-fcn8s/solver.prototxt: 1e-12 as in 16s, not 1e-14",
        "expected": RECALLED,
    },
    expected={"pixel_accuracy": 0.859, "mean_accuracy": 0.539, "mean_iou": 0.412},
)  # fmt: skip
