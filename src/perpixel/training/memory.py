"""How much memory a training step needs, and what fits: asked before the first step, not after a crash."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perpixel.errors import OutOfMemory

SPARE = 0.9  # the part of the free memory that a step may take
OVERHEAD = 1.6  # gradients and workspaces, over the activations kept: 1.1 to 1.7 measured on our networks


def step_bytes(model: nn.Module, image: Tensor, loss: Callable[[Any], Tensor]) -> int:
    """Estimate the bytes that a training step over `image` (N, C, H, W) needs, from what autograd keeps for it."""
    kept: dict[int, int] = {}

    def remember(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    state = {name: value.clone() for name, value in model.named_buffers()}
    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        loss(model(image))
    for name, value in model.named_buffers():
        value.copy_(state[name])
    held = sum(p.untyped_storage().nbytes() for p in model.parameters())
    return int(OVERHEAD * max(0, sum(kept.values()) - held))


def require_memory(per_image: int, fixed: int, batch_size: int, crop_size: tuple[int, int], free: int | None) -> None:
    """Refuse a batch that cannot fit.

    Args:
        per_image: Bytes that one image of `crop_size` needs.
        fixed: Bytes of gradients and of the optimiser's state.
        batch_size: Images in a step.
        crop_size: (H, W) in pixels, as the network sees them.
        free: Bytes available, or None where the system does not tell.

    Raises:
        OutOfMemory: The message names a batch size and a crop that would fit.
    """
    if free is None or fixed + batch_size * per_image <= free * SPARE:
        return
    raise OutOfMemory(advice(per_image, fixed, batch_size, crop_size, free))


def advice(per_image: int, fixed: int, batch_size: int, crop_size: tuple[int, int], free: int) -> str:
    """Say what would fit into `free` bytes."""
    room = max(0.0, free * SPARE - fixed)
    needed = (fixed + batch_size * per_image) / 2**30
    head = (
        f"train: a batch of {batch_size} crops of {crop_size[0]}×{crop_size[1]} needs about {needed:.1f} GB, "
        f"and {free / 2**30:.1f} GB are free. "
    )
    fitting = int(room // max(per_image, 1))
    if fitting >= 1:
        rounds = -(-batch_size // fitting)
        return head + f"Use --batch-size {fitting} (with --set accumulate={rounds} for the same gradient)."
    shrink = (room / max(per_image, 1)) ** 0.5
    if shrink * min(crop_size) >= 32:
        height, width = (max(32, int(side * shrink) // 32 * 32) for side in crop_size)
        return head + f"Use --batch-size 1 --crop-size {height} {width}."
    return head + "Use a narrower network (--set width=0.25), or a machine with more memory."


def free_bytes(device: torch.device) -> int | None:
    """Return the memory that is free on a device, or None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = [value for value in (_available(), _cgroup_room()) if value is not None]
    return min(found, default=None)


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return _physical()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _cgroup_room() -> int | None:
    """Return what a container's own limit leaves (cgroup v2)."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
        return None if limit == "max" else int(limit) - int(used)
    except (OSError, ValueError):
        return None
