r"""Mean field of the fully connected CRF in PyTorch, differentiable in everything but the features.

    logits ----------------------------------+
       |                                     v
    softmax -> q -> filter, one a kernel -> weigh, add -> compatibility -> subtract -> logits
               ^                                                                          |
               +--------------------------------- softmax <-------------------------------+

The gradient of a filter is its exact transpose, so gradients through any number of iterations are exact too.

Source: Krähenbühl & Koltun, NIPS 2011, Alg. 1; Zheng et al., "Conditional Random Fields as Recurrent Neural Networks",
    ICCV 2015, arXiv:1502.03240, Alg. 1, for the gradient.
Letters: N points, K classes, d features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from perpixel.crf.options import Normalization
from perpixel.crf.torch_gaussian import GaussianFilter
from perpixel.crf.torch_lattice import Lattice, Scaling

TINY = 1e-20  # pydensecrf's; keeps a norm from being zero

Weight = float | Tensor


class Filter(Protocol):
    """What blurs values; linear, and knows its transpose."""

    def filter(self, values: Float[Tensor, "N K"], transpose: bool = False) -> Float[Tensor, "N K"]:
        """Blur values, or apply the transpose of that; the result is a new tensor without a gradient."""
        ...


@dataclass(frozen=True, eq=False)
class NormalizedFilter:
    """A lattice, and each point's factors before and after it; built by `NormalizedFilter.of`."""

    lattice: Lattice
    forward: Scaling
    backward: Scaling

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        features: Float[Tensor, "N d"],
        normalization: Normalization = "symmetric",
        groups: Int64[Tensor, " N"] | None = None,
    ) -> Self:
        """Build a filter.

        Args:
            features: Each divided by its standard deviation.
            normalization: By n, the filtered map of ones. "symmetric": by √n before and after; "after": by n after;
                "none": not at all.
            groups: Points of different groups do not see each other; None for one group.

        Source: lucasb-eyer/pydensecrf, src/pairwise.cpp, where "none" computes a mean norm and does not use it.
        """
        lattice = Lattice.of(features, groups)
        if normalization == "none":
            plain = lattice.scaling(None, None)
            return cls(lattice, plain, plain)
        norm = lattice.filter(features.new_ones(len(features), 1))[:, 0] + TINY
        if normalization == "after":
            return cls(lattice, lattice.scaling(None, 1 / norm), lattice.scaling(1 / norm, None))
        both = lattice.scaling(norm.rsqrt(), norm.rsqrt())
        return cls(lattice, both, both)

    def filter(self, values: Float[Tensor, "N K"], transpose: bool = False) -> Float[Tensor, "N K"]:
        """Blur values, or apply the transpose of that; the result is a new tensor without a gradient."""
        return self.lattice.filter(values, self.backward if transpose else self.forward, transpose)


class _Filtered(torch.autograd.Function):
    """A filter is linear: its gradient is its transpose, whose gradient is the filter again."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kernel: Filter, transpose: bool) -> Tensor:
        ctx.kernel, ctx.transpose = kernel, transpose
        return kernel.filter(values, transpose)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return filtered(gradient.contiguous(), ctx.kernel, not ctx.transpose), None, None


def filtered(values: Float[Tensor, "N K"], kernel: Filter, transpose: bool = False) -> Float[Tensor, "N K"]:
    """Filter values, with gradients to them of any order."""
    result: Tensor = _Filtered.apply(values, kernel, transpose)  # type: ignore[no-untyped-call]
    return result


def mean_field(
    logits: Float[Tensor, "N K"],
    kernels: Sequence[Filter],
    weights: Sequence[Weight],
    compatibility: Float[Tensor, "K K"] | None = None,
    iterations: int = 10,
) -> Float[Tensor, "N K"]:
    """Iterate mean field, logits in and logits out.

    Args:
        logits: −unary, any offset a point.
        kernels: Filters; as many as weights.
        weights: Of each kernel: a number, one for each class (K,), or a matrix (K, K) over the filtered classes
            (row: the class that receives).
        compatibility: What class k pays beside class l, row k; None is Potts, as −1 on the diagonal.
        iterations: 0 returns the logits.

    Returns: Logits of the approximate posterior: their softmax is the next q.

    Source: Zheng et al., ICCV 2015, Alg. 1. The sum over j includes i itself, as in all released code (the paper's does
        not).
    """
    current = logits
    for _ in range(iterations):
        q = current.softmax(dim=1)
        message = logits if compatibility is None else torch.zeros_like(logits)
        for kernel, weight in zip(kernels, weights, strict=True):
            message = add_weighed(message, filtered(q, kernel), weight)
        current = message if compatibility is None else torch.addmm(logits, message, compatibility.T, alpha=-1)
    return current


def add_weighed(total: Float[Tensor, "N K"], values: Float[Tensor, "N K"], weight: Weight) -> Float[Tensor, "N K"]:
    """Add values times a number, times one number a class, or mixed by a matrix over the classes."""
    if not isinstance(weight, Tensor):
        return total.add(values, alpha=weight)
    return torch.addmm(total, values, weight.T) if weight.ndim == 2 else torch.addcmul(total, values, weight)


def mean_field_torch(
    unary: Float[Tensor, "K N"],
    features: Sequence[Float[Tensor, "N d"]],
    weights: Sequence[Weight],
    compatibility: Float[Tensor, "K K"] | None = None,
    iterations: int = 10,
    normalization: Normalization = "symmetric",
    exact: tuple[int, int, float, Weight] | None = None,
) -> Float[Tensor, "K N"]:
    """Return the approximate posterior of one image's points.

    Args:
        unary: −log p, any offset a point; the device and type of the result.
        features: Of each kernel, divided by the standard deviations.
        weights: Of each kernel: a number, (K,) or (K, K).
        compatibility: What class k pays beside class l, row k; None is Potts.
        iterations: 0 returns softmax(−unary).
        normalization: "symmetric", "after" or "none"; see `NormalizedFilter.of`.
        exact: (H, W, standard deviation in pixels, weight) of a spatial kernel that is summed exactly; its points are
            the H·W pixels, row by row.

    Returns: Probabilities; they sum to 1 over K.
    """
    kernels: list[Filter] = [NormalizedFilter.of(feature, normalization) for feature in features]
    if exact is not None:
        kernels.append(GaussianFilter.of(exact[:2], exact[2], normalization, unary))
        weights = [*weights, exact[3]]
    logits = mean_field(unary.neg().T.contiguous(), kernels, weights, compatibility, iterations)
    return logits.softmax(dim=1).T
