"""Put what one network learned into another, layer by layer of the same name: all of it, or nothing.

    file      conv1_1 ... conv5_3 | fc6 fc7        | fc8
    network   every one           | if it has them | never: it knows other classes
              + shapes that surgery can make: fc -> convolution, 7 x 7 -> 4 x 4, 4096 -> 1024, 3 channels -> 4

A layer's place is any parameter whose name ends like it, but in no part called `decoder`: SegNet's two halves share
names. Where a network has several such places, as late fusion's two streams, all are filled.

Source: fcn.berkeleyvision.org, surgery.py, transplant.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

import perpixel.weights.names as names
from perpixel.errors import WeightsError
from perpixel.weights.classifier import fold_first
from perpixel.weights.pixels import PixelFormat, Pixels, describe, same
from perpixel.weights.reading import Pretrained, some
from perpixel.weights.surgery import (
    TAPS,
    decimate,
    fc_to_convolution,
    fold_norm,
    keep_channels,
    stride_in,
    widen_input,
)

NORM = ("weight", "bias", "running_mean", "running_var")
EPSILON = {"googlenet": 1e-3}  # torchvision, models/googlenet.py, BasicConv2d; PyTorch's 1e-5 elsewhere
BRANCH = re.compile(r"^(fc[67])_\d$")  # DeepLab v2's ASPP: every rate's begins as the classifier's one
MIRRORED = "decoder"  # parts called so hold layers of the encoder's names and other weights


@dataclass(frozen=True)
class Transplant:
    """What was done.

    Attributes:
        taken: The file's key of every key of the network that was filled.
        fresh: The network's other keys.
        notes: What was changed on the way, in words.
    """

    taken: dict[str, str]
    fresh: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        notes = f"; {'; '.join(self.notes)}" if self.notes else ""
        fresh = f"; fresh: {some(self.fresh)}" if self.fresh else ""
        return f"{len(self.taken)} of {len(self.taken) + len(self.fresh)} tensors{notes}{fresh}"


@dataclass
class Plan:
    """What would be done, and what stands against it."""

    values: dict[str, Tensor] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def transplant(network: nn.Module, held: Pretrained, wanted: PixelFormat | None = None) -> Transplant:
    """Fill a network's layers from a classifier's, or from another segmenter's.

    Args:
        network: Changed in place, wholly or not at all; on any device.
        held: As `perpixel.weights.read` returns it.
        wanted: What the network will be fed. Where the file's network was fed something else, the first
            convolution is folded; where it is not given, or the file does not say, nothing is.

    Raises:
        WeightsError: A layer of the trunk is missing, has no place, or has a shape that surgery cannot make. The
            error lists all of them.
    """
    plan = make_plan(network, held, wanted)
    if not plan.taken or plan.missing or plan.unexpected or plan.misshapen:
        raise _refusal(network, held, plan)
    state = network.state_dict()
    with torch.no_grad():
        for key, value in plan.values.items():
            state[key].copy_(value)
    fresh = tuple(key for key in state if key not in plan.taken and not key.endswith("num_batches_tracked"))
    return Transplant(plan.taken, fresh, tuple(plan.notes))


def make_plan(network: nn.Module, held: Pretrained, wanted: PixelFormat | None) -> Plan:
    """Find every layer's place and shape; change nothing."""
    plan, own = Plan(), network.state_dict()
    tensors = dict(held.tensors)
    channels = _fold(plan, held, tensors, wanted)
    _fold_norms(plan, held, tensors, own)
    places = {key: tail for key in own if (tail := place(key, tensors))}
    needed = _needed(held)
    for key, tail in places.items():
        value = fit(tail, tensors[tail], own[key].shape, channels)
        if value is not None:
            plan.values[key], plan.taken[key] = value, tail
        elif tail.rpartition(".")[0] in (*needed, *names.HIDDEN):
            plan.misshapen.append(f"{key}: {_shape(tensors[tail])} in the file, {_shape(own[key])} here")
    plan.missing = list(_missing(own, places))
    used = set(places.values())
    absent = [layer for layer in needed if f"{layer}.weight" not in used]
    behind = _behind_cut(network, needed, absent)
    plan.unexpected = [f"{layer}.weight" for layer in absent if layer not in behind]
    plan.notes += [f"left out, as the trunk is cut before them: {some(behind)}"] if behind else []
    plan.notes += _shape_notes(plan, held, own) + _stride_note(network, held)
    return plan


