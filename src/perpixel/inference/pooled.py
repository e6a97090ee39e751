"""Max pooling of 2 x 2 windows in one pass over the map, where it lies.

PyTorch's pooling first copies a map that is part of a larger one, as a convolution's in whole tiles is, and looks for
where the maxima are, which nobody asks. Needs Numba, an extra.

Letters: N batch, C channels, H W pixels; h w are H and W halved.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.pooling import MaxPool
from perpixel.ops.unpool import compiled_functions


class CompiledMaxPool2d(nn.Module):
    """A pooling `is_halving`, for inference.

    Args:
        pool: Does maps in other layouts or formats.
        relu: Clamp the result at 0; nothing asks for that.
    """

    def __init__(self, pool: nn.MaxPool2d, relu: bool = False) -> None:
        super().__init__()
        assert not relu
        self.pool = pool

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
        """Return the largest values; the result has its channels last."""
        sides = [(side + 1) // 2 if self.pool.ceil_mode else side // 2 for side in features.shape[2:]]
        functions = compiled_functions()
        if functions is None or features.dtype != torch.float32 or features.stride(1) != 1 or 0 in sides:
            pooled: Tensor = self.pool(features)
            return pooled
        result = features.new_empty(len(features), *sides, features.shape[1])
        for image, halved in zip(features.permute(0, 2, 3, 1), result, strict=True):
            functions.halve(image, halved)
        return result.permute(0, 3, 1, 2)


def is_halving(layer: nn.Module) -> bool:
    """Return whether a layer pools windows of 2 x 2 that do not overlap, as there is a compiled function for."""
    return (
        type(layer) in (nn.MaxPool2d, MaxPool)
        and all(side in (2, (2, 2)) for side in (layer.kernel_size, layer.stride))
        and layer.padding in (0, (0, 0))
        and layer.dilation in (1, (1, 1))
        and not layer.return_indices
        and compiled_functions() is not None
    )
