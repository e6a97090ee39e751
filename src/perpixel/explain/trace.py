"""Run a network once without computing anything, and write down what happens.

    module ──run on the meta device──> operations ──rules──> rows: shape, field, parameters, multiply-adds

Tensors on the meta device have a shape and no values, so the largest network is traced in a moment, at any
size. A module that asks for values on its way is run where it lives instead.

Letters: N batch, C channels, H W pixels.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile

import torch
from torch import Tensor, nn

from perpixel.errors import UsageError
from perpixel.explain.layers import Explained, LayerRow
from perpixel.explain.watch import Trace

UPWARDS = ("deconvolution", "unpooling")


def explain(
    module: nn.Module, image_size: tuple[int, int] = (224, 224), in_channels: int | None = None, name: str = ""
) -> Explained:
    """Lay out any network: its layers in running order, with shapes, receptive fields and costs.

    Args:
        module: image (1, C, H, W) -> map or scores. It is run once, in evaluation mode, and not changed.
        image_size: (H, W) of the image.
        in_channels: C; read from the first convolution if not given.
        name: For the table; the class's if not given.

    Returns: Rows, and totals. Fields are the theoretical ones, in pixels of the image, borders left aside.
    Raises:
        UsageError: The network does not take such an image.
    """
    channels = first_channels(module) if in_channels is None else in_channels
    try:
        trace = _run(module, (1, channels, *image_size), "meta")
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        trace = _run_for_real(module, (1, channels, *image_size), error)
    rows = tuple(trace.rows)
    stride, size = coarsest(rows)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    macs = sum(row.macs for row in rows)
    return Explained(name or type(module).__name__, image_size, parameters, macs, stride, size, rows)


def coarsest(rows: Iterable[LayerRow]) -> tuple[float | None, int | None]:
    """Return stride and field of the coarsest map, at the last row before the way up begins."""
    known = [(row.stride, row.receptive_field, row.type) for row in rows if row.stride and row.receptive_field]
    if not known:
        return None, None
    stride = max(stride for stride, _, _ in known)
    first = next(index for index, (own, _, _) in enumerate(known) if own == stride)
    downwards = takewhile(lambda row: row[2] not in UPWARDS, known[first:])
    return stride, max(size for own, size, _ in downwards if own == stride)


def first_channels(module: nn.Module) -> int:
    """Return how many channels a network says it reads, or its first convolution; 3 where there is neither."""
    if isinstance(own := getattr(module, "in_channels", None), int):
        return own
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            return layer.in_channels
    return 3


def _run(module: nn.Module, shape: tuple[int, ...], device: torch.device | str) -> "Trace":
    named: dict[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    tensors = {name: tensor.detach().to(device) for name, tensor in named.items()}
    parameters = {name: tensors[name] for name, _ in module.named_parameters()}
    trace = Trace(module, parameters)
    image = torch.zeros(shape, device=device, dtype=_dtype(parameters.values()))
    with torch.no_grad(), evaluating(module), trace.watching(image):
        torch.func.functional_call(module, tensors, (image,))
    return trace


def _run_for_real(module: nn.Module, shape: tuple[int, ...], reason: Exception) -> "Trace":
    devices = {parameter.device for parameter in module.parameters()} or {torch.device("cpu")}
    try:
        if devices == {torch.device("meta")}:
            raise reason
        return _run(module, shape, devices.pop())
    except (RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"explain: expected a network that takes an image of shape {shape}, got {type(error).__name__}: {error}. "
            "Name another --image-size (image_size=), or the channels it reads (in_channels=)."
        ) from error


def _dtype(parameters: Iterable[Tensor]) -> torch.dtype:
    floats = [parameter.dtype for parameter in parameters if parameter.is_floating_point()]
    return floats[0] if floats else torch.float32


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Hold a module in evaluation mode, and then every part of it in its own."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
