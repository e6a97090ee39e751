"""Make a trained network fast on a CPU, and change its logits by nothing but rounding.

    trunk with a wide margin -> without it                      most of it is alike for every image
    convolution, batch normalisation -> one convolution         the averages are constants by now
    channels first -> channels last                             what convolutions prefer
    convolution, ReLU -> one operator, weights laid out before  \
    3 x 3 convolution, ReLU -> Winograd's                        | measured, layer by layer
    max pooling -> compiled                                     /

Nothing is guessed: each layer is timed in every way on a map of the size that it will see.
"""

import copy
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.overrides import TorchFunctionMode

from perpixel.inference.margin import narrow_margins
from perpixel.inference.packed import PackedConv2d, is_available
from perpixel.inference.pooled import CompiledMaxPool2d, is_halving
from perpixel.inference.winograd import WinogradConv2d

GAIN = 0.95  # of the plain layer's time; a tie is left alone
ROUNDS = 3
SMALL = 33  # side of the image that shows which layers belong together
WAYS: dict[str, Any] = {way.__name__: way for way in (PackedConv2d, WinogradConv2d, CompiledMaxPool2d)}
Shape = tuple[int, ...]


def prepare_for_inference(
    network: nn.Module, image_size: tuple[int, int], in_channels: int = 3, ways: Mapping[str, str] | None = None
) -> nn.Module:
    """Return a copy that computes the same logits sooner, in float32; it cannot be trained.

    Args:
        network: image (N, C, H, W) -> logits (N, K, H, W). It stays as it is. On another device than a CPU only
            batch normalisations are folded and margins spared.
        image_size: (H, W) for which the copy is made fast. It accepts every size.
        in_channels: C.
        ways: What `chosen_ways` said of another copy: nothing is measured, and results are the same to the bit.
            Where this machine cannot follow them, it measures.

    Returns: The copy, in evaluation mode. Takes the time of a few images.
    """
    with torch.inference_mode(False), torch.no_grad():
        prepared = copy.deepcopy(network).eval().requires_grad_(False)
        reads = watch(prepared, in_channels)
        lent = reads.lent(prepared)
        fold_batch_norms(prepared, reads, lent)
        narrow_margins(prepared)
        parameter = next(prepared.parameters(), None)
        if parameter is None or parameter.device.type != "cpu" or parameter.dtype != torch.float32:
            return prepared
        prepared.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if ways is not None and can_follow(prepared, ways, lent):
            follow(prepared, ways)
            return prepared
        image = torch.zeros(1, in_channels, *image_size).contiguous(memory_format=torch.channels_last)
        replace_layers(prepared, input_shapes(prepared, image, lent))
    return prepared


def watch(network: nn.Module, in_channels: int) -> "Reads":
    """Return what reads what, as seen in a pass over a small image: names and order in the network do not say it."""
    reads = Reads()
    hooks = [layer.register_forward_hook(partial(reads.note, name)) for name, layer in network.named_modules()]
    with reads:
        network(torch.zeros(1, in_channels, SMALL, SMALL))
    for hook in hooks:
        hook.remove()
    return reads


def fold_batch_norms(network: nn.Module, reads: "Reads", lent: Collection[nn.Module] = ()) -> None:
    """Put every batch normalisation that alone reads a convolution's result into the convolution's weights.

    Args:
        network: Its layers are replaced.
        reads: What reads what in it.
        lent: Layers that are to keep their weights.
    """
    for name, before in reads.pairs():
        convolution, norm = network.get_submodule(before), network.get_submodule(name)
        if not isinstance(norm, nn.BatchNorm2d) or not norm.track_running_stats or convolution in lent:
            continue
        if isinstance(convolution, nn.Conv2d):
            replace(network, before, fuse_conv_bn_eval(convolution, norm))
            replace(network, name, nn.Identity())
        elif isinstance(convolution, nn.ConvTranspose2d) and convolution.groups == 1:
            replace(network, before, fuse_conv_bn_eval(convolution, norm, transpose=True))
            replace(network, name, nn.Identity())


class Reads(TorchFunctionMode):
    """Watches which layer reads which layer's result, and how often anything does."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[int] = Counter()
        self.calls: dict[str, list[tuple[Any, Any]]] = {}
        self.kept: list[Any] = []  # so that no two tensors of the pass have the same id

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function, and count its arguments if it computes something."""
        result = function(*args, **(kwargs or {}))
        if isinstance(result, (Tensor, tuple, list)) and not isinstance(result, torch.Size):
            given = [*args, *(kwargs or {}).values()]
            listed = [value for values in given if isinstance(values, (tuple, list)) for value in values]
            self.counts.update(id(value) for value in [*given, *listed] if isinstance(value, Tensor))
            self.kept.append((given, result))
        return result

    def note(self, name: str, _: nn.Module, given: tuple[Any, ...], result: Any) -> None:
        """Take down a layer's call."""
        self.calls.setdefault(name, []).append((given[0] if given else None, result))

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield layers and the one whose result they alone read, where both are called once."""
        once = {name: calls[0] for name, calls in self.calls.items() if len(calls) == 1}
        writers: dict[int, str] = {}
        for name, (_, result) in once.items():
            writers.setdefault(id(result), name)  # a block's result is its last layer's, which was noted before
        for name, (given, _) in once.items():
            if id(given) in writers and self.counts[id(given)] == 1:
                yield name, writers[id(given)]

    def lent(self, network: nn.Module) -> set[nn.Module]:
        """Return the layers whose weights something else reads too, as DecoupledNet's way back does."""
        called = {name: len(calls) for name, calls in self.calls.items()}
        return {
            layer
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and self.counts[id(layer.weight)] > called.get(name, 0)
        }


