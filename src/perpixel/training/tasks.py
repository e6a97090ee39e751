"""What a sample asks of a network: a literal table, one row a task.

    segmentation   which class is each pixel?               images with masks        mean IoU
    tagging        which classes does the image show?       all images with tags     F1 of tags
    per-label      which pixels are of the named classes?   images with masks        mean IoU, of all classes together
    attention      which label is what a label looks at?    all images with tags     F1 of tags, told by attention
    transfer       that, and which pixels are the label's?  tags and masks in turn   mean IoU, of all classes together

The loop (`fit`) is the same for all.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from perpixel.metrics.scores import Scores
from perpixel.metrics.tags import TagScores
from perpixel.training.batches import TrainingSamples
from perpixel.training.objective import Objective
from perpixel.training.per_label import LabelSamples, PerLabel
from perpixel.training.recipe import Task
from perpixel.training.tagging import Classifying, TaggedSamples, Tagging, validate_tags
from perpixel.training.transfer import AttentionObjective, Perceiving, TransferObjective, TransferSamples
from perpixel.training.validate import Example, validate


@dataclass(frozen=True)
class Row:
    """How a task is trained and validated.

    Attributes:
        samples: What is shown to the network.
        objective: What is made small.
        answer: From the network to the module that is validated.
        validate: Scores that module on a split.
        from_masks: Whether it learns from masks, or is scored by them.
    """

    samples: type[TrainingSamples]
    objective: type[Objective]
    answer: Callable[[nn.Module], nn.Module]
    validate: Callable[..., tuple[Scores | TagScores, list[Example]]]
    from_masks: bool


def itself(network: nn.Module) -> nn.Module:
    """Return the network, which predicts classes of pixels."""
    return network


TASKS: dict[Task, Row] = {
    "segmentation": Row(TrainingSamples, Objective, itself, validate, from_masks=True),
    "tagging": Row(TaggedSamples, Tagging, Classifying, validate_tags, from_masks=False),
    "per-label": Row(LabelSamples, PerLabel, itself, validate, from_masks=True),
    "attention": Row(TransferSamples, AttentionObjective, Perceiving, validate_tags, from_masks=True),
    "transfer": Row(TransferSamples, TransferObjective, itself, validate, from_masks=True),
}
