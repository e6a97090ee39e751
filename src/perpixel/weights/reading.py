"""From a name or a file to tensors under our names, whoever wrote it.

    name -> cache or download -+
    file ----------------------+-> what is it? -> PyTorch | .caffemodel | safetensors -> our names
    run directory -------------+

Letters: O outputs of a layer.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

import perpixel.weights.names as names
from perpixel.errors import WeightsError
from perpixel.weights.caffemodel import Layer, read_caffemodel
from perpixel.weights.download import Progress, at_hand, fetch
from perpixel.weights.known import BEGINNINGS, KNOWN, candidates, known_by_file
from perpixel.weights.pixels import CAFFE, GOOGLENET, TORCHVISION, TORCHVISION_GOOGLENET, VGG, Pixels
from perpixel.weights.torch_file import read_torch

RUN_MODEL = "model.safetensors"  # in a run directory
FACTS = ("classifier", "pixels", "origin")  # what `perpixel weights convert` stores beside the tensors
RECOGNIZED = 0.5  # share of layer names that must agree to call a file by a classifier's name


@dataclass(frozen=True)
class Pretrained:
    """Tensors of one network.

    Attributes:
        tensors: float32, under our names; see `perpixel.weights.names`.
        classifier: The classifier, or the known network, that they are of; "" where that is not clear.
        pixels: What the network was trained to see; None where nobody says.
        origin: A file or a name, for messages.
    """

    tensors: dict[str, Tensor]
    classifier: str
    pixels: Pixels | None
    origin: str

    def facts(self) -> dict[str, str]:
        """Return what a safetensors file stores beside the tensors."""
        pixels = {"mean": self.pixels.mean, "std": self.pixels.std, "order": self.pixels.order} if self.pixels else None
        return {"classifier": self.classifier, "pixels": json.dumps(pixels), "origin": self.origin}


def locate(name_or_path: str | Path, progress: Progress | None = None) -> Path:
    """Return a file on this machine: the one that is named, or a known one, fetched if need be.

    Raises:
        WeightsError: There is no such file, or it cannot be fetched.
    """
    path = Path(name_or_path)
    if path.is_dir():
        return path / RUN_MODEL
    if path.exists():
        return path
    stands_for = candidates(str(name_or_path))
    if not stands_for:
        raise WeightsError(unknown(str(name_or_path)))
    there = at_hand(str(name_or_path))
    if there:
        return fetch(there, progress)
    return _fetch_first(stands_for, progress)


def read(name_or_path: str | Path, classifier: str | None = None, progress: Progress | None = None) -> Pretrained:
    """Return the tensors of a file, of a run or of a known name.

    Args:
        name_or_path: A name of `KNOWN` or `BEGINNINGS`, a file, or a run directory.
        classifier: What the file holds, where its layers' names do not say: vgg16 and vgg16-1x1 share theirs.
        progress: Told how far a download is.

    Raises:
        WeightsError: It cannot be had or read.
    """
    if classifier is not None and classifier not in names.CLASSIFIERS:
        raise WeightsError(
            f"weights: no classifier named {classifier!r}. Known: {', '.join(sorted(names.CLASSIFIERS))}."
        )
    path = locate(name_or_path, progress)
    kind = recognize_format(path)
    if kind == "caffemodel":
        held = _from_caffe(path, read_caffemodel(path), classifier)
    elif kind == "safetensors":
        held = _from_safetensors(path, classifier)
    else:
        held = _from_torchvision(path, read_torch(path), classifier)
    return _finite(_with_what_is_known(held, path))


def recognize_format(path: Path) -> str:
    """Return "torch", "safetensors" or "caffemodel", from the first bytes and never from the name.

    Raises:
        WeightsError: The file is missing, empty, or a page or pointer that was saved in its place.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise WeightsError(f"weights: {path} cannot be opened ({error.strerror}). Name a file or a run.") from None
    if not start:
        raise WeightsError(f"weights: {path} is empty. Download it again.")
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size - 8:
        return "safetensors"
    if start.lstrip()[:1] == b"<":
        raise WeightsError(f"weights: {path} is a web page, not weights. Download the file that the page speaks of.")
    if start.startswith(b"version https://git-lfs"):
        raise WeightsError(f"weights: {path} stands for a file that git-lfs has not fetched. Run `git lfs pull`.")
    if start[:2] == b"PK" or start[:1] == b"\x80" or start[257:262] == b"ustar":
        return "torch"
    return "caffemodel"


def _from_torchvision(path: Path, state: dict[str, Tensor], classifier: str | None) -> Pretrained:
    found = _recognized(_layers_of(state))
    table = {**names.by_order(_layers_of(state)), **names.torchvision_names(found)} if found else {}
    if not set(table) & set(_layers_of(state)):
        table = {}
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        layer, _, ending = name.rpartition(".")
        if ending != "num_batches_tracked":
            renamed[f"{table.get(layer, layer)}.{ending}".lstrip(".")] = value
    pixels = (TORCHVISION_GOOGLENET if found == "googlenet" else TORCHVISION) if table else None
    return Pretrained(renamed, _called(found, classifier), pixels, str(path))


