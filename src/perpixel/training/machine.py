"""What the machine does best: memory, threads, number format and layout, measured rather than guessed."""

import copy
import ctypes
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from perpixel.errors import UsageError

Precision = Literal["auto", "32", "bf16"]


@dataclass(frozen=True)
class Plan:
    """How tensors are held while training: number format and memory layout."""

    bfloat16: bool
    channels_last: bool

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of images and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context in which the network runs; losses stay outside it, in float32."""
        return torch.autocast(device.type, torch.bfloat16) if self.bfloat16 else nullcontext()

    @classmethod
    def parse(cls, text: str) -> "Plan":
        """Read what `str` wrote."""
        return cls("bfloat16" in text, "channels_last" in text)

    def __str__(self) -> str:
        layout = "channels_last" if self.channels_last else "contiguous"
        return f"{'bfloat16' if self.bfloat16 else 'float32'}, {layout}"


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed memory instead of handing it back to the kernel.

    A training step, or one image after another, allocates and frees the same large tensors again and again; by default
    each one is mapped and zeroed anew by the kernel. Elsewhere than on Linux with glibc this does nothing.

    Source: mallopt(3): M_MMAP_MAX = -4, M_TRIM_THRESHOLD = -1, M_TOP_PAD = -2.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(-4, 0)
    mallopt(-1, 2**31 - 1)
    mallopt(-2, 64 << 20)


def choose_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device: expected a CUDA device, found none. Use --device cpu.")
    return torch.device(name)


def choose_plan(
    model: nn.Module, image: Tensor, loss: Callable[[Any], Tensor], precision: Precision
) -> tuple[Plan, dict[str, float]]:
    """Time one training step in each format on a copy of the model, and take the fastest.

    On a CPU it is processor time that counts, of all threads together: another program that takes the cores for
    some seconds would make the format look slow that is measured meanwhile.

    Args:
        model: On its device; left as it is.
        image: (N, C, H, W), of the size that training will use.
        loss: From what the model returns to a scalar.
        precision: `32` and `bf16` restrict the choice to one number format.

    Returns: The plan, and the seconds a step took in each one, by the clock that was used.
    """
    seconds: dict[Plan, float] = {}
    for plan in _candidates(precision, image.device):
        allowance = 3 * min(seconds.values(), default=float("inf"))
        seconds[plan] = _time_step(model, image, loss, plan, allowance)
    best = min(seconds, key=lambda plan: seconds[plan])
    return best, {str(plan): round(value, 4) for plan, value in seconds.items()}


def _candidates(precision: Precision, device: torch.device) -> Iterator[Plan]:
    if precision != "bf16":
        yield Plan(bfloat16=False, channels_last=True)
        yield Plan(bfloat16=False, channels_last=False)
    if precision != "32" and (device.type == "cpu" or torch.cuda.is_bf16_supported()):
        yield Plan(bfloat16=True, channels_last=True)


def _time_step(model: nn.Module, image: Tensor, loss: Callable[[Any], Tensor], plan: Plan, allowance: float) -> float:
    """Return the best of three steps; stop early once it is plain that the plan is slower."""
    trial = copy.deepcopy(model).train().to(memory_format=plan.memory_format)  # type: ignore[call-overload]
    image = image.to(memory_format=plan.memory_format)
    clock = time.process_time if image.device.type == "cpu" else time.perf_counter
    best = float("inf")
    for _ in range(3):
        start = clock()
        with plan.autocast(image.device):
            logits = trial(image)
        loss(logits).backward()  # type: ignore[no-untyped-call]
        trial.zero_grad()
        if image.device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock() - start)
        if best > allowance:
            break
    return best
