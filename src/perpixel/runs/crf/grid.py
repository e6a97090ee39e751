"""Where the CRF's numbers are looked for: the papers' grids, and the steps around a good point.

    coarse   every combination of a grid        on a quarter of the images
    best     the best few of those              on all images
    fine     one number × or ÷ a ratio          on all images; what is better is kept at once; where nothing is, the
                                                ratio shrinks

Source: DeepLab v1, Sec. 5 (grid on 100 validation images, coarse to fine, the spatial kernel fixed at weight 3 and
3 pixels); DeepLab v2, Sec. 4.1 (the other grid). Their fine steps are not said; the ratios are ours.
Differs: the fine search moves the spatial kernel too, as v2's released numbers do; coarse points see fewer images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from perpixel.crf.options import CrfOptions
from perpixel.errors import UsageError

RATIOS = (1.5, 1.2)


@dataclass(frozen=True)
class Grid:
    """Values of the bilateral kernel, of which every combination is tried.

    Args:
        weights: Of the kernel.
        xy_stds: In pixels.
        rgb_stds: In levels of 0 to 255.
    """

    weights: tuple[float, ...]
    xy_stds: tuple[float, ...]
    rgb_stds: tuple[float, ...]

    def points(self, base: CrfOptions) -> Iterator[CrfOptions]:
        """Yield `base` with each combination for its bilateral kernel."""
        for kernel in product(self.weights, self.xy_stds, self.rgb_stds):
            yield base.replace(bilateral=kernel)

    def __len__(self) -> int:
        return len(self.weights) * len(self.xy_stds) * len(self.rgb_stds)


GRIDS = {
    # Both papers' ranges in few points, and below them: weak and narrow kernels, for small images and thin things
    "quick": Grid((1.5, 4), (10, 30, 80), (3, 5, 10)),
    "deeplab-v1": Grid((5, 10), tuple(range(50, 101, 10)), tuple(range(3, 11))),
    "deeplab-v2": Grid((3, 4, 5, 6), tuple(range(30, 101, 10)), (3, 4, 5, 6)),
}


def find_grid(name: str) -> Grid:
    """Return a grid by its name.

    Raises:
        UsageError: There is none.
    """
    if name not in GRIDS:
        raise UsageError(f"--grid: expected {', '.join(GRIDS)}, got {name!r}. The default is quick.")
    return GRIDS[name]


def axes(centre: CrfOptions) -> list[tuple[str, int]]:
    """Return the numbers that can be moved: (kernel, place in it), bilateral first."""
    kernels = {"bilateral": centre.bilateral, "spatial": centre.spatial}
    return [(name, place) for name, kernel in kernels.items() for place in range(len(kernel or ()))]


def step(centre: CrfOptions, axis: tuple[str, int], ratio: float) -> CrfOptions:
    """Return the point with one number times `ratio`, to three digits."""
    name, place = axis
    kernel = list(getattr(centre, name))
    kernel[place] = float(f"{kernel[place] * ratio:.3g}")
    return centre.replace(**{name: tuple(kernel)})
