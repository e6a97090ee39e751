"""Which numbers a CRF gets where none are named: the run's own, else its network's paper's, else the default.

RUN/crf.yaml      found for this run by `perpixel tune-crf`
the network       what its authors released with it
"default"         `CrfOptions()`
"""

from typing import NamedTuple

from perpixel.crf.options import PRESETS, CrfOptions, find_preset
from perpixel.runs.crf.tuned import read_tuned
from perpixel.runs.run import Run

AUTO = "auto"

# Network -> preset, where the names differ. No numbers were released with 7 x 7: it takes those of 4 x 4.
PAPERS = {
    "deeplab-v1-4x4": "deeplab-v1",
    "deeplab-v1-7x7": "deeplab-v1",
    "deeplab-v2-vgg16-aspp-s": "deeplab-v2-vgg16",
    "deeplab-v2-vgg16-aspp-l": "deeplab-v2-vgg16",
}


class Choice(NamedTuple):
    """A CRF's numbers, where they are from, and what to be warned of."""

    options: CrfOptions
    source: str
    warning: str | None = None


def choose_crf(run: Run, word: str = AUTO) -> Choice:
    """Return the CRF's numbers for a run.

    Args:
        run: Its `crf.yaml` and its network are asked.
        word: A preset; or "auto".

    Raises:
        UsageError: There is no such preset.
        RunError: `crf.yaml` cannot be read.
    """
    if word != AUTO:
        return Choice(find_preset(word), f"preset {word}")
    tuned = read_tuned(run.path)
    if tuned is not None:
        return Choice(tuned.options, "tuned for this run", tuned.warning)
    model = run.recipe.model
    preset = PAPERS.get(model, model if model in PRESETS else "default")
    return Choice(PRESETS[preset], f"preset {preset}; `perpixel tune-crf` finds this run's own")
