"""How good a prediction is, measured on counts of pixels."""

from perpixel.metrics.boundary import Boundary
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import DEFINITIONS, Scores

__all__ = ["DEFINITIONS", "Boundary", "Confusion", "Scores"]
