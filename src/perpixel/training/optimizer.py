"""Which parameters learn, and how fast: Caffe's rules for biases and for single layers."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

import torch
from torch import nn

from perpixel.errors import UsageError
from perpixel.training.recipe import SGD, AdamW, Optimizer

# What the papers call the classifier: the layers that score classes, by the names they have in the networks.
CLASSIFIER = ("*score*", "*classifier*", "*fc8*")


def make_optimizer(model: nn.Module, options: SGD | AdamW) -> torch.optim.Optimizer:
    """Build an optimiser over the trainable parameters, in groups of equal rate and decay.

    Each group remembers its share of the base rate in `rate`, so that a schedule sets
    `lr = base · factor · rate`.

    Source: `lr_mult` and `decay_mult` in the released FCN, SegNet and DeepLab prototxts.
    """
    groups = parameter_groups(model, options)
    if isinstance(options, SGD):
        if options.momentum_keeps_rate:
            groups = [{**group, "caffe_momentum": options.momentum} for group in groups]
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum, foreach=True)
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=options.betas, foreach=True)


def parameter_groups(model: nn.Module, options: Optimizer) -> list[dict[str, Any]]:
    """Sort trainable parameters into weights, biases and norms, each with its rate and decay."""
    rules = sorted(_rules(model, options), key=lambda rule: rule[:2])
    groups = []
    for (rate, decay), members in groupby(rules, key=lambda rule: rule[:2]):
        parameters = [parameter for _, _, parameter in members]
        groups.append({"params": parameters, "lr": options.learning_rate * rate, "weight_decay": decay, "rate": rate})
    return groups


def set_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the base learning rate; each group keeps its share.

    Caffe multiplies the rate into the momentum's buffer, V <- m V + lr g, PyTorch takes it out, v <- m v + g: they
    are V = lr v, the same for a rate that never changes. Where it does, a momentum of m times the old rate over the
    new one for this step makes PyTorch's the other's.

    Source: Caffe, `SGDSolver::ComputeUpdateValue`.
    """
    for group in optimizer.param_groups:
        before, group["lr"] = group["lr"], learning_rate * group["rate"]
        if "caffe_momentum" in group and group["lr"] > 0:
            group["momentum"] = group["caffe_momentum"] * before / group["lr"]


def freeze(model: nn.Module, trainable: str | tuple[str, ...]) -> None:
    """Let only some parameters learn.

    Args:
        model: Changed in place.
        trainable: "all", "classifier", or patterns of parameters' names, e.g. "*score*".

    Raises:
        UsageError: No parameter has such a name.
    """
    if trainable == "all":
        return
    patterns = CLASSIFIER if isinstance(trainable, str) else trainable
    names = [name for name, _ in model.named_parameters()]
    chosen = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
    if not chosen:
        raise UsageError(
            f"trainable: expected patterns of parameters' names, got {', '.join(patterns)}, which fit none. "
            f"This network has {', '.join(names[-4:])} and {max(0, len(names) - 4)} more."
        )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen and parameter.requires_grad)


def _rules(model: nn.Module, options: Optimizer) -> Iterator[tuple[float, float, nn.Parameter]]:
    for prefix, module in model.named_modules():
        is_norm = isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm)
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            rate = _layer_rate(f"{prefix}.{name}" if prefix else name, options.layer_rates)
            if is_norm:
                share = options.norm_shift_decay if name == "bias" else options.norm_decay
                yield rate, options.weight_decay * share, parameter
            elif name == "bias":
                yield rate * options.bias_rate, options.weight_decay * options.bias_decay, parameter
            else:
                yield rate, options.weight_decay, parameter


def _layer_rate(name: str, rates: dict[str, float]) -> float:
    return next((rate for pattern, rate in rates.items() if fnmatchcase(name, pattern)), 1.0)
