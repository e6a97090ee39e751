r"""The fully connected CRF as a layer: logits and pixels in, logits out, trained with the network below it.

    logits (N, K, H, W) ---> q --> spatial filter   --> matrix, 3 I at first --+
    image  (N, C, H, W) ---------> bilateral filter --> matrix, 5 I at first --+--> compatibility, -I at first
                                                                                        |
    logits <--- once more: 5 times in training, 10 at test <--- logits - message  <-----+

Learned: how much each kernel's filtered class k speaks for class l, and what class k pays beside class l. The
deviations of the kernels are not: the lattice has no gradient to its features.

Source: Zheng, Jayasumana, Romera-Paredes, Vineet, Su, Du, Huang, Torr, "Conditional Random Fields as Recurrent Neural
    Networks", ICCV 2015, arXiv:1502.03240; torrvision/crfasrnn, multi_stage_meanfield.cpp (first weights, sign,
    normalisation) and TVG_CRFRNN_new_deploy.prototxt (deviations).
Differs: batches of any number and images of any size, where the released layer has one of each. Deviations and first
    weights are arguments.
Letters: N images, K classes, C channels, H W pixels, d features.
"""

from collections.abc import Sequence
from typing import Literal, Self

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from perpixel.crf.options import CrfOptions, Normalization, SpatialFilter
from perpixel.crf.torch_gaussian import GaussianFilter
from perpixel.crf.torch_mean_field import Filter, NormalizedFilter, mean_field
from perpixel.errors import UsageError

Learned = Literal["matrix", "class", "scalar"]


