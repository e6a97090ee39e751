"""Look at a data set before training: what is in it, what is wrong, and how that is mended."""

from perpixel.data.inspection.problems import Problem
from perpixel.data.inspection.report import ClassShare, Inspection
from perpixel.data.inspection.run import inspect

__all__ = ["ClassShare", "Inspection", "Problem", "inspect"]
