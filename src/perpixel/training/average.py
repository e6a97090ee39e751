"""Averages of weights and of batch statistics."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class WeightAverage:
    """An exponential moving average of the weights, which scores better than the last ones.

    Args:
        model: Whose trainable parameters are averaged.
        decay: Of the average per update; 0 turns it off. Early on the average follows more quickly:
            min(decay, (1 + t) / (10 + t)).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: list[Tensor] = [p.detach().clone() for p in self._parameters(model)] if decay else []

    @torch.no_grad()
    def update(self, model: nn.Module, iteration: int) -> None:
        """Move the average towards the model's weights."""
        if self.decay:
            decay = min(self.decay, (1 + iteration) / (10 + iteration))
            torch._foreach_lerp_(self.state, self._parameters(model), 1 - decay)

    @contextmanager
    def swapped_in(self, model: nn.Module) -> Iterator[None]:
        """Let the model have the averaged weights for a while."""
        if not self.decay:
            yield
            return
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def _swap(self, model: nn.Module) -> None:
        for average, parameter in zip(self.state, self._parameters(model), strict=True):
            held = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(held)

    @staticmethod
    def _parameters(model: nn.Module) -> list[Tensor]:
        return [parameter for parameter in model.parameters() if parameter.requires_grad]


@torch.no_grad()
def recompute_batch_norm(model: nn.Module, batches: Iterable[T], forward: Callable[[T], object]) -> None:
    """Replace running statistics by the plain average over batches of the training set.

    Only of layers that training moves: a part that stays in evaluation mode keeps what it has.

    Source: SegNet-Tutorial, Scripts/compute_bn_statistics.py; the released nets keep no running averages.
    """
    model.train()
    norms = [norm for norm in model.modules() if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for batch in batches:
        forward(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
