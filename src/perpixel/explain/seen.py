"""What the elements of a map see, along one axis, to the pixel, upwards and downwards.

    image       0 1 2 3 4 5 6 7
    pooled      [0,1] [2,3] [4,5] [6,7]                        period 1: every element like the one before
    x 2         [0,1] [0,1] [2,3] [2,3] [4,5] …                period 2: two elements see the same
    3 wide      [-2,1] [0,3] [0,3] [2,5] [2,5] …               so a window over three sees four pixels, not six

One number, as for a chain of convolutions (`ops.receptive_field`), is not enough once a map was enlarged: its
elements are no longer alike. They are again after a period, and so one period is written down.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from perpixel.ops.receptive_field import Layer

LONGEST_PERIOD = 1024
NOTHING = (math.inf, -math.inf)
Interval = tuple[float, float]
Taps = Callable[[int], Iterable[int]]


class Seen(NamedTuple):
    """What elements see.

    Attributes:
        intervals: First and last pixel that elements 0, 1, … of one period see.
        stride: Pixels from one element to the next, on average over the period.
    """

    intervals: tuple[Interval, ...] = ((0, 0),)
    stride: Fraction = Fraction(1)

    def at(self, index: int) -> Interval:
        """Return the first and the last pixel that any element sees; before 0 and beyond the end too."""
        cycles, place = divmod(index, len(self.intervals))
        first, last = self.intervals[place]
        shift = float(cycles * len(self.intervals) * self.stride)
        return first + shift, last + shift

    @property
    def size(self) -> int:
        """Pixels that the most far-sighted element sees."""
        return int(max((last - first + 1 for first, last in self.intervals if last >= first), default=0))

    @property
    def start(self) -> float:
        """Where element 0 lies: the middle of what it sees, shifted by what the period's elements are on average."""
        middles = [
            (first + last) / 2 - index * float(self.stride)
            for index, (first, last) in enumerate(self.intervals)
            if last >= first
        ]
        return sum(middles) / len(middles) if middles else 0.0


@lru_cache(maxsize=4096)
def windowed(seen: Seen, layer: Layer) -> Seen:
    """Return what a convolution's or a pooling's outputs see."""
    period = len(seen.intervals) // math.gcd(len(seen.intervals), layer.stride)

    def taps(index: int) -> Iterable[int]:
        first = index * layer.stride - layer.padding
        return range(first, first + layer.reach + 1, layer.dilation)

    return _gathered(seen, period, seen.stride * layer.stride, taps)


@lru_cache(maxsize=4096)
def deconvolved(seen: Seen, layer: Layer) -> Seen:
    """Return what a deconvolution's outputs see: output o is reached by every input i with o = stride·i + tap."""

    def taps(index: int) -> Iterable[int]:
        places = (index + layer.padding - layer.dilation * tap for tap in range(layer.kernel_size))
        return [place // layer.stride for place in places if place % layer.stride == 0]

    return _gathered(seen, len(seen.intervals) * layer.stride, seen.stride / layer.stride, taps)


@lru_cache(maxsize=4096)
def resized(seen: Seen, factor: Fraction, taps: int = 2, corners: bool = False, start: Fraction | None = None) -> Seen:
    """Return what an interpolation's outputs see.

    Args:
        seen: By the map.
        factor: Outputs for each input; with `corners`, between the outermost elements' centres.
        taps: Elements that are mixed: 1 nearest, 2 linear, 4 cubic.
        corners: The outermost elements stay where they are (`align_corners=True`).
        start: The output at which input 0 lies, if neither rule says so.
    """
    if start is None:
        start = Fraction(0) if corners else (factor - 1) / 2

    def near(index: int) -> Iterable[int]:
        if taps == 1:
            return [math.floor(index / factor)]
        place = (index - start) / factor
        below = math.floor(place)
        return [below] if place == below else range(below - taps // 2 + 1, below + taps // 2 + 1)

    return _gathered(seen, factor.numerator * len(seen.intervals), seen.stride / factor, near)


@lru_cache(maxsize=4096)
def sliced(seen: Seen, start: int, step: int = 1) -> Seen:
    """Return what is left from element `start` on, every `step`-th; a negative start pads."""
    period = len(seen.intervals) // math.gcd(len(seen.intervals), step)
    return _gathered(seen, period, seen.stride * step, lambda index: [start + index * step])


def joined(parts: Sequence[Seen]) -> Seen:
    """Return what elements see that are made of several maps', added or concatenated."""
    stride = max(part.stride for part in parts)
    alike = [part for part in parts if part.stride == stride]
    period = math.lcm(*(len(part.intervals) for part in alike))
    intervals = [_union(part.at(index) for part in alike) for index in range(min(period, LONGEST_PERIOD))]
    return _shortest(Seen(tuple(intervals), stride))


def _gathered(seen: Seen, period: int, stride: Fraction, taps: Taps) -> Seen:
    period = min(period, LONGEST_PERIOD)
    intervals = tuple(_union(seen.at(place) for place in taps(index)) for index in range(period))
    return _shortest(Seen(intervals, stride))


def _union(intervals: Iterable[Interval]) -> Interval:
    first, last = NOTHING
    for low, high in intervals:
        first, last = min(first, low), max(last, high)
    return first, last


def _shortest(seen: Seen) -> Seen:
    """Write down no more than one period."""
    length = len(seen.intervals)
    for period in (divisor for divisor in range(1, length) if length % divisor == 0):
        shorter = Seen(seen.intervals[:period], seen.stride)
        if all(shorter.at(index) == interval for index, interval in enumerate(seen.intervals)):
            return shorter
    return seen
