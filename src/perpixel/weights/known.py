"""Files of weights that the family begins from: where they are, and how to know that they are whole.

The digest of torchvision's files is the start of their SHA-256, which their names carry; Caffe's model zoo gives
SHA-1 sums; where nobody published one there is none, and the reader's checks of names and shapes must do.
Sizes are in MiB. A file without a secure (https) address is not fetched: its text says how to come by it.

Source: torchvision 0.29, models/{alexnet,vgg,googlenet,resnet}.py, for its own; BVLC/caffe, models/*/readme.md;
    ksimonyan's gists 211839e770f7b538e2d8 (VGG-16) and 3785162f95cd2d5fee77 (VGG-19); jcjohnson/pytorch-vgg;
    KaimingHe/deep-residual-networks; shelhamer/fcn.berkeleyvision.org.
Differs: nobody has tried the addresses from here. ResNets called v2 were trained by a longer recipe and classify
    better; the papers' classifiers were like v1, and v1 may be the better start where batch normalisation is frozen,
    which is uncertain.
"""

from dataclasses import dataclass

from perpixel.weights.pixels import (
    CAFFE,
    GOOGLENET,
    TORCHVISION,
    TORCHVISION_FEATURES,
    TORCHVISION_GOOGLENET,
    VGG,
    Pixels,
)

TORCH = "https://download.pytorch.org/models/"
BERKELEY = "http://dl.caffe.berkeleyvision.org/"
OXFORD = "https://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/"
MICHIGAN = "https://web.eecs.umich.edu/~justincj/models/"

BSD = "BSD-3-Clause (torchvision); trained on ImageNet"
CC_BY = "CC BY 4.0 (VGG, Oxford); trained on ImageNet"
FREE = "unrestricted (BVLC); trained on ImageNet"
MIT = "MIT (MSRA); trained on ImageNet"
UNSAID = "not stated"


@dataclass(frozen=True)
class KnownFile:
    """One file.

    Attributes:
        classifier: Which of our classifiers it holds, or which network.
        url: Where it is; "" where no lasting address is known.
        digest: "sha256:" or "sha1:" and the sum in hexadecimal, or the start of it; "" where none was published.
        size: In MiB.
        pixels: What its network expects.
        top1: Percent on ImageNet's validation images, one crop of the centre; None where it is no classifier.
        features_only: The fully connected layers hold nothing of use.
        filename: Where `url` does not say.
    """

    classifier: str
    url: str
    digest: str
    size: float
    licence: str
    pixels: Pixels
    top1: float | None
    features_only: bool = False
    filename: str = ""

    @property
    def file(self) -> str:
        """The file's name, here and in the cache."""
        return self.filename or self.url.rsplit("/", 1)[-1]

    @property
    def secure(self) -> bool:
        """Whether it can be fetched."""
        return self.url.startswith("https://")


def _torchvision(classifier: str, stem: str, digest: str, size: float, top1: float) -> KnownFile:
    pixels = TORCHVISION_GOOGLENET if classifier == "googlenet" else TORCHVISION
    return KnownFile(classifier, f"{TORCH}{stem}-{digest}.pth", f"sha256:{digest}", size, BSD, pixels, top1)


def _berkeley(
    classifier: str, stem: str, sha1: str, size: float, licence: str, pixels: Pixels, top1: float | None
) -> KnownFile:
    digest = f"sha1:{sha1}" if sha1 else ""
    return KnownFile(classifier, f"{BERKELEY}{stem}.caffemodel", digest, size, licence, pixels, top1)


def _microsoft(classifier: str, depth: int, size: float, top1: float) -> KnownFile:
    return KnownFile(classifier, "", "", size, MIT, CAFFE, top1, filename=f"ResNet-{depth}-model.caffemodel")


