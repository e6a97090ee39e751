"""perpixel: a label for every pixel.

    model = perpixel.build("fcn8s", num_classes=21)     # a network, image -> logits
    segmenter = perpixel.load("runs/street")            # a trained run
    result = segmenter.predict("photo.jpg")

Names are imported when first used, so that the command line starts at once.

Importing perpixel sets one environment variable, unless it is set: OMP_WAIT_POLICY=PASSIVE. Threads that wait
then sleep; spinning ones make training on a busy machine up to 50 times slower. OpenMP reads it when PyTorch is
loaded, so it must be said before.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perpixel.models.catalog import build
    from perpixel.runs.load import load
    from perpixel.runs.start import train

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
__all__ = ["__version__", "build", "load", "train"]

_HOMES = {"build": "perpixel.models.catalog", "load": "perpixel.runs.load", "train": "perpixel.runs.start"}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'perpixel' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