def _from_caffe(path: Path, layers: list[Layer], classifier: str | None) -> Pretrained:
    found = _recognized(layer.name for layer in layers)
    table = names.caffe_names(found) if found else {}
    tensors: dict[str, Tensor] = {}
    for layer in layers:
        tensors |= _caffe_tensors(layer, table.get(layer.name, layer.name.replace("/", ".")))
    pixels = VGG if found.startswith("vgg") else GOOGLENET if found.startswith("googlenet") else CAFFE
    return Pretrained(_bias_into_mean(tensors, found), _called(found, classifier), pixels, str(path))


def _caffe_tensors(layer: Layer, name: str) -> dict[str, Tensor]:
    """Return a layer's blobs under PyTorch's endings."""
    if layer.type == "BatchNorm" and len(layer.blobs) == 3:
        mean, variance, count = layer.blobs
        factor = float(count.flatten()[0]) if count.numel() else 0.0
        scale = 1 / factor if factor else 0.0  # Caffe stores sums, and how many were added
        return {f"{name}.running_mean": mean.flatten() * scale, f"{name}.running_var": variance.flatten() * scale}
    if layer.type == "Scale":
        return {
            f"{name}.{ending}": blob.flatten() for ending, blob in zip(("weight", "bias"), layer.blobs, strict=False)
        }
    return {f"{name}.{ending}": blob for ending, blob in zip(("weight", "bias"), layer.blobs, strict=False)}


def _bias_into_mean(tensors: dict[str, Tensor], classifier: str) -> dict[str, Tensor]:
    """Take a ResNet's convolutions' biases off the means that follow: the released ResNet-50 has one, in conv1."""
    if not classifier.endswith("-msra"):
        return tensors
    for layer in names.layers(classifier)[:-1]:
        mean = f"{names.norm_after(layer)}.running_mean"
        if f"{layer}.bias" in tensors and mean in tensors:
            tensors[mean] = tensors[mean] - tensors.pop(f"{layer}.bias")
    return tensors


def _from_safetensors(path: Path, classifier: str | None) -> Pretrained:
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise WeightsError(f"weights: {path} is not a readable safetensors file ({reason}). Make it again.") from None
    if not all(facts.get(name) for name in FACTS):
        return _from_torchvision(path, state, classifier)
    return Pretrained(state, classifier or facts["classifier"], _pixels(facts["pixels"]), str(path))


def _pixels(text: str) -> Pixels | None:
    """Read what was stored of the pixels; a file that says nothing sensible says nothing."""
    try:
        held = json.loads(text)
        mean, std = (tuple(float(value) for value in held[key]) for key in ("mean", "std"))
        if held["order"] in ("rgb", "bgr") and len(mean) == len(std) and all(value > 0 for value in std):
            return Pixels(mean, std, held["order"])
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _with_what_is_known(held: Pretrained, path: Path) -> Pretrained:
    """Prefer what the table says of a file of this name to what its layers look like."""
    name = known_by_file(path.name)
    if name is None:
        return replace(held, tensors={key: _float(value) for key, value in held.tensors.items()})
    known = KNOWN[name]
    useless = names.FULLY_CONNECTED if known.features_only else ()
    tensors = {key: _float(value) for key, value in held.tensors.items() if key.rpartition(".")[0] not in useless}
    return Pretrained(tensors, held.classifier or known.classifier, known.pixels, name)


def _finite(held: Pretrained) -> Pretrained:
    """Refuse numbers that no training left there."""
    wrong = [name for name, value in held.tensors.items() if value.is_floating_point() and not value.isfinite().all()]
    if wrong:
        raise WeightsError(
            f"weights: {held.origin} holds numbers that are not finite, in {some(wrong)}. Download it again.",
            misshapen=wrong,
        )
    return held


def _float(value: Tensor) -> Tensor:
    return value.float() if value.dtype in (torch.float16, torch.bfloat16, torch.float64) else value


def _layers_of(state: Iterable[str]) -> list[str]:
    return [name.rpartition(".")[0] for name in state if name.endswith(".weight")]


def _recognized(layers: Iterable[str]) -> str:
    classifier, share = names.recognize(layers)
    return classifier if share >= RECOGNIZED else ""


def _called(found: str, asked: str | None) -> str:
    """Return what a file's network is called: as asked, where the names of layers leave it open."""
    if asked is None or (found and names.layers(found) != names.layers(asked)):
        return found
    return asked


def _fetch_first(stands_for: tuple[str, ...], progress: Progress | None) -> Path:
    """Fetch the best file that can be had."""
    first: WeightsError | None = None
    for name in stands_for:
        try:
            return fetch(name, progress)
        except WeightsError as error:
            first = first or error
    raise first or AssertionError("a name that stands for no file")


def unknown(name: str) -> str:
    """Say that a name stands for nothing, and what is near."""
    known = (*BEGINNINGS, *KNOWN)
    near = get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return (
        f"weights: there is no file or run {name!r}, and no known weights of that name. {hint}"
        "`perpixel weights list` names them."
    )


def some(keys: Iterable[str], most: int = 6) -> str:
    """Return the first of many keys, and how many more there are."""
    listed = list(keys)
    rest = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + rest
