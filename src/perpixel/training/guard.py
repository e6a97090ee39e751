"""Watch the loss: an odd first value is explained, a non-finite or exploding one stops the run."""

import math
from collections.abc import Sequence

from perpixel.errors import TrainingDiverged

EXPLODED = 50.0  # times the first losses
SETTLE = 20  # iterations after which the level to compare with is known


class LossGuard:
    """Judge each loss before its gradient is applied.

    Args:
        uniform: The loss of equal probabilities for every class on the first batch: ln K where classes
            weigh the same.
    """

    def __init__(self, uniform: float) -> None:
        self.uniform = uniform
        self.level = max(uniform, 1e-6)

    def first(self, loss: float, num_classes: int) -> str | None:
        """Explain an odd first loss, or return None for a sane one."""
        if self.uniform == 0:
            return (
                "The first batch has no labelled pixel: its loss is 0. If this goes on, check the masks with "
                "`perpixel inspect`."
            )
        ratio = loss / self.uniform
        expected = (
            f"{self.uniform:.3g} (guessing among {num_classes} classes; unweighted ln K = {math.log(num_classes):.3g})"
        )
        if ratio > 4:
            return (
                f"The first loss is {loss:.3g}, expected about {expected}. The network starts out sure and wrong: "
                "images may not be normalised as it expects, or weights come from another task."
            )
        if ratio < 0.25:
            return (
                f"The first loss is {loss:.3g}, expected about {expected}. The network already knows the answer, "
                "or nearly all pixels are of one class."
            )
        return None

    def check(self, loss: float, names: Sequence[str], iteration: int, rate: float) -> None:
        """Stop before a bad loss reaches the weights.

        Raises:
            TrainingDiverged: The loss is not finite, or far above where it began; the message names the
                files, the iteration, the learning rate, and what to try.
        """
        if iteration < SETTLE and math.isfinite(loss):
            self.level = max(self.level, loss)
        if math.isfinite(loss) and loss <= EXPLODED * self.level:
            return
        what = "is not finite" if not math.isfinite(loss) else f"exploded from {self.level:.3g}"
        raise TrainingDiverged(
            f"train: the loss {what}: {loss} at iteration {iteration}, learning rate {rate:.3g}, files: "
            f"{', '.join(names)}. The weights of the last validation are kept. Lower the rate "
            f"(--learning-rate {rate / 10:.1g}), add --set clip_gradient=1, or look at these files with "
            "`perpixel inspect`."
        )