def place(key: str, tensors: dict[str, Tensor]) -> str | None:
    """Return the longest end of a network's key that is a key of the file; None in a decoder."""
    parts = [BRANCH.sub(r"\1", part) for part in key.split(".")]
    starts = {name.partition(".")[0] for name in tensors}
    for index in range(len(parts)):
        tail = ".".join(parts[index:])
        if tail in tensors:
            before = parts[:index]
            mirrored = any(part.startswith(MIRRORED) for part in before)
            return None if mirrored or starts & set(before) else tail
    return None


def fit(name: str, value: Tensor, shape: torch.Size, input_layer: str = "") -> Tensor | None:
    """Return a tensor in the shape that a network wants; None where surgery cannot make it.

    Args:
        name: The file's key; only fc6 and fc7 are ever thinned out.
        value: The file's tensor.
        shape: That the network wants.
        input_layer: The layer that sees the image, and may do so through another number of channels.
    """
    if value.shape == shape:
        return value
    layer, _, ending = name.rpartition(".")
    if layer == input_layer and ending == "weight" and len(shape) == 4 and value.shape[2:] == shape[2:]:
        return widen_input(value, shape[1]) if value.shape[0] == shape[0] else None
    if value.ndim == 4 and len(shape) == 2 and value.numel() == shape.numel():
        return value.reshape(shape)
    if value.ndim == 2 and len(shape) == 4:
        value = _convolution(value, shape)
    if layer in names.HIDDEN:
        value = _thinned(value, shape)
    return value if value.shape == shape else None


def _convolution(value: Tensor, shape: torch.Size) -> Tensor:
    """Make fc6 or fc7 a convolution of the network's kernel, or of the 7 x 7 that it comes from."""
    if value.shape[1] == shape[1:].numel():
        return fc_to_convolution(value, (shape[2], shape[3]))
    if shape[2] in TAPS and value.shape[1] == shape[1] * 49:
        return fc_to_convolution(value, (7, 7))
    if shape[2:] == (1, 1):
        return fc_to_convolution(value, (1, 1))
    return value


def _thinned(value: Tensor, shape: torch.Size) -> Tensor:
    if value.ndim == 4 and value.shape[2:] == (7, 7) and shape[2] in TAPS:
        value = decimate(value, shape[2])
    if value.ndim == len(shape) and shape[0] <= value.shape[0]:
        return keep_channels(value, shape[0], shape[1] if len(shape) > 1 else None)
    return value


def _fold(plan: Plan, held: Pretrained, tensors: dict[str, Tensor], wanted: PixelFormat | None) -> str:
    """Translate the layer that sees the image, if it has to be, and return its name."""
    if held.classifier not in names.CLASSIFIERS:
        return ""
    layer = names.layers(held.classifier)[0]
    weight = tensors.get(f"{layer}.weight")
    if weight is None or weight.ndim != 4 or wanted is None or held.pixels is None or weight.shape[1] != 3:
        return layer
    colors = _colors(wanted)
    if not same(held.pixels, colors):
        tensors |= fold_first(tensors, held.classifier, held.pixels, colors)
        plan.notes.append(f"{layer} folded from {describe(held.pixels)} to {describe(wanted)}")
    tensors[f"{layer}.weight"] = _all_channels(tensors[f"{layer}.weight"], len(wanted.mean), wanted.order)
    return layer


