"""perpixel: a label for every pixel.

    model = perpixel.build("fcn8s", num_classes=21)     # a network, image -> logits
    segmenter = perpixel.load("runs/street")            # a trained run
    result = segmenter.predict("photo.jpg")

Names are imported when first used, so that the command line starts at once.

Importing perpixel sets two environment variables, unless OMP_WAIT_POLICY is set: OMP_WAIT_POLICY=PASSIVE and
GOMP_SPINCOUNT=10000. Threads that wait then spin for some microseconds and go to sleep. Spinning for long makes a
busy machine much slower; sleeping at once makes a quiet one a tenth slower or more (benchmarks/threads.py). OpenMP
reads them when PyTorch is loaded, so they must be said before.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perpixel.crf.refine import refine
    from perpixel.models.catalog import build
    from perpixel.runs.load import load
    from perpixel.runs.start import train

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = "0.1.0"
__all__ = ["__version__", "build", "load", "refine", "train"]

_HOMES = {
    "build": "perpixel.models.catalog",
    "load": "perpixel.runs.load",
    "refine": "perpixel.crf.refine",
    "train": "perpixel.runs.start",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'perpixel' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
