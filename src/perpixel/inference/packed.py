"""A convolution whose weights lie as its kernel wants them, and whose ReLU is done before results leave the registers.

    weights (D, C, r, r), every call: -> blocks of 16 channels -> multiply -> store, load, clamp, store
    packed                                    once                multiply, clamp -> store

In FCN's fc6 the first arrow moves 411 MB for every image. The operator is one that PyTorch's own compiler emits; it is
private, so `is_available` tries it before it is used.

Letters: N batch, C D channels in and out, H W pixels, r side of the kernel.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class PackedConv2d(nn.Module):
    """A convolution on a CPU, for inference in float32.

    Args:
        convolution: Of all channels, padded with zeros.
        relu: Also clamp the result at 0.
    """

    def __init__(self, convolution: nn.Conv2d, relu: bool = False) -> None:
        super().__init__()
        assert not isinstance(convolution.padding, str)
        self.geometry = tuple(map(list, (convolution.padding, convolution.stride, convolution.dilation)))
        self.relu = relu
        self.bias = None if convolution.bias is None else convolution.bias.detach()
        self.packed = pack(convolution.weight.detach(), self.geometry)

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D h w"]:
        """Convolve; the result has its channels last."""
        return convolve(features, self.packed, self.bias, self.geometry, self.relu)

    def __getstate__(self) -> dict[str, Any]:
        """Unpack: packed weights can be neither copied nor written."""
        return {**self.__dict__, "packed": self.packed.to_dense()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Pack again."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.packed = pack(self.packed, self.geometry)


def pack(weight: Tensor, geometry: Sequence[list[int]]) -> Tensor:
    """Return weights (D, C, r, r) in the order that the processor's kernels prefer, an opaque tensor."""
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, 1)
    return packed


def convolve(
    features: Tensor, packed: Tensor, bias: Tensor | None, geometry: Sequence[list[int]], relu: bool
) -> Tensor:
    """Convolve with packed weights, and clamp at 0 if asked to."""
    last = features.contiguous(memory_format=torch.channels_last)
    after = "relu" if relu else "none"
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(last, packed, bias, *geometry, 1, after, [], "")
    return result


@cache
def is_available() -> bool:
    """Return whether this PyTorch has the operators, and they do as we think."""
    layer, features = nn.Conv2d(3, 16, 3, padding=1), torch.ones(1, 3, 5, 5)
    try:
        with torch.no_grad():
            return torch.allclose(PackedConv2d(layer, relu=True)(features), layer(features).relu(), atol=1e-4)
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return False