class DenseCrf(nn.Module):
    """Refine logits so that they follow the image's edges, and learn how.

    Args:
        num_classes: K, counting background if the data set labels it.
        bilateral: (first weight, standard deviation in pixels, standard deviation in the image's own units: levels of
            0 to 255), or None for no such kernel.
        spatial: (first weight, standard deviation in pixels), or None.
        extra: First weights of further kernels, whose features `forward` is given.
        iterations: In training.
        test_iterations: In evaluation mode; as many as in training if None.
        learned: What each kernel's weight is: a (K, K) "matrix" that mixes the filtered classes, a number for each
            "class", or one number, "scalar", as the CRF without learning has.
        learn_compatibility: Whether the compatibility is learned; else it is Potts and no parameter.
        normalization: "after" as CRF-RNN, "symmetric" or "none"; see `CrfOptions`.
        spatial_filter: "lattice" as CRF-RNN, or "gaussian" for the exact sum of the spatial kernel, which costs less.

    Attributes:
        weights: Of the spatial kernel, the bilateral and the further ones, in this order, those that there are.
        compatibility: (K, K), what class k (row) pays beside class l; or None. The sign is Caffe's: −1 on the
            diagonal rewards agreement. The PyTorch port (sadeepj/crfasrnn_pytorch) has the opposite.

    Raises:
        UsageError: A value cannot be used.

    Source: CRF-RNN throughout. Its learning rates are the network's times 10⁴ for the weights and times 10³ for the
        compatibility, the network's being 10⁻¹³ on an unnormalised loss (the prototxt; the rate is uncertain).
    """

    def __init__(
        self,
        num_classes: int,
        bilateral: tuple[float, float, float] | None = (5.0, 160.0, 3.0),
        spatial: tuple[float, float] | None = (3.0, 3.0),
        extra: Sequence[float] = (),
        iterations: int = 5,
        test_iterations: int | None = 10,
        learned: Learned = "matrix",
        learn_compatibility: bool = True,
        normalization: Normalization = "after",
        spatial_filter: SpatialFilter = "lattice",
    ) -> None:
        super().__init__()
        CrfOptions(bilateral, spatial, iterations, normalization, spatial_filter)  # refuses what cannot be
        self.num_classes = num_classes
        self.bilateral_stds = bilateral[1:] if bilateral else None
        self.spatial_std = spatial[1] if spatial else None
        self.extra = len(extra)
        self.iterations = iterations
        self.test_iterations = iterations if test_iterations is None else test_iterations
        self.normalization: Normalization = normalization
        self.spatial_filter: SpatialFilter = spatial_filter
        first = [kernel[0] for kernel in (spatial, bilateral) if kernel] + list(extra)
        self.weights = nn.ParameterList(first_weight(weight, num_classes, learned) for weight in first)
        self.compatibility = nn.Parameter(-torch.eye(num_classes)) if learn_compatibility else None

    @classmethod
    def from_options(cls, num_classes: int, options: CrfOptions, learned: Learned = "matrix") -> Self:
        """Return a layer that, before it learns, refines as `options` say, in training and evaluation alike."""
        return cls(
            num_classes, options.bilateral, options.spatial, (), options.iterations, None, learned,
            normalization=options.normalization, spatial_filter=options.spatial_filter,
        )  # fmt: skip

    def forward(
        self,
        logits: Float[Tensor, "N K H W"],
        image: Shaped[Tensor, "N C H W"],
        features: Sequence[Float[Tensor, "N d H W"]] = (),
    ) -> Float[Tensor, "N K H W"]:
        """Return refined logits; their softmax are the CRF's probabilities.

        Args:
            logits: The network's; the CRF's unary is −logits.
            image: Raw pixels as they are stored, 0 to 255 of RGB, not normalised; integers or floats, any channels.
            features: Of the further kernels, each divided by its standard deviation. There is no gradient to them.

        Raises:
            UsageError: The shapes do not fit.
        """
        self.check(logits, image, features)
        if not self.weights:
            return logits
        with torch.autocast(logits.device.type, enabled=False):
            size, dtype = logits.shape, torch.promote_types(logits.dtype, torch.float32)
            flat = logits.to(dtype).permute(0, 2, 3, 1).reshape(-1, self.num_classes)
            kernels = self.filters(image.detach(), features, dtype)
            iterations = self.iterations if self.training else self.test_iterations
            refined = mean_field(flat, kernels, list(self.weights), self.compatibility, iterations)
        return refined.view(size[0], *size[2:], -1).permute(0, 3, 1, 2).to(logits.dtype)

    def filters(self, image: Tensor, features: Sequence[Tensor], dtype: torch.dtype) -> list[Filter]:
        """Build the filters of a batch, in the order of the weights; images of one batch do not see each other."""
        count, _, height, width = image.shape
        exact = self.spatial_filter == "gaussian"
        described = []
        if self.spatial_std is not None and not exact:
            described.append(positions(count, height, width, self.spatial_std, image.device))
        if self.bilateral_stds is not None:
            xy = positions(count, height, width, self.bilateral_stds[0], image.device)
            described.append(torch.cat((xy, image.float() / self.bilateral_stds[1]), dim=1))
        described += [feature.detach() for feature in features]
        groups = torch.arange(count, device=image.device).repeat_interleave(height * width) if count > 1 else None
        lattices = [NormalizedFilter.of(rows(feature).to(dtype), self.normalization, groups) for feature in described]
        if self.spatial_std is None or not exact:
            return [*lattices]
        like = torch.empty(0, dtype=dtype, device=image.device)
        return [GaussianFilter.of((height, width), self.spatial_std, self.normalization, like), *lattices]

    def check(self, logits: Tensor, image: Tensor, features: Sequence[Tensor]) -> None:
        """Refuse what does not fit together, and say how to mend it.

        Raises:
            UsageError: See `forward`.
        """
        shape = tuple(logits.shape)
        if logits.ndim != 4 or shape[1] != self.num_classes or 0 in shape:
            raise UsageError(
                f"DenseCrf: expected logits of shape (N, {self.num_classes}, H, W), got {shape}. "
                "Give the network's output before softmax, and build the layer with its number of classes."
            )
        wanted = (shape[0], shape[2:])
        for word, tensor in (("image", image), *(("features", feature) for feature in features)):
            if tensor.ndim != 4 or (tensor.shape[0], tensor.shape[2:]) != wanted:
                raise UsageError(
                    f"DenseCrf: expected {word} of shape ({shape[0]}, …, {shape[2]}, {shape[3]}) beside logits of "
                    f"{shape}, got {tuple(tensor.shape)}. Resize the logits to the image first."
                )
        if len(features) != self.extra:
            raise UsageError(
                f"DenseCrf: expected features for {self.extra} further kernels, got {len(features)}. "
                "Build the layer with extra=(one first weight for each)."
            )

    def extra_repr(self) -> str:
        """Name the sizes, as PyTorch prints its own layers."""
        return (
            f"{self.num_classes}, spatial_std={self.spatial_std}, bilateral_stds={self.bilateral_stds}, "
            f"iterations={self.iterations}, test_iterations={self.test_iterations}, "
            f"normalization={self.normalization!r}"
        )


def first_weight(weight: float, num_classes: int, learned: Learned) -> nn.Parameter:
    """Return a kernel's first weight, in the form in which it is learned.

    Raises:
        UsageError: There is no such form.
    """
    if learned == "matrix":
        return nn.Parameter(weight * torch.eye(num_classes))
    if learned == "class":
        return nn.Parameter(torch.full((num_classes,), float(weight)))
    if learned == "scalar":
        return nn.Parameter(torch.tensor(float(weight)))
    raise UsageError(f"DenseCrf: expected learned to be matrix, class or scalar, got {learned!r}.")


def positions(count: int, height: int, width: int, xy_std: float, device: torch.device) -> Float[Tensor, "N 2 H W"]:
    """Return x and y of each pixel over the standard deviation, in pixels; x first, as pydensecrf."""
    x = torch.arange(width, dtype=torch.float32, device=device).expand(height, width)
    y = torch.arange(height, dtype=torch.float32, device=device)[:, None].expand(height, width)
    return (torch.stack((x, y)) / xy_std).expand(count, 2, height, width)


def rows(features: Float[Tensor, "N d H W"]) -> Float[Tensor, "NHW d"]:
    """Return one row a pixel."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