KNOWN: dict[str, KnownFile] = {
    "alexnet": _torchvision("alexnet", "alexnet-owt", "7be5be79", 233.087, 56.522),
    "vgg11": _torchvision("vgg11", "vgg11", "8a719046", 506.84, 69.020),
    "vgg11-bn": _torchvision("vgg11-bn", "vgg11_bn", "6002323d", 506.881, 70.370),
    "vgg13": _torchvision("vgg13", "vgg13", "19584684", 507.545, 69.928),
    "vgg13-bn": _torchvision("vgg13-bn", "vgg13_bn", "abd245e5", 507.59, 71.586),
    "vgg16": _torchvision("vgg16", "vgg16", "397923af", 527.796, 71.592),
    "vgg16-bn": _torchvision("vgg16-bn", "vgg16_bn", "6c64b313", 527.866, 73.360),
    "vgg19": _torchvision("vgg19", "vgg19", "dcbb9e9d", 548.051, 72.376),
    "vgg19-bn": _torchvision("vgg19-bn", "vgg19_bn", "c79401a0", 548.143, 74.218),
    "googlenet": _torchvision("googlenet", "googlenet", "1378be20", 49.731, 69.778),
    "resnet18": _torchvision("resnet18", "resnet18", "f37072fd", 44.661, 69.758),
    "resnet34": _torchvision("resnet34", "resnet34", "b627a593", 83.275, 73.314),
    "resnet50": _torchvision("resnet50", "resnet50", "0676ba61", 97.781, 76.130),
    "resnet50-v2": _torchvision("resnet50", "resnet50", "11ad3fa6", 97.79, 80.858),
    "resnet101": _torchvision("resnet101", "resnet101", "63fe2227", 170.511, 77.374),
    "resnet101-v2": _torchvision("resnet101", "resnet101", "cd907fc2", 170.53, 81.886),
    "resnet152": _torchvision("resnet152", "resnet152", "394f9c45", 230.434, 78.312),
    "resnet152-v2": _torchvision("resnet152", "resnet152", "f82ba261", 230.474, 82.284),
    "vgg16-features": KnownFile(
        "vgg16", f"{TORCH}vgg16_features-amdegroot-88682ab5.pth", "sha256:88682ab5", 527.802, BSD,
        TORCHVISION_FEATURES, None, features_only=True,
    ),
    "vgg16-caffe": KnownFile(
        "vgg16", f"{OXFORD}VGG_ILSVRC_16_layers.caffemodel", "", 528, CC_BY, VGG, 71.5,
    ),
    "vgg19-caffe": KnownFile(
        "vgg19", f"{OXFORD}VGG_ILSVRC_19_layers.caffemodel", "", 548, CC_BY, VGG, None,
    ),
    "vgg16-caffe-pth": KnownFile(
        "vgg16", f"{MICHIGAN}vgg16-00b39a1b.pth", "sha256:00b39a1b", 528, CC_BY, VGG, 71.5,
    ),
    "vgg19-caffe-pth": KnownFile(
        "vgg19", f"{MICHIGAN}vgg19-d01eb7cb.pth", "sha256:d01eb7cb", 548, CC_BY, VGG, None,
    ),
    "alexnet-caffe": _berkeley(
        "alexnet-caffe", "bvlc_alexnet", "9116a64c0fbe4459d18f4bb6b56d647b63920377", 233, FREE, CAFFE, 57.1
    ),
    "caffenet": _berkeley(
        "caffenet", "bvlc_reference_caffenet", "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46", 233, FREE, CAFFE, 57.4
    ),
    "googlenet-caffe": _berkeley(
        "googlenet-caffe", "bvlc_googlenet", "405fc5acd08a3bb12de8ee5e23a96bec22f08204", 51, FREE, GOOGLENET, 68.7
    ),
    "resnet50-msra": _microsoft("resnet50-msra", 50, 98, 75.3),
    "resnet101-msra": _microsoft("resnet101-msra", 101, 171, 76.4),
    "resnet152-msra": _microsoft("resnet152-msra", 152, 231, 77.0),
    "fcn32s-voc": _berkeley("fcn32s", "fcn32s-heavy-pascal", "", 519, UNSAID, CAFFE, None),
    "fcn16s-voc": _berkeley("fcn16s", "fcn16s-heavy-pascal", "", 514, UNSAID, CAFFE, None),
    "fcn8s-voc": _berkeley("fcn8s", "fcn8s-heavy-pascal", "", 513, UNSAID, CAFFE, None),
    "fcn8s-at-once-voc": _berkeley("fcn8s-at-once", "fcn8s-atonce-pascal", "", 513, UNSAID, CAFFE, None),
}  # fmt: skip

# What recipes begin from, the authors' own weights first: the first file at hand is taken
BEGINNINGS: dict[str, tuple[str, ...]] = {
    "vgg16-imagenet": ("vgg16-caffe", "vgg16-caffe-pth", "vgg16"),
    "vgg19-imagenet": ("vgg19-caffe", "vgg19-caffe-pth", "vgg19"),
    "alexnet-caffe-imagenet": ("caffenet",),  # not alexnet-caffe, which fits in shape and normalises before it pools
    "googlenet-caffe-imagenet": ("googlenet-caffe",),
    "resnet50-msra-imagenet": ("resnet50-msra",),
    "resnet101-msra-imagenet": ("resnet101-msra",),
    "resnet152-msra-imagenet": ("resnet152-msra",),
    "fcn32s": ("fcn32s-voc",),
    "fcn16s": ("fcn16s-voc",),
    "fcn8s": ("fcn8s-voc",),
}


def candidates(name: str) -> tuple[str, ...]:
    """Return the known files that a name stands for, the best first; none if it stands for nothing."""
    return (name,) if name in KNOWN else BEGINNINGS.get(name, ())


def known_by_file(filename: str) -> str | None:
    """Return the name of the known file that is called so, if there is one."""
    return next((name for name, known in KNOWN.items() if known.file == filename), None)
