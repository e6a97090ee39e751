"""Run a network as what it is geometrically: sums over windows, with every weight the same.

    convolution      equal positive weights           pooling        the mean of its window
    normalisation    the identity                     unpooling      every value over its whole cell
    activation       the identity                     interpolation  itself: it is linear already

What is left depends on where things are and on nothing that was learned. The network itself is not changed: a
mode stands between it and PyTorch's functions while it runs.

Letters: N batch, C channels, H W size of a map.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from perpixel.explain.substitute import substituted
from perpixel.explain.trace import evaluating
from perpixel.ops.unpool import Switches, max_pool, max_unpool

Function = Callable[..., Any]
Sizes = tuple[int, int]

IDENTITIES = {
    "relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "prelu", "elu", "elu_", "celu", "selu", "gelu", "silu",
    "mish", "hardswish", "hardsigmoid", "hardtanh", "sigmoid", "sigmoid_", "tanh", "tanh_", "softplus",
    "dropout", "dropout_", "dropout2d", "feature_dropout", "alpha_dropout",
    "batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm", "local_response_norm", "softmax",
}  # fmt: skip


@contextmanager
def linearised(module: nn.Module) -> Iterator[None]:
    """Let a network compute means over windows, for as long as the context lasts."""
    with (
        evaluating(module),
        substituted({max_pool: mean_pool, max_unpool: spread, functional.local_response_norm: _identity}),
        _Linear(),
    ):
        yield


class _Linear(TorchFunctionMode):
    """Stands between a network and PyTorch's functions."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call what a function is replaced by, or the function."""
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in IDENTITIES and args and isinstance(args[0], Tensor):
            return args[0]
        replacement = REPLACEMENTS.get(name)
        if replacement is None:
            return func(*args, **kwargs)
        return replacement(func, *args, **kwargs)


def _identity(features: Tensor, *rest: Any, **options: Any) -> Tensor:
    return features


def _mean_convolution(
    func: Function, image: Tensor, weight: Tensor, bias: Any = None, *rest: Any, **options: Any
) -> Any:
    """Convolve with equal weights that sum to 1."""
    return func(image, torch.full_like(weight, 1 / weight[0].numel()), None, *rest, **options)


def _mean_product(func: Function, features: Tensor, weight: Tensor, bias: Any = None) -> Any:
    return func(features, torch.full_like(weight, 1 / weight.shape[-1]), None)


def _mean_pooling(
    func: Function,
    features: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Pool by the mean; of a dilated window by the mean of all that it spans."""
    spans = [hole * (side - 1) + 1 for side, hole in zip(_pair(kernel_size), _pair(dilation), strict=True)]
    pooled = functional.avg_pool2d(
        features, spans, stride or kernel_size, _padding(spans, padding), ceil_mode, count_include_pad=False
    )
    indices = torch.zeros(pooled.shape, dtype=torch.int64, device=pooled.device)
    with_indices = return_indices or func.__name__.endswith("with_indices")
    return (pooled, indices) if with_indices else pooled


def _padding(spans: list[int], padding: Any) -> list[int]:
    return [min(amount, span // 2) for amount, span in zip(_pair(padding), spans, strict=True)]


def _spread_pooled(
    func: Function, features: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    steps = _pair(stride or kernel_size)
    size = output_size or [step * length for step, length in zip(steps, features.shape[-2:], strict=True)]
    return _over_cells(features, steps, (int(size[-2]), int(size[-1])))


def _mean_adaptive(func: Function, features: Tensor, output_size: Any, *rest: Any, **options: Any) -> Any:
    pooled = functional.adaptive_avg_pool2d(features, output_size)
    return (pooled, pooled) if func.__name__.endswith("with_indices") else pooled


REPLACEMENTS: dict[str, Function] = {
    "conv2d": _mean_convolution,
    "conv_transpose2d": _mean_convolution,
    "linear": _mean_product,
    "max_pool2d": _mean_pooling,
    "_max_pool2d": _mean_pooling,
    "max_pool2d_with_indices": _mean_pooling,
    "max_unpool2d": _spread_pooled,
    "adaptive_max_pool2d": _mean_adaptive,
    "_adaptive_max_pool2d": _mean_adaptive,
    "adaptive_max_pool2d_with_indices": _mean_adaptive,
}


def mean_pool(features: Tensor, kernel_size: int = 2) -> tuple[Tensor, Switches]:
    """Stand for `max_pool`; the switches know sizes, and no maxima."""
    means = functional.avg_pool2d(features, kernel_size, kernel_size, ceil_mode=True)
    return means, Switches(features.new_empty(0), tuple(means.shape), (features.shape[-2], features.shape[-1]))


def spread(features: Tensor, switches: Switches, kernel_size: int = 2) -> Tensor:
    """Stand for `max_unpool`: every value over its whole cell, as it is on average over where maxima may be."""
    return _over_cells(features, (kernel_size, kernel_size), switches.size)


def _over_cells(features: Tensor, steps: Sizes, size: Sizes) -> Tensor:
    repeated = features.repeat_interleave(steps[0], -2).repeat_interleave(steps[1], -1)
    return repeated[..., : size[0], : size[1]] / (steps[0] * steps[1])


def _pair(value: Any) -> Sizes:
    return (value[0], value[-1]) if isinstance(value, tuple | list) else (value, value)
