"""Street scenes drawn by a program: embedded data for demonstrations, tests and benchmarks."""

from perpixel.data.synthetic.canvas import CLASSES
from perpixel.data.synthetic.dataset import COLORS, SyntheticScenes, write_scenes
from perpixel.data.synthetic.scene import scene

__all__ = ["CLASSES", "COLORS", "SyntheticScenes", "scene", "write_scenes"]
