"""Where a classifier sees a class: its probabilities at every place of a photo.

    pixels -> shrink -> normalise -> convolutional classifier -> softmax over K -> back onto the pixels

Source: Shelhamer, Long, Darrell, "FCN", CVPR 2015, arXiv:1411.4038, Sec. 3.1 and Fig. 2.
Letters: K classes, H W pixels.
"""

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from perpixel import weights
from perpixel.data.images import Pixels
from perpixel.data.normalization import Normalization
from perpixel.data.palette import displayable
from perpixel.encoders.classifier import Classifier, build_classifier, find
from perpixel.encoders.convolutional import convolutional
from perpixel.errors import UsageError
from perpixel.weights import names
from perpixel.weights.download import Progress

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Heatmap:
    """What a classifier sees of one class.

    Attributes:
        probabilities: float32 (H, W), at the photo's own size.
        index: Of the class.
        strongest: (index, highest probability anywhere) of the five classes that stand out most.
        shape: (h, w) of the map before it was enlarged.
        num_classes: K.
    """

    probabilities: NDArray[np.float32]
    index: int
    strongest: tuple[tuple[int, float], ...]
    shape: tuple[int, int]
    num_classes: int


def load_classifier(name: str, source: str | Path | None, progress: Progress | None = None) -> Classifier:
    """Build a classifier of `encoders.classifier.CLASSIFIERS`, ready to use.

    Args:
        name: Of the classifier.
        source: A known name or a file of weights; None leaves it untrained.
        progress: Told how far a download is.

    Raises:
        UsageError: There is no such classifier.
        WeightsError: The weights cannot be had, or are another network's.
    """
    find(name)
    if source is None:
        return build_classifier(name).eval()
    state = weights.load(source, name, progress=progress)
    num_classes, in_channels = state[f"head.{names.head(name)}.weight"].shape[0], channels_of(state, name)
    with torch.device("meta"):
        classifier = build_classifier(name, num_classes, in_channels)
    classifier.load_state_dict(state, assign=True)
    return classifier.eval()


def channels_of(state: dict[str, torch.Tensor], name: str) -> int:
    """Return how many channels of an image the weights expect."""
    first = names.own_key(name, f"{names.layers(name)[0]}.weight")
    return state[first].shape[1]


def class_heatmap(
    name: str, classifier: Classifier, pixels: Pixels, index: int | None = None, shorter_side: int = 480
) -> Heatmap:
    """Look for one class everywhere.

    Args:
        name: Of the classifier; says how pixels are normalised.
        classifier: From `load_classifier`.
        pixels: (H, W, 3).
        index: Of the class; the one that stands out most if not given.
        shorter_side: Larger photos are shrunk to it for looking: the classifiers know objects of about 200 pixels.
            0 keeps the size.

    Raises:
        UsageError: There is no class of this index, or the side is negative.
    """
    seen = shrunk(displayable(pixels), shorter_side)
    row = find(name)
    normalization = Normalization(mean=row.pixels.mean, std=row.pixels.std, order=row.pixels.order)
    network = convolutional(classifier)
    with torch.inference_mode():
        logits = network(torch.from_numpy(normalization.apply(seen)))
        probabilities = logits.softmax(1)
        peaks = probabilities[0].amax((1, 2))
        chosen = int(peaks.argmax()) if index is None else check_index(index, len(peaks))
        heat = network.spread(probabilities[:, chosen : chosen + 1], (seen.shape[0], seen.shape[1]))[0, 0]
    values, indices = peaks.topk(min(5, len(peaks)))
    strongest = tuple(zip(indices.tolist(), values.tolist(), strict=True))
    size = (pixels.shape[1], pixels.shape[0])
    full = np.asarray(Image.fromarray(heat.numpy()).resize(size, Image.Resampling.BILINEAR))
    return Heatmap(full, chosen, strongest, (logits.shape[-2], logits.shape[-1]), len(peaks))


def shrunk(pixels: NDArray[np.uint8], shorter_side: int) -> NDArray[np.uint8]:
    """Return a photo whose shorter side is at most `shorter_side`; 0 keeps it.

    Raises:
        UsageError: The side is negative.
    """
    if shorter_side < 0:
        raise UsageError(f"heatmap: expected a shorter side of 0 or more, got {shorter_side}. 0 keeps the photo's.")
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    if shorter_side == 0 or shorter <= shorter_side:
        return pixels
    size = (max(1, round(width * shorter_side / shorter)), max(1, round(height * shorter_side / shorter)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def check_index(index: int, num_classes: int) -> int:
    """Return the index of a class that exists.

    Raises:
        UsageError: It does not.
    """
    if not 0 <= index < num_classes:
        raise UsageError(f"heatmap: expected a class from 0 to {num_classes - 1}, got {index}. Count from 0.")
    return index


def read_names(path: Path) -> list[str]:
    """Read the names of classes: one a line, a JSON list, or Keras' {"0": ["n01440764", "tench"], ...}.

    Raises:
        UsageError: The file cannot be read, or holds no names.
    """
    try:
        text = path.read_text(encoding="utf-8")
        stored = json.loads(text) if text.lstrip()[:1] in ("[", "{") else text.splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"--names: expected a text or JSON file, cannot read {path} ({error}).") from None
    if isinstance(stored, dict):
        stored = [stored.get(str(index), "") for index in range(len(stored))]
    found = [(entry[-1] if isinstance(entry, list) and entry else str(entry)).strip() for entry in stored]
    while found and not found[-1]:
        found.pop()
    if not found:
        raise UsageError(f"--names: expected one name a line, got none in {path}. The first line names class 0.")
    return found


def find_class(word: str, known: list[str]) -> int:
    """Return the index of a class, given as a number or by its name, or a part of it that only one has.

    Raises:
        UsageError: Nothing, or more than one, is called so.
    """
    if word.isdecimal():
        return int(word)
    if not known:
        raise UsageError(
            f"--class: expected a number, got {word!r}. Say --names FILE, with one name a line, to use names: "
            "ImageNet's are not shipped."
        )
    wanted = word.casefold().replace("_", " ")
    plain = [name.casefold().replace("_", " ") for name in known]
    for matches in ([i for i, name in enumerate(plain) if name == wanted], in_words(wanted, plain)):
        if len(matches) == 1:
            return matches[0]
        if matches:
            some = ", ".join(f"{index} {known[index]}" for index in matches[:5])
            raise UsageError(f"--class: expected one class, {len(matches)} hold {word!r}: {some}. Say its number.")
    near = get_close_matches(wanted, plain, n=1)
    hint = f" Did you mean {known[plain.index(near[0])]!r}?" if near else ""
    raise UsageError(f"--class: no class named {word!r}.{hint} Say its number, or look into the names' file.")


def in_words(wanted: str, plain: list[str]) -> list[int]:
    """Return the indices of the names that hold it."""
    return [index for index, name in enumerate(plain) if wanted in name]
