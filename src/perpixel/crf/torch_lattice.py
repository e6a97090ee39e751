r"""The permutohedral lattice in PyTorch: filter values with a Gaussian over their features, on any device.

    values (N, K) --splat--> vertices (M, K) --blur along d + 1 axes--> vertices (M, K) --slice--> (N, K)

    a triangle of the lattice, d = 2:          walking once along every axis comes back:

            o                                      base -> base + step[a] -> base + step[a] + step[b] -> base
           / \      each point lies in one
          o---o     simplex of d + 1 vertices,      in the order in which the point's own residuals say;
                    weights sum to 1                the neighbour along axis j is at key + step[j]

A vertex's integer coordinates are packed into one 64-bit key by a linear map, so a step along an axis is one addition.
Vertices are found by sorting, which is deterministic and the same on every device. All three stages are weighted sums
of rows; `embedding_bag` computes those without atomics.

Memory: 16 (d + 1) bytes a point and 24 (d + 1) bytes a vertex in float32, beside the values, and half as much for each
scaling; building takes three times as much for a moment. Time and memory are linear in the points.

Source: Adams, Baek, Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010;
    lucasb-eyer/pydensecrf, src/permutohedral.cpp, whose roundings, ties and scale these are.
Differs: pydensecrf takes points four at a time and fills the last four up with points of zero features, which add
    vertices. Where N is no multiple of 4, its probabilities therefore differ by up to about 10⁻³ at a few pixels; with
    the same points added, ours are within 10⁻⁵ of them.
Letters: N points, M vertices, d features, K values a point.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor
from torch.nn.functional import embedding_bag

from perpixel.errors import UsageError

LONGEST_KEY = 2**62  # of packed coordinates; beyond it they are hashed


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where points lie among vertices, and which vertices are neighbours; built by `Lattice.of`.

    Attributes:
        vertices: The d + 1 vertices around each point.
        weights: Barycentric; they sum to 1 over a point's vertices.
        splat_starts: Where each vertex's points begin in `splat_points`; one more for the end.
        splat_points: The points around each vertex, and in `splat_weights` their weights.
        neighbours: For each axis, every vertex, the next and the one before; itself where there is none.
        blur_weights: 1, ½, ½; 0 where there is no neighbour.
    """

    vertices: Int32[Tensor, "N d1"]
    weights: Float[Tensor, "N d1"]
    splat_starts: Int32[Tensor, " M1"]
    splat_points: Int32[Tensor, " Nd1"]
    splat_weights: Float[Tensor, " Nd1"]
    neighbours: Int32[Tensor, "d1 M 3"]
    blur_weights: Float[Tensor, "d1 M 3"]

    @classmethod
    @torch.no_grad()
    def of(cls, features: Float[Tensor, "N d"], groups: Int64[Tensor, " N"] | None = None) -> Self:
        """Place points in the lattice.

        Args:
            features: Each divided by its standard deviation; finite. There is no gradient to them.
            groups: Points of different groups do not see each other, as images of one batch; None for one group.

        Raises:
            UsageError: Features of the wrong shape, or not finite.
        """
        check_features(features)
        residuals, corners, coordinates = enclose(features)
        key, steps = pack(corners, groups)
        weights = barycentric(residuals)
        keys = (key[:, None] + torch.cat((steps.new_zeros(len(key), 1), walk(steps, coordinates)), dim=1)).flatten()
        in_order, order = keys.sort(stable=True)
        first = torch.cat((in_order.new_ones(1, dtype=torch.bool), in_order[1:] != in_order[:-1]))
        vertices = torch.empty_like(order, dtype=torch.int32)
        vertices[order] = (first.cumsum(0) - 1).to(torch.int32)
        starts = torch.cat((first.nonzero()[:, 0], order.new_tensor([len(order)])))
        neighbours, blur_weights = find_neighbours(in_order[first], steps, features.dtype)
        return cls(
            vertices.view_as(weights), weights, starts.to(torch.int32), (order // weights.shape[1]).to(torch.int32),
            weights.flatten()[order], neighbours, blur_weights,
        )  # fmt: skip

    def filter(
        self, values: Float[Tensor, "N K"], scaling: "Scaling | None" = None, transpose: bool = False
    ) -> Float[Tensor, "N K"]:
        """Blur values over their features; not differentiable by itself (`torch_mean_field.filtered` is).

        Args:
            values: One row a point.
            scaling: Each point's factors before and after, from `scaling`; None for none.
            transpose: Apply the exact transpose: blur along the axes in the reverse order. The scaling must be the
                transpose's own.

        Returns: For each point about Σⱼ exp(−½ |fᵢ − fⱼ|²) vⱼ, j = i included, times a gain that is nearly constant
            and that normalisation takes out (0.88 for d = 2, about 0.67 for d = 5).
        """
        splat, slice_ = scaling or self.scaling(None, None)
        spread = weighted_sums(values, self.splat_points, splat, self.splat_starts)
        axes = range(len(self.neighbours))
        for axis in reversed(axes) if transpose else axes:
            spread = weighted_sums(spread, self.neighbours[axis], self.blur_weights[axis])
        return weighted_sums(spread, self.vertices, slice_)

    @torch.no_grad()
    def scaling(self, before: Float[Tensor, " N"] | None, after: Float[Tensor, " N"] | None) -> "Scaling":
        """Multiply each point's factors into the weights of splat and slice, so that they cost nothing later."""
        gain = 1 / (1 + 2.0 ** (1 - self.weights.shape[1]))
        splat = self.splat_weights if before is None else self.splat_weights * before[self.splat_points]
        return Scaling(splat, self.weights * (gain if after is None else gain * after[:, None]))


class Scaling(NamedTuple):
    """Weights of splat and slice, each with a factor a point in it."""

    splat: Float[Tensor, " Nd1"]
    slice: Float[Tensor, "N d1"]


def check_features(features: Tensor) -> None:
    """Refuse features that have no place in a lattice.

    Raises:
        UsageError: Not (N, d) with N and d from 1 up, or NaN or infinity among them.
    """
    if features.ndim != 2 or 0 in features.shape:
        raise UsageError(f"crf: expected features of shape (N, d), got {tuple(features.shape)}. Give one row a point.")
    if not features.isfinite().all():
        raise UsageError("crf: expected finite features, got NaN or infinity. Fill the missing pixels first.")


def weighted_sums(
    rows: Float[Tensor, "R K"], which: Tensor, weights: Tensor, starts: Tensor | None = None
) -> Float[Tensor, "S K"]:
    """Return sums of chosen rows, each times its weight: `which` is (S, n), or flat with every sum's `starts`."""
    weights = weights.to(rows.dtype)
    return embedding_bag(
        which, rows, starts, mode="sum", per_sample_weights=weights, include_last_offset=starts is not None
    )


def enclose(features: Float[Tensor, "N d"]) -> tuple[Float[Tensor, "N d1"], Int64[Tensor, "N d1"], Tensor]:
    """Find the simplex around each point.

    Returns: Residuals to the simplex's first vertex, from the largest to the smallest; that vertex's coordinates; and
        to which coordinate each residual belongs.
    """
    elevated = elevate(features)
    d1 = elevated.shape[1]
    rounded = (elevated * (1 / d1)).round_()
    residuals, coordinates = (elevated - rounded * d1).sort(dim=1, descending=True, stable=True)
    excess = rounded.sum(1, keepdim=True).long()
    ranks = torch.arange(d1, device=features.device)
    source = (ranks - excess) % d1  # the plane Σ = 0 is reached by carrying the last `excess` to the front
    carry = (excess > 0) & (ranks < excess)
    borrow = (excess < 0) & (ranks >= d1 + excess)
    wrapped = carry.to(features.dtype) - borrow.to(features.dtype)
    coordinates = coordinates.gather(1, source)
    residuals = residuals.gather(1, source) + d1 * wrapped
    corners = rounded.scatter_add_(1, coordinates, -wrapped).mul_(d1).long()
    return residuals, corners, coordinates


def elevate(features: Float[Tensor, "N d"]) -> Float[Tensor, "N d1"]:
    """Map features onto the hyperplane Σ = 0 of d + 1 coordinates, scaled so that the whole filter has deviation 1."""
    d = features.shape[1]
    scale = [math.sqrt(2 / 3) * (d + 1) / math.sqrt((j + 1) * (j + 2)) for j in range(d)]
    scaled = features * features.new_tensor(scale)
    elevated = features.new_empty(len(features), d + 1)
    total = features.new_zeros(len(features))
    for j in range(d, 0, -1):
        elevated[:, j] = total - j * scaled[:, j - 1]
        total = total + scaled[:, j - 1]
    elevated[:, 0] = total
    return elevated


def barycentric(residuals: Float[Tensor, "N d1"]) -> Float[Tensor, "N d1"]:
    """Return the weights of a simplex's vertices in the order of `walk`, from residuals that fall."""
    rising = residuals.flip(1) / residuals.shape[1]
    first = 1 + rising[:, :1] - rising[:, -1:]
    return torch.cat((first, rising.diff(dim=1)), dim=1)


def walk(steps: Int64[Tensor, " d1"], coordinates: Int64[Tensor, "N d1"]) -> Int64[Tensor, "N d"]:
    """Return how far from the first vertex's key the others lie: steps along axes, the smallest residual's first."""
    return steps[coordinates.flip(1)[:, :-1]].cumsum(1)


def pack(
    corners: Int64[Tensor, "N d1"], groups: Int64[Tensor, " N"] | None
) -> tuple[Int64[Tensor, " N"], Int64[Tensor, " d1"]]:
    """Pack coordinates into one number a vertex, the same for the same vertex; and a step along each axis.

    The last coordinate follows from the others. Where the numbers fit, they are those of a mixed radix with room for
    neighbours, so different vertices cannot meet. Else (from about ten features) they are hashed with wide odd
    factors: two of ten million vertices meet with a chance below one in 10⁵.
    """
    d1 = corners.shape[1]
    low, high = corners[:, :-1].amin(0), corners[:, :-1].amax(0)
    count = int(groups.max()) + 1 if groups is not None else 1
    radices = [span + 4 * d1 for span in (high - low).tolist()]
    strides = [math.prod(radices[:j]) for j in range(d1)]
    if strides[-1] * count >= LONGEST_KEY:
        strides = torch.randint(2**61, (d1,), generator=torch.Generator().manual_seed(1)).mul(2).add(1).tolist()
    stride = corners.new_tensor(strides)
    key = ((corners[:, :-1] - low) * stride[:-1]).sum(1)
    if groups is not None:
        key += groups * stride[-1]
    own = torch.cat((stride[:-1], stride.new_zeros(1)))
    return key, own.sum() - d1 * own


def find_neighbours(
    keys: Int64[Tensor, " M"], steps: Int64[Tensor, " d1"], dtype: torch.dtype
) -> tuple[Int32[Tensor, "d1 M 3"], Float[Tensor, "d1 M 3"]]:
    """Look up every vertex's two neighbours along every axis, by rising keys."""
    itself = torch.arange(len(keys), device=keys.device, dtype=torch.int32)
    neighbours = itself[:, None].repeat(len(steps), 1, 3)
    weights = torch.tensor([1.0, 0.0, 0.0], dtype=dtype, device=keys.device).repeat(len(steps), len(keys), 1)
    for axis, step in enumerate(steps):
        wanted = keys + step
        place = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
        before = (keys[place] == wanted).nonzero()[:, 0]
        after = place[before]
        neighbours[axis, before, 1], weights[axis, before, 1] = itself[after], 0.5
        neighbours[axis, after, 2], weights[axis, after, 2] = itself[before], 0.5
    return neighbours, weights
