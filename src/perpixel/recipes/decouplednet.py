"""DecoupledNet's two phases: the classifier learns from all tags, then the rest from the masks there are.

    tags of all images  --> classifier   (VGG-16 from ImageNet; frozen from here on)
    masks of a few      --> bridge and decoder: 17,500 updates on all masks, 15,000, 7,500 and 5,500 on 25, 10 and 5
                            a class

Source: HyeonwooNoh/DecoupledNet, training/00N_*/solver.prototxt, training/002_train_seg_Full_anno/*.prototxt and
    model/voc_finetuning_result/README.md; Hong, Noh & Han, NIPS 2015, Sec. 3 to 5 (recalled).
Uncertain: how the classifier was fine-tuned. Its rate, batch and iterations are ours; 320 pixels and the average of the
    scores are theirs.
"""

from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Augmentation
from perpixel.encoders.classifier import VGGS
from perpixel.encoders.external import PREFIXES, external_strides
from perpixel.recipes.squares import encoder_of, side_of
from perpixel.recipes.stages import Stages, share_budget
from perpixel.training.recipe import SGD, Budget, Fixed, Recipe, Schedule, Step, Windows

SIDE = 320  # of every image, as the network sees it
CLASSIFIER_PART = ("classifier.*",)
SEGMENTATION_PART = ("bridge.*", "decoder.*")
CELLS = 7  # that VGG's own pool5 has a side, and fc6 sees
VGG_STAGES, FEWEST_STAGES = 5, 3  # of a VGG in our own presets

CLASSIFIER = Recipe(
    model="decouplednet", task="tagging", keep="f1", preset="paper", options={"input_size": SIDE},
    initial_weights="vgg16-imagenet", trainable=CLASSIFIER_PART,
    windows=Windows(kind="proposal", side=350), crop_size=(SIDE, SIDE), batch_size=16, accumulate=4,
    budget=Budget(iterations=4_000), augmentation=Augmentation(flip=0.5),
    normalization=Normalization(mean=(122.675, 116.669, 104.008), std=(1.0, 1.0, 1.0), order="bgr"),
    optimizer=SGD(
        learning_rate=1e-3, momentum=0.9, momentum_keeps_rate=True, weight_decay=5e-4, bias_rate=2.0, bias_decay=0.0,
        layer_rates={"classifier.score*": 10.0},
    ),
    schedule=Step(every=2_000), validations=8,
    sources={
        "*": "ours: the authors' fine-tuning of the classifier is not released",
        "crop_size": "model/voc_finetuning_result/README.md",
        "normalization": "training/002_train_seg_Full_anno/002_train_seg_Full_anno.prototxt",
    },
    differs=("Rate, batch and iterations of the classifier are ours.",),
)  # fmt: skip

SEGMENTATION = CLASSIFIER.replace(
    task="per-label", keep="mean_iou", initial_weights="decouplednet", trainable=SEGMENTATION_PART,
    windows=Windows(kind="proposal", context=1.2, side=350, min_iou=0.5), batch_size=4, accumulate=16,
    budget=Budget(iterations=17_500), loss_normalization="valid", batch_norm_statistics="training-set",
    optimizer=SGD(
        learning_rate=0.01, momentum=0.9, momentum_keeps_rate=True, weight_decay=5e-4, bias_rate=2.0, bias_decay=0.0,
    ),
    schedule=Step(every=10_000), validations=20,
    sources={
        "*": "HyeonwooNoh/DecoupledNet, training/002_train_seg_Full_anno/*.prototxt",
        "windows": "NIPS 2015, Sec. 4.2",
        "batch_norm_statistics": "training/*/BN_make_INFERENCE_script.py",
        "expected": "NIPS 2015, Table 2 (recalled)",
    },
    expected={"mean_iou": 0.666},
    differs=(
        "Rate, batch and iterations of the classifier are ours.",
        "Windows are the foreground's own box, moved, stretched and enlarged at random, where the authors took EdgeBox "
        "proposals; subsets of the labels are drawn for each sample, where they were listed before.",
        "Batch statistics are of one pass over the training images; theirs of 101 batches of 16.",
        "expected is on the PASCAL VOC 2012 test set, with all masks.",
    ),
)  # fmt: skip


