"""Linear interpolation on a grid that is given outright: DeepLab's `Interp`, corner on corner.

    result    0 . . . . . . . 1 . . . . . . . 2         step 1/8: what element 8 of the result shows is
    features  0               1               2         element 1 of the features, exactly

n + 1 features and step 1/f give f·n + 1 elements whose corners are the features' corners: `interpolate` with
align_corners=True. With align_corners=False the same map would be moved by up to half a cell. Where the sizes do
not fit, steps stay exact here and the rest is cut off, while `interpolate` would stretch the map.

Source: Chen et al., DeepLab v1 and v2, as released: `Interp` with zoom_factor and shrink_factor.
Letters: N batch, C channels, H W and h w sizes in and out.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def zoom(
    features: Float[Tensor, "N C H W"],
    size: tuple[int, int],
    step: float | tuple[float, float],
    start: float = 0.0,
) -> Float[Tensor, "N C h w"]:
    """Return features at places `start` + `step`·i, i below `size`, in rows and in columns.

    It is two small matrix products, rows @ features @ columns: exact for steps that are fractions of powers of
    two, and deterministic on a GPU, backward too.

    Args:
        features: Any size.
        size: (h, w) of the result.
        step: Distance of two elements of the result, in elements of `features`; for both axes, or (rows, columns).
        start: Place of element 0, likewise. Places outside are moved to the nearest border.
    """
    row_step, column_step = step if isinstance(step, tuple) else (step, step)
    rows = weights(features, features.shape[-2], size[0], row_step, start)
    columns = weights(features, features.shape[-1], size[1], column_step, start)
    return rows @ (features @ columns.T)


def weights(features: Tensor, length: int, size: int, step: float, start: float) -> Float[Tensor, "size length"]:
    """Return the matrix that takes `size` places of `length` values, as `features` are stored."""
    outputs, inputs = (torch.arange(count, device=features.device, dtype=torch.float32) for count in (size, length))
    places = (start + step * outputs).clamp(0, length - 1)
    return (1 - (places[:, None] - inputs[None, :]).abs()).clamp(min=0).to(features.dtype)
