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
from torch.nn import functional


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


def to_corners(
    features: Float[Tensor, "N C H W"], image_size: tuple[int, int], stride: int, margin: int = 1
) -> Float[Tensor, "N C h w"]:
    """Return features whose corner places lie on the image's corner pixels; a target can be shrunk to that.

    Args:
        features: Place i lies at pixel `stride`·i, or half a pixel beside it where `margin` is 2.
        image_size: (H, W) of the image without what it was filled up with.
        stride: In pixels.
        margin: What `image_size` leaves over, divided by `stride`, where nothing is to be done.
    """
    lengths = [max(length - margin, 0) for length in image_size]
    height, width = (length // stride + 1 for length in lengths)
    if features.shape[-2:] == (height, width) and not any(length % stride for length in lengths):
        return features
    rows, columns = (length / stride / max(length // stride, 1) for length in lengths)
    return zoom(features, (height, width), (rows, columns))


def fill(image: Float[Tensor, "N C H W"], margin: int = 1, stride: int = 8) -> Float[Tensor, "N C h w"]:
    """Add rows and columns of zeros, at the bottom and right, up to sizes that leave `margin` over by `stride`."""
    rows, columns = ((margin - length) % stride for length in image.shape[-2:])
    return functional.pad(image, (0, columns, 0, rows))