def input_shapes(network: nn.Module, image: Tensor, lent: Collection[nn.Module] = ()) -> dict[str, Shape]:
    """Return the shape that reaches each layer for which there may be a faster way.

    Args:
        network: That is prepared.
        image: Of the size that it will see.
        lent: Layers that stay as they are, as something else reads their weights.
    """
    shapes: dict[str, Shape] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, given: shapes.update({name: tuple(given[0].shape)})

    layers = [(name, layer) for name, layer in network.named_modules() if ways(layer) and layer not in lent]
    hooks = [layer.register_forward_pre_hook(note(name)) for name, layer in layers]
    network(image)
    for hook in hooks:
        hook.remove()
    return shapes


def is_plain(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether a layer is a convolution of all channels, with zeros around the map."""
    return (
        isinstance(layer, nn.Conv2d)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def is_candidate(layer: nn.Conv2d) -> bool:
    """Return whether Winograd's way is open, and its matrices are large enough to be worth multiplying."""
    return (
        layer.kernel_size in ((3, 3), (7, 7))
        and layer.stride == layer.dilation == (1, 1)
        and min(layer.in_channels, layer.out_channels) >= 16
    )


def replace_layers(network: nn.Module, shapes: dict[str, Shape]) -> None:
    """Put in each layer's place, and its ReLU's, what is fastest; layers alike are measured once."""
    relus = following_relus(network)
    fastest: dict[tuple[object, ...], type[nn.Module]] = {}
    for name, shape in shapes.items():
        layer = network.get_submodule(name)
        relu = name in relus
        key = (shape, str(layer), relu)
        if key not in fastest:
            fastest[key] = choose(layer, shape, relu)
        if fastest[key] in WAYS.values():
            replace(network, name, fastest[key](layer, relu))
            if relu:
                replace(network, relus[name], nn.Identity())


def chosen_ways(network: nn.Module) -> dict[str, str]:
    """Return the class of every layer of a prepared network that was replaced, by its name."""
    return {name: type(layer).__name__ for name, layer in network.named_modules() if type(layer) in WAYS.values()}


def can_follow(network: nn.Module, chosen: Mapping[str, str], lent: Collection[nn.Module] = ()) -> bool:
    """Return whether layers of these names are there, and may be computed in these ways here."""
    layers = dict(network.named_modules())
    return all(
        (layer := layers.get(name)) is not None and layer not in lent and WAYS.get(way) in ways(layer)
        for name, way in chosen.items()
    )


def follow(network: nn.Module, chosen: Mapping[str, str]) -> None:
    """Put in each layer's place, and its ReLU's, what was chosen."""
    relus = following_relus(network)
    for name, way in chosen.items():
        replace(network, name, WAYS[way](network.get_submodule(name), name in relus))
        if name in relus:
            replace(network, relus[name], nn.Identity())


def following_relus(network: nn.Module) -> dict[str, str]:
    """Return the name of the ReLU that an `nn.Sequential` has after a convolution, by the convolution's name."""
    relus = {}
    for path, block in network.named_modules():
        if isinstance(block, nn.Sequential):
            chain = [(f"{path}.{name}" if path else name, layer) for name, layer in block.named_children()]
            chain = [(name, layer) for name, layer in chain if not isinstance(layer, nn.Identity)]
            for (name, layer), (next_name, follower) in pairwise(chain):
                if isinstance(layer, nn.Conv2d) and isinstance(follower, nn.ReLU):
                    relus[name] = next_name
    return relus


def replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    """Put a layer in another's place."""
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, layer)


def choose(layer: nn.Module, shape: Shape, relu: bool) -> type[nn.Module]:
    """Return the class of the fastest way, its own for the layer as it is."""
    features = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    plain = nn.Sequential(layer, nn.ReLU(inplace=True)) if relu else layer
    best: type[nn.Module] = type(layer)
    least = GAIN * seconds(plain, features)
    for way in ways(layer):
        taken = seconds(way(layer, relu), features)
        if taken < least:
            best, least = way, taken
    return best


def ways(layer: nn.Module) -> list[type[nn.Module]]:
    """Return the other classes that could do a layer's work."""
    if is_plain(layer):
        return [*([PackedConv2d] if is_available() else []), *([WinogradConv2d] if is_candidate(layer) else [])]
    return [CompiledMaxPool2d] if is_halving(layer) else []


def seconds(layer: nn.Module, features: Tensor) -> float:
    """Return the least time of a few calls, after one that does not count.

    With a single thread it is the processor's time, which other work on the machine hardly touches.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    layer(features)
    best = float("inf")
    for _ in range(ROUNDS):
        start = clock()
        layer(features)
        best = min(best, clock() - start)
    return best