def few(masks: int, iterations: int, schedule: Schedule, mean_iou: float) -> Recipe:
    """Return the second phase for masks of so many images a class."""
    return SEGMENTATION.replace(
        budget=Budget(iterations=iterations), schedule=schedule, expected={"mean_iou": mean_iou},
        sources={
            **SEGMENTATION.sources,
            "*": f"HyeonwooNoh/DecoupledNet, training/00N_*/solver.prototxt for {masks} masks a class",
        },
        differs=(
            *SEGMENTATION.differs[:-1],
            f"expected is on the PASCAL VOC 2012 test set, with masks of {masks} images a class.",
        ),
    )  # fmt: skip


FULL: Stages = (CLASSIFIER, SEGMENTATION)
MASKS_25: Stages = (CLASSIFIER, few(25, 15_000, Step(every=10_000), 0.625))
MASKS_10: Stages = (CLASSIFIER, few(10, 7_500, Fixed(), 0.587))  # its step, at 10,000, is never reached
MASKS_5: Stages = (CLASSIFIER, few(5, 5_500, Step(every=4_000), 0.547))


def in_two_phases(recipe: Recipe) -> Stages:
    """Return our own presets' training of DecoupledNet: half of the budget for each phase.

    Images are padded to squares and seen at one side, as the authors do, only smaller; a trunk with batch normalisation
    learns from scratch, in larger batches than a network that has a mask for each pixel to learn from. In small images
    the trunk has fewer stages, and fc6 sees fewer places; so it does on other encoders than VGGs, whose maps may be
    four times as wide. A narrow fc6 and fc7 can spare no units: dropout cost the tags' F1 six points.

    Args:
        recipe: `quick` or `strong`, made for any network.
    """
    side, encoder = side_of(recipe), encoder_of(recipe)
    narrow = recipe.preset == "quick"
    stages = trunk_stages(side, encoder)
    options: dict[str, bool | int | float | str] = {
        "encoder": encoder, "input_size": side, "window": 7 if stages == VGG_STAGES else 3,
        "stages": stages, "dropout": 0.0 if narrow else 0.5, **recipe.options,
    }  # fmt: skip
    shared = recipe.replace(
        options=options, crop_size=(side, side), image_scale=1.0, class_weights="none",
        windows=Windows(kind="proposal", context=1.2, side=round(1.1 * side)),
    )  # fmt: skip
    tags = shared.replace(
        task="tagging", keep="f1", trainable=CLASSIFIER_PART, batch_size=4 * recipe.batch_size, average_weights=0.0
    )
    masks = shared.replace(task="per-label", trainable=SEGMENTATION_PART, batch_size=2 * recipe.batch_size)
    return share_budget((tags, masks), recipe.budget)


def trunk_stages(side: int, encoder: str) -> int:
    """Return as many stages as leave pool5 seven cells a side, which is what a VGG's five make of its own 224 pixels.

    With fewer cells a map says little of where a label is: on images of 64 pixels three stages of a VGG-11 gave a mean
    IoU of 57.5, four 49.1. A cell of another encoder sees as far as a VGG's of one stage more (99 and 100 pixels: a
    ResNet-18 of three, a VGG-16 of four), and has one less: 50.2 on a ResNet-18 of two, 46.8 of three, 28.7 of four.

    Args:
        side: Of the images, in pixels.
        encoder: Any of `encoders.build`.
    """
    stages = max(FEWEST_STAGES, min(VGG_STAGES, (side // CELLS).bit_length() - 1))
    if encoder in VGGS:
        return stages
    finest = min(external_strides(encoder)) if encoder.startswith(PREFIXES) else 1
    return max(stages - 1, finest.bit_length() - 1)
