"""The colours of a number: dark violet to pale yellow by way of red.

Lightness rises evenly, so that it reads in grey and to the colour-blind.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ANCHORS = np.array(
    [(10, 8, 40), (66, 14, 104), (126, 30, 108), (186, 54, 84), (232, 96, 46), (250, 160, 30), (250, 248, 170)],
    dtype=np.float64,
)


def colors(share: NDArray[Any]) -> NDArray[np.float32]:
    """Return the colour of each value from 0 to 1, as (..., 3), 0 to 255."""
    places = np.linspace(0, 1, len(ANCHORS))
    channels = [np.interp(share, places, ANCHORS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)
