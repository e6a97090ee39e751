"""The objective: a network and its loss as one module, from an image and its target to a number.

    image --> network --+--> logits 1 (K, H, W) --> loss 1 --x 1.0--+
                        +--> logits 2 (K, h, w) --> loss 2 --x 0.5--+--> objective
                                                      ^
    target --(sampled)-- shrunk to each output's size-+

A network that is trained on several outputs, or on smaller ones than it predicts, has `training_logits(image)`, a
tuple with the main output first, and `loss_weights`; every other network is trained on what it predicts. One module
holds all, so that several processes average the gradients of everything that learns.

Letters: N images, K classes, H W pixels of the target, h w of an output.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from perpixel.data.masks import IGNORE
from perpixel.errors import UsageError
from perpixel.losses.bootstrapped import bootstrapped_cross_entropy
from perpixel.losses.border import border_weights
from perpixel.losses.cross_entropy import cross_entropy
from perpixel.losses.sampling import sample_target
from perpixel.losses.weighted import weighted_cross_entropy
from perpixel.training.machine import Plan
from perpixel.training.recipe import Bootstrapped, BorderWeighted, Recipe

Logits = tuple[Tensor, ...]
Labels = Tensor | None  # (N, L), 0 or 1


class Objective(nn.Module):
    """What training makes small.

    Args:
        network: image (N, C, H, W) -> logits (N, K, H, W), and perhaps `training_logits` and `loss_weights`.
        recipe: Which loss, and how outputs weigh.
        class_weights: Factors of the K classes, or None.

    Attributes:
        plan: Number format the network runs in; losses are always in float32.
        auxiliary: What the weights of all outputs but the first are multiplied by now.
    """

    class_weights: Tensor | None

    def __init__(self, network: nn.Module, recipe: Recipe, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.outputs, self.recipe = self.outputs_of(network), recipe
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.plan = Plan(bfloat16=False, channels_last=False)
        self.auxiliary = 1.0

    def outputs_of(self, network: nn.Module) -> "Outputs":
        """Return what is trained of a network."""
        return Outputs(network)

    def ways(self) -> int | None:
        """Return how many answers each question has; None: as many as the data has classes."""
        return None

    def forward(
        self, image: Float[Tensor, "N C H W"], target: Int64[Tensor, "N H W"], labels: Labels = None
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        return self.loss(self.run(image, labels), target, labels)

    def run(self, image: Float[Tensor, "N C H W"], labels: Labels = None) -> Logits:
        """Return the outputs, computed in the plan's number format."""
        with self.plan.autocast(image.device):
            logits: Logits = self.outputs(image, labels)
        return logits

    def loss(self, outputs: Logits, target: Int64[Tensor, "N H W"], labels: Labels = None) -> Float[Tensor, ""]:
        """Return the weighted sum of the outputs' losses.

        Args:
            outputs: Of `run`.
            target: Ids.
            labels: What the samples are labelled with; only other tasks look at it.

        Raises:
            UsageError: There are more or fewer weights than outputs, or an output scores groups that are not given.
        """
        if self.recipe.loss_sampling < 1:
            target = sample_target(target, self.recipe.loss_sampling, self.recipe.loss_cell, IGNORE)
        weights = self.weights(len(outputs))
        classes = outputs[0].shape[1]
        losses = [
            weight * self.output_loss(logits, target, classes)
            for weight, logits in zip(weights, outputs, strict=True)
            if weight
        ]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def weights(self, count: int) -> tuple[float, ...]:
        """Return what each of `count` outputs weighs now."""
        weights = self.recipe.loss_weights or self.outputs.weights or (1.0,) * count
        if len(weights) != count or not any(weights):
            raise UsageError(
                f"loss_weights: expected {count} values, one for each output that {self.recipe.model} is trained on, "
                f"and not all 0, got {tuple(weights)}."
            )
        return (weights[0], *(weight * self.auxiliary for weight in weights[1:]))

    def output_loss(
        self, logits: Float[Tensor, "N _ h w"], target: Int64[Tensor, "N H W"], num_classes: int
    ) -> Float[Tensor, ""]:
        """Return one output's loss, against the target at its size, or the groups of its classes.

        Raises:
            UsageError: The output scores groups, and the recipe does not say which class is in which.
        """
        recipe, class_weights = self.recipe, self.class_weights
        if logits.shape[1] != num_classes:
            target, class_weights = group_target(target, self.known_groups(num_classes, logits.shape[1])), None
        target = shrink_target(target, (logits.shape[-2], logits.shape[-1]))
        match recipe.loss:
            case Bootstrapped(pixels=pixels):
                return bootstrapped_cross_entropy(logits, target, pixels, class_weights, IGNORE)
            case BorderWeighted(weight=weight, std=std, background=background):
                pixels_weigh = border_weights(target, class_weights, weight, std, background, IGNORE)
                return weighted_cross_entropy(logits, target, pixels_weigh, None, recipe.loss_normalization, IGNORE)
            case _:
                return cross_entropy(logits, target, class_weights, recipe.loss_normalization, IGNORE)

    def known_groups(self, num_classes: int, count: int) -> Int64[Tensor, " K"]:
        """Return each class's group, one of `count`."""
        groups = self.recipe.label_groups
        if len(groups) != num_classes or max(groups) >= count:
            raise UsageError(
                f"label_groups: expected {num_classes} values from 0 to {count - 1}, the group of each class, for the "
                f"output of {self.recipe.model} that tells {count} groups apart, got {groups}. Say "
                "--set label_groups=[…]."
            )
        return torch.tensor(groups, dtype=torch.int64)


class Outputs(nn.Module):
    """A network, giving all logits that have a loss, the main ones first."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.weights: tuple[float, ...] | None = getattr(network, "loss_weights", None)

    def forward(self, image: Float[Tensor, "N C H W"], labels: Labels = None) -> Logits:
        """Return what the network is trained on."""
        several: Any = getattr(self.network, "training_logits", None)
        return (self.network(image),) if several is None else tuple(several(image))


def shrink_target(target: Int64[Tensor, "N H W"], size: tuple[int, int]) -> Int64[Tensor, "N h w"]:
    """Return the ids at an output's size: corners meet corners, and the nearest id is taken between them.

    From 321 to 41 that is every eighth pixel from the first on, as DeepLab's `label_shrink` takes them; at sizes
    other than 8n + 1 Caffe's layer would mix ids, and this does not.

    Source: DeepLab's `Interp` layer with shrink_factor 8, which lays corner on corner.
    """
    if target.shape[-2:] == size:
        return target
    rows, columns = (_positions(target.shape[axis], size[axis - 1], target.device) for axis in (1, 2))
    return target[:, rows[:, None], columns[None, :]]


def _positions(source: int, wanted: int, device: torch.device) -> Tensor:
    step = (source - 1) / max(wanted - 1, 1)
    return (torch.arange(wanted, device=device, dtype=torch.float64) * step).round().long()


def group_target(target: Int64[Tensor, "N H W"], groups: Int64[Tensor, " K"]) -> Int64[Tensor, "N H W"]:
    """Return each pixel's group instead of its class; ignored pixels stay ignored."""
    known = target != IGNORE
    return torch.where(known, groups.to(target.device)[target.where(known, 0)], IGNORE)
