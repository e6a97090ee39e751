"""Optimisers with the rules that Caffe's networks need for their biases."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import torch
from torch import nn

from perpixel.training.recipe import SGD, AdamW, Optimizer


def make_optimizer(model: nn.Module, options: SGD | AdamW) -> torch.optim.Optimizer:
    """Build an optimiser over the trainable parameters, in groups of equal rate and decay.

    Each group remembers its share of the base rate in `rate`, so that a schedule sets
    `lr = base · factor · rate`.

    Source: `lr_mult` and `decay_mult` in the released FCN, SegNet and DeepLab prototxts.
    """
    groups = parameter_groups(model, options)
    if isinstance(options, SGD):
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
    """Set the base learning rate; each group keeps its share."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["rate"]


def _rules(model: nn.Module, options: Optimizer) -> Iterator[tuple[float, float, nn.Parameter]]:
    for module in model.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm)
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            if is_norm:
                share = options.norm_shift_decay if name == "bias" else options.norm_decay
                yield 1.0, options.weight_decay * share, parameter
            elif name == "bias":
                yield options.bias_rate, options.weight_decay * options.bias_decay, parameter
            else:
                yield 1.0, options.weight_decay, parameter
