"""DeconvNet's two stages: crops around single objects first, then crops of whatever is in a proposal.

Source: HyeonwooNoh/DeconvNet, training/00{1_stage_1,2_stage_2}/{solver,stage_*_train}.prototxt, start_train.sh;
Noh, Hong & Han, ICCV 2015, Sec. 4.2 and 6.1 (recalled).
"""

from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Augmentation
from perpixel.training.recipe import SGD, Budget, Recipe, Step, Windows

STAGE_1 = Recipe(
    model="deconvnet", preset="paper", initial_weights="vgg16-imagenet",
    windows=Windows(kind="object", context=1.2, side=250), crop_size=(224, 224), batch_size=8, accumulate=8,
    budget=Budget(iterations=20_000), augmentation=Augmentation(flip=0.5),
    normalization=Normalization(mean=(122.675, 116.669, 104.008), std=(1.0, 1.0, 1.0), order="bgr"),
    optimizer=SGD(
        learning_rate=0.01, momentum=0.9, momentum_keeps_rate=True, weight_decay=5e-4, bias_rate=2.0,
        bias_decay=0.0,
    ),
    schedule=Step(every=9_000), loss_normalization="valid", batch_norm_statistics="training-set",
    sources={
        "*": "HyeonwooNoh/DeconvNet, training/001_stage_1/{solver,stage_1_train}.prototxt",
        "windows": "ICCV 2015, Sec. 4.2 and 6.1",
        "batch_norm_statistics": "training/003_make_bn_layer_testable",
        "optimizer": "the prototxts name no rates for normalisations: scales and shifts learn and decay as weights do",
        "normalization": "the prototxts; their own inference subtracts 122.67891434, 116.66876762 and 104.00698793",
    },
    differs=(
        "Objects are connected parts of one class, found while training; the authors cut 0.2 million crops before, "
        "rare classes more often.",
        "Where a data set has no class named background, other classes in a window are ignored instead.",
        "Batch statistics are of one pass over the training images; theirs of 501 batches of 28.",
    ),
)  # fmt: skip

STAGE_2 = STAGE_1.replace(
    initial_weights="deconvnet", windows=Windows(kind="proposal", context=1.2, side=250, min_iou=0.5),
    budget=Budget(iterations=40_000), schedule=Step(every=10_000),
    sources={
        **STAGE_1.sources, "*": "HyeonwooNoh/DeconvNet, training/002_stage_2/{solver,stage_2_train}.prototxt",
        "expected": "ICCV 2015, Table 1 (recalled)",
    },
    expected={"mean_iou": 0.696},
    differs=(
        "Proposals are an object's box, moved and stretched at random with an IoU of 0.5 or more, where the authors "
        "took 2.7 million EdgeBox proposals.",
        *STAGE_1.differs[1:],
        "expected is on the PASCAL VOC 2012 test set, trained on train and val, 50 proposals an image, no CRF; scores "
        "while training are of whole images.",
    ),
)  # fmt: skip
