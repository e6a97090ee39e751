"""Street scenes drawn by a program: embedded data for demonstrations, tests and benchmarks."""

from perpixel.data.synthetic.canvas import CLASSES
from perpixel.data.synthetic.scene import scene

__all__ = ["CLASSES", "scene"]
