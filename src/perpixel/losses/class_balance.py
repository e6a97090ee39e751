"""Class weights that make up for rare classes, from counts of pixels.

    none              1
    median-frequency  median of all freq / freq(c);  freq(c) = pixels of c / pixels of the images that show c
    enet              1 / ln(1.02 + p(c));           p(c) = pixels of c / all pixels
    enet-root         √(1 / ln(1.02 + p(c)));        ours: rare classes weigh up to 6 times as much, not 36

Source: Eigen & Fergus, ICCV 2015, Sec. 6.3.2 (median frequency); Paszke et al., "ENet",
arXiv:1606.02147, Sec. 5.2.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Literal, get_args

BalanceRule = Literal["none", "median-frequency", "enet", "enet-root"]
BALANCE_RULES: tuple[str, ...] = get_args(BalanceRule)


def class_weights(
    rule: BalanceRule, pixel_counts: Sequence[int], image_pixel_counts: Sequence[int]
) -> tuple[float, ...]:
    """Return one weight a class, for `cross_entropy`.

    Args:
        rule: Which formula; see above.
        pixel_counts: Labelled pixels of each class in the training split.
        image_pixel_counts: All pixels of those training images that show the class, e.g. its images
            times H·W where all have one size.

    Returns: Weights in the order of the classes. A class with no pixels gets 0, since no pixel can ask
        for it, and it takes no part in the median; with "none" all are 1.
    Raises:
        ValueError: The counts do not fit each other, or the rule is unknown.
    """
    _check(rule, pixel_counts, image_pixel_counts)
    if rule == "none":
        return (1.0,) * len(pixel_counts)
    if rule in ("enet", "enet-root"):
        power = 1.0 if rule == "enet" else 0.5
        total = sum(pixel_counts)
        return tuple(math.log(1.02 + count / total) ** -power if count else 0.0 for count in pixel_counts)
    frequencies = [
        count / shown if count else 0.0 for count, shown in zip(pixel_counts, image_pixel_counts, strict=True)
    ]
    middle = median([frequency for frequency in frequencies if frequency] or [0.0])
    return tuple(middle / frequency if frequency else 0.0 for frequency in frequencies)


def _check(rule: str, pixel_counts: Sequence[int], image_pixel_counts: Sequence[int]) -> None:
    if rule not in BALANCE_RULES:
        raise ValueError(
            f"class_weights: expected one of {', '.join(BALANCE_RULES)}, got {rule!r}. "
            "Use median-frequency where some classes are rare."
        )
    if len(pixel_counts) != len(image_pixel_counts):
        raise ValueError(
            f"class_weights: expected as many image counts as pixel counts, got "
            f"{len(image_pixel_counts)} and {len(pixel_counts)}. Give one of each a class."
        )
    for c, (count, shown) in enumerate(zip(pixel_counts, image_pixel_counts, strict=True)):
        if not 0 <= count <= shown:
            raise ValueError(
                f"class_weights: expected class {c} to have at most the {shown} pixels of the images that "
                f"show it, got {count}. Count the same images for both."
            )
