"""Weights of a whole classifier, as its own state dict holds them."""

import re
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

import perpixel.weights.names as names
from perpixel.errors import WeightsError
from perpixel.weights.download import Progress
from perpixel.weights.pixels import CAFFE, GOOGLENET, TORCHVISION, PixelFormat, Pixels, same
from perpixel.weights.reading import Pretrained, read, some
from perpixel.weights.surgery import fold_input

# What each of our classifiers is fed; the others as torchvision's
FED = {"alexnet-caffe": CAFFE, "caffenet": CAFFE, "googlenet-caffe": GOOGLENET} | {
    f"resnet{depth}-msra": CAFFE for depth in (50, 101, 152)
}


def load(
    name_or_path: str | Path, classifier: str, pixels: PixelFormat | None = None, progress: Progress | None = None
) -> dict[str, Tensor]:
    """Return the state dict of one of our classifiers, from a known name or from a file of any format.

    Auxiliary classifiers are left out, and `num_batches_tracked`, which PyTorch supplies.

    Args:
        name_or_path: A known name, a `.pth`, `.caffemodel` or `.safetensors` file, or a run directory.
        classifier: A name of `encoders.classifier.CLASSIFIERS`.
        pixels: What the classifier will be fed. Its own row's if not given. The first convolution is folded
            where the file's network was fed something else.
        progress: Told how far a download is.

    Raises:
        WeightsError: It cannot be had or read, or holds another network; missing and unexpected keys are listed.
    """
    held = read(name_or_path, classifier, progress)
    tensors = {key: value for key, value in _plainly_named(held.tensors, classifier) if not _is_auxiliary(key)}
    _require_complete(held, tensors, classifier)
    _fold(held, tensors, classifier, pixels or FED.get(classifier, TORCHVISION))
    return {names.own_key(classifier, key): value for key, value in tensors.items()}


def fold_first(tensors: dict[str, Tensor], classifier: str, held: Pixels, wanted: PixelFormat) -> dict[str, Tensor]:
    """Return the tensors that change when the layer that sees the image is folded.

    The constant part goes into its bias; where it has none, off the mean that is subtracted behind it.
    """
    layer = names.layers(classifier)[0]
    weight, offset = fold_input(tensors[f"{layer}.weight"], held, wanted)
    changed = {f"{layer}.weight": weight}
    bias, mean = f"{layer}.bias", f"{names.norm_after(layer)}.running_mean"
    if bias in tensors:
        changed[bias] = tensors[bias] + offset
    elif mean in tensors:
        changed[mean] = tensors[mean] - offset
    return changed


def _fold(held: Pretrained, tensors: dict[str, Tensor], classifier: str, wanted: PixelFormat) -> None:
    if held.pixels is not None and not same(held.pixels, wanted):
        tensors |= fold_first(tensors, classifier, held.pixels, wanted)


def _plainly_named(tensors: dict[str, Tensor], classifier: str) -> Iterator[tuple[str, Tensor]]:
    """Take the classifier's own places, encoder and head, off names that have them."""
    for key, value in tensors.items():
        plain = re.sub(r"^(head|encoder)\.(stages\.stage\d\.)?", "", key)
        yield (plain if names.own_key(classifier, plain) == key else key), value


def _is_auxiliary(key: str) -> bool:
    return key.startswith(("aux1.", "aux2.", "loss1.", "loss2."))


def _require_complete(held: Pretrained, tensors: dict[str, Tensor], classifier: str) -> None:
    expected = {f"{name}.weight" for name in (*names.layers(classifier), *names.norms(classifier))}
    found = {key for key in tensors if key.endswith(".weight")}
    missing, unexpected = sorted(expected - found), sorted(found - expected)
    if not missing and not unexpected:
        return
    nearest, share = names.recognize(key.removesuffix(".weight") for key in found)
    guess = f"It looks like {nearest}." if share > 0.2 else "It is of no classifier known here."
    raise WeightsError(
        f"load: {held.origin} is not {classifier}: {len(missing)} missing ({some(missing) or 'none'}), "
        f"{len(unexpected)} unexpected ({some(unexpected) or 'none'}). {guess} Nothing was loaded.",
        missing, unexpected,
    )  # fmt: skip
