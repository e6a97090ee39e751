"""The CRF's numbers that were found for a run, in its `crf.yaml`.

bilateral: [3, 30, 5]         what `perpixel evaluate RUN --crf` and `predict RUN --crf` use
spatial: [3, 3]
…
found:                        how: on what, and what it brought
  measure: mean_iou
  split: train
  images: 40
  before: {mean_iou: 0.66, mean_iou_near_borders: 0.41}
  after: {mean_iou: 0.67, mean_iou_near_borders: 0.44}

Whoever searched without gain is told so, and so is whoever uses the numbers then.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from perpixel.crf.options import CrfOptions
from perpixel.errors import RunError, UsageError
from perpixel.training.files import write_atomically

TUNED = "crf.yaml"

Measure = Literal["mean_iou", "mean_iou_near_borders", "pixel_accuracy"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True)
class Tuned:
    """The best numbers of a search, and what they brought.

    Args:
        options: For the CRF.
        measure: What was to be as high as possible.
        split: On which part of the data.
        images: How many of it.
        before: Each measure without a CRF, as fractions.
        after: Each measure with it.
        perpixel: The version that searched.
    """

    options: CrfOptions
    measure: Measure
    split: str
    images: int
    before: dict[str, float | None]
    after: dict[str, float | None]
    perpixel: str = ""

    @property
    def gain(self) -> float:
        """What the CRF adds to the measure; not above 0 means that it is better left out."""
        return (self.after[self.measure] or 0.0) - (self.before[self.measure] or 0.0)

    @property
    def warning(self) -> str | None:
        """What a user of these numbers must know, if anything."""
        if self.gain > 0:
            return None
        return (
            f"the CRF brought no gain when it was tuned: {self.measure.replace('_', ' ')} on {self.images} images of "
            f"{self.split} went from {_percent(self.before[self.measure])} to {_percent(self.after[self.measure])}. "
            "Predictions are likely better without --crf"
        )


def load_tuned(run: Path | str) -> CrfOptions | None:
    """Return the CRF's numbers that `perpixel tune-crf` found for a run; None where it was not tuned.

    Raises:
        RunError: `crf.yaml` is there and cannot be read.
    """
    tuned = read_tuned(run)
    return None if tuned is None else tuned.options


def read_tuned(run: Path | str) -> Tuned | None:
    """Return the same with what is known about it.

    Raises:
        RunError: `crf.yaml` is there and cannot be read.
    """
    path = Path(run) / TUNED
    if not path.exists():
        return None
    try:
        values = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
        found = dict(values.pop("found"))
        tuned = Tuned(CrfOptions.from_dict(values), **found)
        if tuned.measure not in tuned.before or tuned.measure not in tuned.after:
            raise KeyError(tuned.measure)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError, KeyError, UsageError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(
            f"crf: {path} cannot be read ({reason}). Tune again with `perpixel tune-crf {run}`, or name a preset."
        ) from None
    return tuned


def write_tuned(run: Path, tuned: Tuned) -> Path:
    """Write `crf.yaml` in one step; return its path."""
    facts: dict[str, Any] = {
        "measure": tuned.measure, "split": tuned.split, "images": tuned.images,
        "before": tuned.before, "after": tuned.after, "perpixel": tuned.perpixel,
    }  # fmt: skip
    text = "# Found by `perpixel tune-crf`; `evaluate` and `predict` use it where --crf names no preset.\n"
    text += yaml.safe_dump(tuned.options.to_dict() | {"found": facts}, sort_keys=False, width=110)

    def write(beside: Path) -> None:
        beside.write_text(text, encoding="utf-8")

    write_atomically(run / TUNED, write)
    return run / TUNED


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.2f} %"
