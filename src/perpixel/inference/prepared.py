"""Make a trained network fast on a CPU, and change its logits by nothing but rounding.

    trunk with a wide margin -> without it                      most of it is alike for every image
    convolution, batch normalisation -> one convolution         the averages are constants by now
    channels first -> channels last                             what convolutions prefer
    3 x 3 convolution -> Winograd's, where that was faster      measured, layer by layer

Nothing is guessed: each convolution is timed both ways on maps of the size that it will see.
"""

import copy
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from perpixel.inference.margin import narrow_margins
from perpixel.inference.winograd import WinogradConv2d

GAIN = 0.95  # of the direct convolution's time; a tie is left alone
Shape = tuple[int, ...]


def prepare_for_inference(network: nn.Module, image_size: tuple[int, int], in_channels: int = 3) -> nn.Module:
    """Return a copy that computes the same logits sooner, in float32; it cannot be trained.

    Args:
        network: image (N, C, H, W) -> logits (N, K, H, W). It stays as it is. On another device than a CPU only
            batch normalisations are folded and margins spared.
        image_size: (H, W) for which the copy is made fast. It accepts every size.
        in_channels: C.

    Returns: The copy, in evaluation mode. Takes the time of a few images.
    """
    prepared = copy.deepcopy(network).eval().requires_grad_(False)
    fold_batch_norms(prepared)
    narrow_margins(prepared)
    parameter = next(prepared.parameters(), None)
    if parameter is None or parameter.device.type != "cpu" or parameter.dtype != torch.float32:
        return prepared
    prepared.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode(False), torch.no_grad():
        image = torch.zeros(1, in_channels, *image_size).contiguous(memory_format=torch.channels_last)
        shapes = input_shapes(prepared, image)
        replace_convolutions(prepared, shapes)
    return prepared


def fold_batch_norms(network: nn.Module) -> None:
    """Put every batch normalisation that follows a convolution in an `nn.Sequential` into its weights."""
    for block in network.modules():
        if not isinstance(block, nn.Sequential):
            continue
        names = list(block._modules)
        for first, second in pairwise(names):
            convolution, norm = block._modules[first], block._modules[second]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and norm.track_running_stats:
                block._modules[first] = fuse_conv_bn_eval(convolution, norm)
                block._modules[second] = nn.Identity()


def input_shapes(network: nn.Module, image: Tensor) -> dict[str, Shape]:
    """Return the shape that reaches each convolution for which there is a faster way."""
    shapes: dict[str, Shape] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, given: shapes.update({name: tuple(given[0].shape)})

    layers = [(name, layer) for name, layer in network.named_modules() if is_candidate(layer)]
    hooks = [layer.register_forward_pre_hook(note(name)) for name, layer in layers]
    network(image)
    for hook in hooks:
        hook.remove()
    return shapes


def is_candidate(layer: nn.Module) -> bool:
    """Return whether a layer is a 3 x 3 convolution of stride 1 whose channels make matrices worth multiplying."""
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (3, 3)
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and min(layer.in_channels, layer.out_channels) >= 16
    )


def replace_convolutions(network: nn.Module, shapes: dict[str, Shape]) -> None:
    """Put Winograd's convolution wherever it is faster; layers alike are measured once."""
    faster: dict[tuple[object, ...], bool] = {}
    for name, shape in shapes.items():
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        trial = WinogradConv2d(layer)
        key = (shape, layer.out_channels, layer.padding)
        if key not in faster:
            faster[key] = is_faster(trial, layer, shape)
        if faster[key]:
            parent, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(parent), leaf, trial)


def is_faster(trial: nn.Module, layer: nn.Module, shape: Shape) -> bool:
    """Time both in turns on noise, and compare their best."""
    features = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    seconds: dict[nn.Module, float] = {trial: float("inf"), layer: float("inf")}
    for _ in range(3):
        for module in seconds:
            start = time.perf_counter()
            module(features)
            seconds[module] = min(seconds[module], time.perf_counter() - start)
    return seconds[trial] < GAIN * seconds[layer]
