"""What the layers of the classifiers are called, here, in torchvision's files and in Caffe's.

              ours = Caffe's     torchvision's          Caffe's
    VGG       conv1_1 ... fc8    features.0 ...         conv1_1 ... fc8
    AlexNet   conv1 ... fc8      features.0 ...         conv1 ... fc8
    GoogLeNet                    inception3a.branch1    inception_3a/1x1 (a dot for the slash, here)
    ResNet    = torchvision's    layer1.0.conv1         res2a_branch2a, bn2a_branch2a, scale2a_branch2a

A layer's name here is the end of its name in any of our networks: encoder.features.stages.stage1.conv1_1.weight
is conv1_1.weight. Tensors carry PyTorch's endings: weight, bias, running_mean, running_var.

Source: torchvision, models/*.py; BVLC/caffe, models/*/deploy.prototxt; ksimonyan's gists; the prototxts of
    KaimingHe/deep-residual-networks.
"""

import re
from collections.abc import Iterable
from functools import cache

VGG_STAGES = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
RESNET_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
BRANCHES = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
BRANCHES_BN = ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1")
FULLY_CONNECTED = ("fc6", "fc7", "fc8")
ALEXNET_FEATURES = (0, 3, 6, 8, 10)  # torchvision's numbers of the five convolutions

# Names that tie (vgg16-1x1 has vgg16's) come later, so that the commoner is recognised
CLASSIFIERS = (
    "vgg16", "vgg19", "vgg13", "vgg11", "vgg16-bn", "vgg19-bn", "vgg13-bn", "vgg11-bn", "alexnet-caffe", "alexnet",
    "googlenet", "googlenet-caffe", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    "resnet50-msra", "resnet101-msra", "resnet152-msra", "vgg16-1x1", "vgg11-lrn", "caffenet",
)  # fmt: skip

# How a layer of each family's trunk may be called; a network that has one wants it from the file
TRUNK = re.compile(
    r"^(conv[1-5]_[1-4]|conv[1-5]|conv[1-3]\.conv|conv[12]\.[73]x[73]\w*|inception_?[345][a-e]\..+"
    r"|layer[1-4]\.\d+\.(conv[1-3]|downsample\.0))$"
)
HIDDEN = ("fc6", "fc7")  # fully connected, of use to a segmenter, and not in every file


@cache
def layers(classifier: str) -> tuple[str, ...]:
    """Return our names of a classifier's convolutions and fully connected layers, the shallowest first.

    Raises:
        KeyError: No such classifier.
    """
    plain = classifier.removesuffix("-bn").removesuffix("-lrn").removesuffix("-1x1")
    if plain in VGG_STAGES:
        return (*_vgg_convolutions(plain), *FULLY_CONNECTED)
    if classifier in ("alexnet", "alexnet-caffe", "caffenet"):
        return (*(f"conv{number}" for number in range(1, 6)), *FULLY_CONNECTED)
    if classifier == "googlenet-caffe":
        inside = (f"inception_{name}.{branch}" for name in INCEPTIONS for branch in BRANCHES)
        return ("conv1.7x7_s2", "conv2.3x3_reduce", "conv2.3x3", *inside, "loss3.classifier")
    if classifier == "googlenet":
        inside = (f"inception{name}.{branch}.conv" for name in INCEPTIONS for branch in BRANCHES_BN)
        return ("conv1.conv", "conv2.conv", "conv3.conv", *inside, "fc")
    return (*_resnet_convolutions(depth(classifier)), "fc1000" if classifier.endswith("-msra") else "fc")


def norms(classifier: str) -> tuple[str, ...]:
    """Return our names of a classifier's batch normalisations, in the order of the convolutions they follow."""
    normalised = classifier.endswith("-bn") or classifier == "googlenet" or classifier.startswith("resnet")
    return tuple(norm_after(name) for name in trunk(classifier)) if normalised else ()


def norm_after(layer: str) -> str:
    """Return the name of the batch normalisation behind a convolution."""
    if layer.endswith("downsample.0"):
        return layer[:-1] + "1"
    before, _, last = layer.rpartition("conv")
    return f"{before}bn{last}"


def head(classifier: str) -> str:
    """Return our name of the layer that gives the classes."""
    return layers(classifier)[-1]


def trunk(classifier: str) -> tuple[str, ...]:
    """Return our names of the convolutions alone."""
    return tuple(name for name in layers(classifier) if name not in (*HIDDEN, head(classifier)))


def own_key(classifier: str, key: str) -> str:
    """Return where one of our classifiers keeps a tensor: in its encoder, or in its head."""
    layer = key.rpartition(".")[0]
    if layer in (*FULLY_CONNECTED, head(classifier)):
        return f"head.{key}"
    stage = re.match(r"(?:conv|bn)(\d)_", layer)
    return f"encoder.stages.stage{stage[1]}.{key}" if stage else f"encoder.{key}"


