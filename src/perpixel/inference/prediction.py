"""What a network says about one image.

Letters: K classes, H W pixels, C channels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perpixel.data import palette as colors
from perpixel.data.masks import MaskCoding
from perpixel.errors import UsageError
from perpixel.inference.seams import Seams
from perpixel.inference.uncertainty import UncertaintyMaps

Probabilities = NDArray[np.float32]


@dataclass
class Prediction:
    """A class id for every pixel, and how sure the network is.

    Args:
        pixels: The image as the network was given it, (H, W, C).
        prediction: Class ids, int64 (H, W).
        classes: Names in the order of the ids.
        palette: One colour a class.
        coding: How the data set's own masks store class ids, where that is known.
        kept: Probabilities, where they were kept.
        compute: Returns them where they were not.
        uncertainty: How unsure the network is, where that was asked for.
        seams: How neighbouring tiles agree, where there were any.
    """

    pixels: NDArray[Any]
    prediction: NDArray[np.int64]
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    coding: MaskCoding | None
    kept: Probabilities | None
    compute: Callable[[], Probabilities]
    uncertainty: UncertaintyMaps | None = None
    seams: Seams | None = None

    @property
    def probabilities(self) -> Probabilities:
        """Probabilities, float32 (K, H, W); they sum to 1 over K.

        They need 4·K·H·W bytes. Where that is more than 64 MB they were not kept, and the network runs
        once more on first use; `predict(…, probabilities=True)` keeps them.
        """
        if self.kept is None:
            self.kept = self.compute()
        return self.kept

    def overlay(self, opacity: float = 0.5, legend: bool = True) -> Image.Image:
        """Draw the classes' colours over the image.

        Args:
            opacity: 0 shows the image, 1 the colours.
            legend: Name the colours below; the picture is then taller than the image.
        """
        if legend:
            return colors.overlay_with_legend(self.pixels, self.prediction, self.palette, self.classes, opacity)
        return colors.overlay(self.pixels, self.prediction, self.palette, opacity)

    def original_values(self) -> NDArray[Any]:
        """Return what a mask of the data set would store: integers (H, W), or colours (H, W, 3).

        Raises:
            UsageError: Nothing is known about the data set's masks.
        """
        if self.coding is None:
            raise UsageError(
                "original_values: expected a network that knows its data set's masks, got one without. "
                "Load a run directory."
            )
        return self.coding.encode(self.prediction)
