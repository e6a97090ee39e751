"""The most probable class of each pixel."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def class_ids(values: Float[Tensor, "K H W"]) -> UInt8[Tensor, "H W"]:
    """Return the class with the largest value; the first of several.

    PyTorch's `max` finds it on a CPU 5 to 10 times as fast as its `argmax` does where a map is stored class by class.

    Args:
        values: Logits or probabilities of at most 256 classes.
    """
    return values.max(0).indices.to(torch.uint8)