def _fold_norms(plan: Plan, held: Pretrained, tensors: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """Fold the file's norms into its convolutions where the network has no place for them."""
    if held.classifier not in names.CLASSIFIERS:
        return
    pairs = zip(names.trunk(held.classifier), names.norms(held.classifier), strict=False)
    complete = [(layer, norm) for layer, norm in pairs if all(f"{norm}.{end}" in tensors for end in NORM)]
    keys = {f"{norm}.weight": tensors[f"{norm}.weight"] for _, norm in complete}
    if not keys or any(place(key, keys) for key in own):
        return
    epsilon = EPSILON.get(held.classifier, 1e-5)
    for layer, norm in complete:
        parts = {end: tensors.pop(f"{norm}.{end}") for end in NORM}
        weight, bias = fold_norm(tensors[f"{layer}.weight"], tensors.get(f"{layer}.bias"), parts, epsilon)
        tensors[f"{layer}.weight"], tensors[f"{layer}.bias"] = weight, bias
    plan.notes.append(f"{len(complete)} batch normalisations folded into convolutions")


def _colors(wanted: PixelFormat) -> Pixels:
    """Return what is wanted of red, green and blue: of grey, thrice the same; of more channels, the first three."""
    if len(wanted.mean) < 3:
        return Pixels((wanted.mean[0],) * 3, (wanted.std[0],) * 3, "rgb")
    return Pixels(tuple(wanted.mean[:3]), tuple(wanted.std[:3]), wanted.order)


def _all_channels(weight: Tensor, channels: int, order: str) -> Tensor:
    """Widen to the network's channels; `bgr` reverses all of them, so that depth comes first."""
    if channels == 3:
        return weight
    rgb = weight.flip(1) if order == "bgr" and channels > 3 else weight
    widened = widen_input(rgb, channels)
    return widened.flip(1) if order == "bgr" else widened


def _needed(held: Pretrained) -> tuple[str, ...]:
    """Return the layers that must find a place."""
    if held.classifier in names.CLASSIFIERS:
        return names.trunk(held.classifier)
    return tuple(dict.fromkeys(key.rpartition(".")[0] for key in held.tensors if key.endswith(".weight")))


def _behind_cut(network: nn.Module, needed: Sequence[str], absent: Sequence[str]) -> list[str]:
    """Return the file's last layers, if the network's trunk was cut before them."""
    if not any(getattr(part, "cut", False) for part in network.modules()):
        return []
    last = max((index for index, layer in enumerate(needed) if layer not in absent), default=len(needed))
    return list(needed[last + 1 :])


def _missing(own: dict[str, Tensor], places: dict[str, str]) -> Iterator[str]:
    """Yield weights beside those that were found, called like a trunk's, that the file lacks."""
    found = {key.removesuffix(tail) for key, tail in places.items()}
    for key in own:
        if key in places or not key.endswith(".weight"):
            continue
        parts = key.split(".")[:-1]
        for index in range(len(parts)):
            before = "".join(f"{part}." for part in parts[:index])
            if before in found and names.TRUNK.match(".".join(parts[index:])):
                yield key
                break


def _shape_notes(plan: Plan, held: Pretrained, own: dict[str, Tensor]) -> list[str]:
    notes = []
    for key, tail in plan.taken.items():
        before, after = held.tensors[tail].shape, own[key].shape
        if before != after and len(after) > 1:
            notes.append(f"{tail.rpartition('.')[0]} made {_shape(own[key])} from {_shape(held.tensors[tail])}")
    return list(dict.fromkeys(notes))


def _stride_note(network: nn.Module, held: Pretrained) -> list[str]:
    here, theirs = stride_in(network), "1x1" if held.classifier.endswith("-msra") else "3x3"
    if here is None or not held.classifier.startswith("resnet") or here == theirs:
        return []
    return [
        f"these weights expect strides in the {theirs} of a bottleneck, and this network has them in the {here}: they "
        "fit in shape, but see their input displaced"
    ]


def _refusal(network: nn.Module, held: Pretrained, plan: Plan) -> WeightsError:
    counts = [
        f"{len(keys)} {word} ({some(keys)})"
        for word, keys in (
            ("missing", plan.missing), ("unexpected", plan.unexpected), ("misshapen", plan.misshapen),
        )
        if keys
    ]  # fmt: skip
    wrong = "; ".join(counts) or "not one layer of the same name"
    return WeightsError(
        f"transplant: {held.origin} does not fit this network: {wrong}. {_advice(network, held, plan)} "
        "Nothing was loaded.",
        plan.missing, plan.unexpected, plan.misshapen,
    )  # fmt: skip


def _advice(network: nn.Module, held: Pretrained, plan: Plan) -> str:
    wanted, share = names.recognize(_own_layers(network))
    theirs = f"The file looks like {held.classifier}" if held.classifier else "The file is of no classifier known here"
    ours = f"this network's trunk most like {wanted}" if share > 0.2 else "this network's trunk is of none known here"
    if plan.misshapen and not plan.missing and not plan.unexpected:
        return f"{theirs}. Build the network at its full width (`--set width=1`), and with the same input channels."
    return f"{theirs}, {ours}. Name a file of the same."


def _own_layers(network: nn.Module) -> set[str]:
    """Return the ends of a network's names that a trunk's layers could have."""
    found = set()
    for key in network.state_dict():
        parts = key.split(".")[:-1]
        tails = (".".join(parts[index:]) for index in range(len(parts)))
        name = next((tail for tail in tails if names.TRUNK.match(tail) or tail in names.FULLY_CONNECTED), None)
        if name and not any(part.startswith(MIRRORED) for part in parts):
            found.add(name)
    return found


def _shape(value: Tensor) -> str:
    return " x ".join(str(side) for side in value.shape)
