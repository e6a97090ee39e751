"""Several processes as one: the few places where PyTorch's own distributed training shows.

A process learns its place from the variables that `torchrun` sets; alone, nothing here does anything.
"""

import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class World:
    """This process's place among the others."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0


def process_rank() -> int:
    """Return this process's number, as `torchrun` says; 0 alone."""
    return int(os.environ.get("RANK", "0"))


def join_world(device: torch.device) -> World:
    """Join the processes that `torchrun` started; a process on its own is the whole world."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return World()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return World(dist.get_rank(), dist.get_world_size())


def leave_world(world: World) -> None:
    """Leave in good order."""
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def share_model(model: nn.Module, world: World, device: torch.device) -> nn.Module:
    """Wrap a model so that gradients are averaged over processes; alone, return it as it is.

    Batch statistics are synchronised on CUDA only, where PyTorch can.
    """
    if world.size == 1:
        return model
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return DistributedDataParallel(model, device_ids=[device.index] if device.index is not None else None)


def sum_over_world(counts: NDArray[np.int64], world: World) -> NDArray[np.int64]:
    """Add an array over all processes."""
    if world.size == 1:
        return counts
    shared = _on_backend(torch.from_numpy(counts))
    dist.all_reduce(shared)
    return shared.cpu().numpy()


def lead_value(value: float, world: World) -> float:
    """Return the leading process's value on every process."""
    if world.size == 1:
        return value
    shared = _on_backend(torch.tensor([value], dtype=torch.float64))
    dist.broadcast(shared, 0)
    return float(shared)


def agree(flag: bool, world: World) -> bool:
    """Return whether any process raised the flag, so that all stop at the same iteration."""
    if world.size == 1:
        return flag
    votes = _on_backend(torch.tensor([int(flag)]))
    dist.all_reduce(votes, op=dist.ReduceOp.MAX)
    return bool(votes.item())


def _on_backend(tensor: Tensor) -> Tensor:
    """Put a tensor where the processes talk."""
    return tensor.cuda() if dist.get_backend() == "nccl" else tensor
