"""A network small enough to check by hand."""

import pytest
import torch
from torch import nn

from perpixel.data.normalization import Normalization
from perpixel.data.palette import distinct_colors
from perpixel.inference.segmenter import Segmenter


class Levels(nn.Module):
    """Class k wants channel k to be bright."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image


@pytest.fixture
def levels() -> Segmenter:
    """A segmenter whose classes are red, green and blue."""
    norm = Normalization(mean=(0, 0, 0), std=(1, 1, 1))
    return Segmenter(Levels(), ("red", "green", "blue"), distinct_colors(3), norm)