@cache
def torchvision_names(classifier: str) -> dict[str, str]:
    """Return our name of every layer of torchvision's, norms included; {} where torchvision has no such network.

    torchvision's fully connected layers are classifier.0, 3 and 6 in VGG, and 1, 4 and 6 in AlexNet and in VGGs
    before 2017; `by_order` tells them apart.
    """
    plain = classifier.removesuffix("-bn")
    if plain in VGG_STAGES:
        return _torchvision_vgg(plain, classifier != plain)
    if classifier == "alexnet":
        convolutions = {f"features.{number}": f"conv{i}" for i, number in enumerate(ALEXNET_FEATURES, start=1)}
        return convolutions | dict(zip(("classifier.1", "classifier.4", "classifier.6"), FULLY_CONNECTED, strict=True))
    if classifier == "googlenet" or (classifier.startswith("resnet") and not classifier.endswith("-msra")):
        return {name: name for name in (*layers(classifier), *norms(classifier))}
    return {}


def by_order(names: Iterable[str]) -> dict[str, str]:
    """Return our names of fully connected layers called classifier.N, whatever the three N are."""
    numbers = {name for name in names if re.fullmatch(r"classifier\.\d{1,2}", name)}
    ordered = sorted(numbers, key=lambda name: int(name.rpartition(".")[2]))
    return dict(zip(ordered, FULLY_CONNECTED, strict=False))


@cache
def caffe_names(classifier: str) -> dict[str, str]:
    """Return our name of every layer of Caffe's that has weights; {} where there is no release for Caffe."""
    if classifier.endswith("-msra"):
        return _msra_names(depth(classifier))
    if classifier == "googlenet-caffe":
        return {_slashed(name): name for name in layers(classifier)}
    if classifier in ("googlenet", "alexnet") or classifier.startswith("resnet"):
        return {}
    return {name: name for name in (*layers(classifier), *norms(classifier))}


def recognize(names: Iterable[str]) -> tuple[str, float]:
    """Return the classifier whose layers are called most nearly so, and how nearly: 1 is exactly.

    Args:
        names: Of layers, in any of the three ways, without endings.
    """
    held = set(names)
    best, best_share = CLASSIFIERS[0], 0.0
    for classifier in CLASSIFIERS:
        ours = {name: name for name in (*layers(classifier), *norms(classifier))}
        for table in (ours, torchvision_names(classifier), caffe_names(classifier)):
            share = _overlap(held, set(table))
            if share > best_share:
                best, best_share = classifier, share
    return best, best_share


def depth(classifier: str) -> int:
    """Return a ResNet's depth.

    Raises:
        KeyError: It is none, or of no known depth.
    """
    found = re.fullmatch(r"resnet(\d+)(-msra)?", classifier)
    if not found or int(found[1]) not in RESNET_BLOCKS:
        raise KeyError(classifier)
    return int(found[1])


def _vgg_convolutions(name: str) -> list[str]:
    stages = enumerate(VGG_STAGES[name], start=1)
    return [f"conv{stage}_{index}" for stage, count in stages for index in range(1, count + 1)]


def _torchvision_vgg(plain: str, batch_norm: bool) -> dict[str, str]:
    """Number layers as torchvision's Sequential does: a convolution, perhaps its norm, its ReLU; and poolings."""
    names, number, stage = {}, 0, "1"
    for name in _vgg_convolutions(plain):
        number += name[4] != stage  # the pooling between two stages
        stage = name[4]
        names[f"features.{number}"] = name
        if batch_norm:
            names[f"features.{number + 1}"] = name.replace("conv", "bn")
        number += 3 if batch_norm else 2
    return names | {f"classifier.{number}": name for number, name in zip((0, 3, 6), FULLY_CONNECTED, strict=True)}


def _resnet_convolutions(depth: int) -> list[str]:
    names = ["conv1"]
    for layer, count in enumerate(RESNET_BLOCKS[depth], start=1):
        for block in range(count):
            names += [f"layer{layer}.{block}.conv{number}" for number in range(1, 3 if depth < 50 else 4)]
            if block == 0 and (layer > 1 or depth >= 50):
                names.append(f"layer{layer}.{block}.downsample.0")
    return names


def _msra_names(depth: int) -> dict[str, str]:
    """Name convolutions res2a_branch2a, and norms bn2a_branch2a and scale2a_branch2a, as He et al. do."""
    names = {"conv1": "conv1", "bn_conv1": "bn1", "scale_conv1": "bn1", "fc1000": "fc1000"}
    for layer, count in enumerate(RESNET_BLOCKS[depth], start=1):
        for block in range(count):
            place = f"{layer + 1}{_letter(depth, layer, block)}_branch"
            for branch, ours in (("1", "downsample.0"), ("2a", "conv1"), ("2b", "conv2"), ("2c", "conv3")):
                if branch == "1" and block:
                    continue
                convolution = f"layer{layer}.{block}.{ours}"
                names[f"res{place}{branch}"] = convolution
                names[f"bn{place}{branch}"] = names[f"scale{place}{branch}"] = norm_after(convolution)
    return names


def _letter(depth: int, layer: int, block: int) -> str:
    """Count blocks a, b, c ...; in the long layers of the deeper networks a, b1, b2 ..."""
    if depth > 50 and layer in (2, 3) and block:
        return f"b{block}"
    return "abcdef"[block]


def _slashed(name: str) -> str:
    return name.replace(".", "/", 1)


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0
