"""Tell a few grey levels from the noise of JPEG around them and the mixtures of smooth edges between them."""

import numpy as np

from perpixel.data.inspection.histogram import Histogram

LEVELS_APART = 32  # levels closer than this may be ids; farther apart, values between them may be their mixtures


def find_levels(total: Histogram, lossy: bool) -> list[int]:
    """Return the levels that cover areas, if all other values are noise near or mixtures between them."""
    levels = sorted(_blurred_levels(total) if lossy else _exact_levels(total))
    apart = len(levels) < 2 or int(np.diff(levels).min()) >= LEVELS_APART
    return levels if apart else []


def _exact_levels(total: Histogram) -> list[int]:
    """Return values that are mostly interior, if next to nothing else is."""
    solid = total.interior >= 0.1 * total.pixels
    covered = total.pixels[solid].sum() >= 0.8 * total.total
    clean = total.interior[~solid].sum() <= 0.05 * total.interior.sum()
    return [int(value) for value in total.values[solid]] if covered and clean else []


def _blurred_levels(total: Histogram) -> list[int]:
    """Return the middle of each cluster of alike values that is mostly interior and mostly its middle."""
    left, covered = total.interior.copy(), 0
    levels: list[int] = []
    while left.max(initial=0) > 0:
        centre = int(total.values[left.argmax()])
        distance = np.abs(total.values - centre)
        near, middle = (distance < LEVELS_APART) & (left > 0), distance <= 4
        inside, pixels = int(left[near].sum()), int(total.pixels[near].sum())
        if inside < max(9, 1e-4 * total.total):
            break
        ringing = any(abs(centre - level) < 2 * LEVELS_APART and inside < 0.01 * total.total for level in levels)
        if inside >= 0.25 * pixels and not ringing:
            if left[near & middle].sum() < 0.6 * inside:
                return []  # several ids, too close for JPEG to keep them apart
            levels.append(centre)
            covered += pixels
        left[near] = 0
    return levels if covered >= 0.8 * total.total else []
