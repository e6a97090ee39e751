"""The numbers of Winograd's convolutions: what turns values, weights and products into one another along one axis.

A convolution of m + r − 1 values with r weights is a product of polynomials, which its values at as many points
determine, infinity being one of them.

Source: Toom and Cook; Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, arXiv:1509.09308.
Letters: m results, r weights, n = m + r − 1 values.
"""

from fractions import Fraction
from math import prod

POINTS = {  # by the side of the kernel: the more there are, the larger the tile
    3: tuple(map(Fraction, ("0", "3/4", "-3/4", "3/2", "-3/2"))),
    7: tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2"))),
}

Polynomial = list[Fraction]  # coefficients, constant term first


def matrices(side: int, points: tuple[Fraction, ...]) -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """Return what turns n values of a patch, r of a kernel, and then n products into m results, along one axis.

    Args:
        side: r.
        points: n − 1 of them, all different.

    Returns: n x n, n x r and m x n numbers.
    """
    tile = len(points) + 2 - side
    others = [[other for other in points if other != point] for point in points]
    into = [[*monic(rest), Fraction(0)] for rest in others] + [monic(points)]
    scales = [
        prod((point - other for other in rest), start=Fraction(1)) for point, rest in zip(points, others, strict=True)
    ]
    kernel = [[point**k / scale for k in range(side)] for point, scale in zip(points, scales, strict=True)]
    kernel.append([Fraction(k == side - 1) for k in range(side)])
    back = [[*(point**i for point in points), Fraction(i == tile - 1)] for i in range(tile)]
    return floats(into), floats(kernel), floats(back)


def monic(roots: tuple[Fraction, ...] | list[Fraction]) -> Polynomial:
    """Return the product of x − root."""
    polynomial = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *polynomial], [*(root * value for value in polynomial), Fraction(0)]
        polynomial = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return polynomial


def floats(matrix: list[list[Fraction]]) -> list[list[float]]:
    """Return the nearest doubles."""
    return [[float(value) for value in row] for row in matrix]
