"""Max pooling that remembers where its maxima were, and its inverse.

Pooling rounds the output size up, as Caffe does, so no row or column is ever dropped:
45 -> 23 -> 12. Unpooling therefore needs the size before pooling, 12 alone does not say
whether it was 23 or 24; `Switches` carries it.

Letters: N batch, C channels, H W pixels; h w are H and W halved, rounded up.
"""

from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional


class Switches(NamedTuple):
    """Where pooling found its maxima.

    Attributes:
        indices: Flat position of every maximum in its own H x W plane.
        size: (H, W) before pooling, which `indices` count in.
    """

    indices: Int64[Tensor, "N C h w"]
    size: tuple[int, int]


def max_pool(features: Float[Tensor, "N C H W"], kernel_size: int = 2) -> tuple[Float[Tensor, "N C h w"], Switches]:
    """Take the maximum of every window, and remember where it was.

    Args:
        features: Any H and W from 1 up.
        kernel_size: Side of the window, and its stride.

    Returns: The maxima and their switches. Of equal values, the first in reading order wins.

    Source: Badrinarayanan et al., "SegNet", TPAMI 2017, Sec. 3; Caffe's pooling layer for the rounding.
    """
    pooled, indices = functional.max_pool2d(features, kernel_size, kernel_size, ceil_mode=True, return_indices=True)
    return pooled, Switches(indices, (features.shape[-2], features.shape[-1]))


def max_unpool(
    features: Float[Tensor, "N C h w"], switches: Switches, kernel_size: int = 2
) -> Float[Tensor, "N C H W"]:
    """Put every value back where its maximum was, and zero everywhere else.

    Args:
        features: One value for each switch.
        switches: From the `max_pool` that this undoes.
        kernel_size: As given to that `max_pool`.

    Raises:
        ValueError: `features` and `switches` differ in shape.
    """
    if features.shape != switches.indices.shape:
        raise ValueError(
            f"max_unpool: expected features of the switches' shape {tuple(switches.indices.shape)}, "
            f"got {tuple(features.shape)}. Pass the switches of the pooling at the same depth."
        )
    window = [kernel_size, kernel_size]
    return functional.max_unpool2d(features, switches.indices, window, window, output_size=list(switches.size))
