"""TransferNet's three phases: which labels there are, where a label looks, and how it is cut out.

    tags of all images       --> classifier             a network of its own; how it was trained was not released
    one label of an image    --> attention, class head  15,000 updates; the encoder, VGG-16 from ImageNet, is frozen
    the same, and masks of   --> all but the encoder    15,000 updates; batches of labels with masks and without
      other labels               and the classifier     take turns

Source: maga33/TransferNet, training/{1_train_attention,2_train_segmentation}/*.prototxt; Hong, Oh, Lee & Han,
CVPR 2016, Sec. 5 (recalled).
"""

from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Augmentation
from perpixel.recipes.squares import cell_of, encoder_of, side_of
from perpixel.recipes.stages import Stages, share_budget
from perpixel.training.recipe import AdamW, Budget, Fixed, Recipe, Windows

_ATTENTION = "maga33/TransferNet, training/1_train_attention/{solver,attention}.prototxt"
_SEGMENTATION = "maga33/TransferNet, training/2_train_segmentation/{solver,attention-decoder}.prototxt"
_NO_DECAY = "the solvers name no weight_decay, so the layers' decay factors multiply nothing"

ATTENTION = Recipe(
    model="transfernet", preset="paper", task="attention", initial_weights="transfernet",
    options={"classifier": "separate"}, trainable=("attention.*", "class_head.*"),
    windows=Windows(kind="proposal", context=1.0, side=330), crop_size=(320, 320), batch_size=8, accumulate=8,
    budget=Budget(iterations=15_000), augmentation=Augmentation(flip=0.5),
    normalization=Normalization(mean=(122.675, 116.669, 104.008), std=(1.0, 1.0, 1.0), order="bgr"),
    optimizer=AdamW(
        learning_rate=1e-3, betas=(0.9, 0.999), weight_decay=0.0, layer_rates={"class_head.score*": 10.0}
    ),
    schedule=Fixed(), keep="mean_average_precision",
    sources={"*": _ATTENTION, "optimizer": f"solver.prototxt: Adam, fixed rate; {_NO_DECAY}"},
    differs=(
        "Examples are whole images, made square; the authors list windows.",
        "The best weights are told by how well the class head finds a validation image's tags.",
    ),
)  # fmt: skip

CLASSIFICATION = ATTENTION.replace(
    task="tagging", initial_weights="vgg16-imagenet", trainable=("classifier.*",), batch_size=16, accumulate=1,
    budget=Budget(iterations=10_000),
    optimizer=AdamW(learning_rate=1e-5, weight_decay=0.0, layer_rates={"classifier.score*": 10.0}),
    sources={"*": "ours: classificationNet.caffemodel was released without its training"},
    differs=("How the authors trained their classification network is not known.",),
)  # fmt: skip

SEGMENTATION = ATTENTION.replace(
    task="transfer", trainable=("attention.*", "class_head.*", "decoder.*"), batch_size=4, accumulate=16,
    loss_weights=(1.0, 2.0), keep="mean_iou",
    optimizer=AdamW(
        learning_rate=5e-4, betas=(0.9, 0.999), weight_decay=0.0, layer_rates={"class_head.score*": 10.0}
    ),
    sources={
        "*": _SEGMENTATION, "optimizer": f"solver.prototxt: Adam, fixed rate; {_NO_DECAY}",
        "loss_weights": "attention-decoder.prototxt: loss_weight 2 of the pixels; CVPR 2016, Sec. 4.4: λ",
        "expected": "CVPR 2016, Table 2 (recalled)",
    },
    expected={"mean_iou": 0.512},
    differs=(
        ATTENTION.differs[0],
        "expected is on the PASCAL VOC 2012 test set: 20 classes with tags alone, masks of 60 other classes of COCO, "
        "a CRF for each label; scores while training have no CRF.",
    ),
)  # fmt: skip

STAGES: Stages = (CLASSIFICATION, ATTENTION, SEGMENTATION)

SHARES = (45, 5, 50)  # of our own presets' budgets, in percent; attention has settled after a hundred updates


def in_three_phases(recipe: Recipe) -> Stages:
    """Return our own presets' training of TransferNet: the encoder learns from tags, for want of ImageNet's weights.

    Images are padded to squares and seen at one side, as the authors do, only smaller, with cells of 8 pixels where the
    encoder can have them. Tags are learned from scratch, in larger batches than masks. The classifier is the class
    head, and densities are relative: the decoder then learns in about half of the updates (docs/reproduction.md, "Few
    masks, and tags").

    Without attention that is learned (`options.attention`, for comparison) there is no second phase.

    Args:
        recipe: `quick` or `strong`, made for any network.
    """
    side, encoder = side_of(recipe), encoder_of(recipe)
    options = {
        "encoder": encoder, "stages": cell_of(encoder).bit_length(), "input_size": side,
        "embedding": "convolutional", "feature_scale": 1.0, "batch_norm": True, "classifier": "averaged",
        "class_head": "classifier", "density": "relative", "threshold": 0.5, "attention": "learned", **recipe.options,
    }  # fmt: skip
    shared = recipe.replace(
        options=options, crop_size=(side, side), image_scale=1.0, class_weights="none", average_weights=0.0,
        batch_size=2 * recipe.batch_size, windows=Windows(kind="proposal", context=1.0, side=round(1.1 * side)),
    )  # fmt: skip
    tags = shared.replace(
        task="tagging", keep="f1", trainable=("encoder.*", "classifier.*"), batch_size=4 * recipe.batch_size
    )
    attention = shared.replace(task="attention", keep="f1", trainable=("attention.*", "class_head.*"))
    masks = shared.replace(task="transfer", trainable=("attention.*", "class_head.*", "decoder.*"))
    shares = [*zip((tags, attention, masks), SHARES, strict=True)]
    if options["attention"] != "learned":
        del shares[1]
    stages = tuple(stage.replace(budget=Budget(iterations=share)) for stage, share in shares)
    return share_budget(stages, recipe.budget)
