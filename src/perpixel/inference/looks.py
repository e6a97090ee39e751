"""Look at an image several times, in other sizes, mirrored or turned, and join what the network says of each.

    image -> scale, mirror, turn -> network -> logits -> turn back, mirror back -> at the image's size
                                                      -> mean of probabilities, or maximum of logits

Quarter turns move pixels and nothing else. Other angles are resampled bilinearly, there and back, on a canvas that
holds the whole turned image; what is beside the image on it is its mirror image.

Source: Chen et al., "DeepLab", PAMI 2018, arXiv:1606.00915, Sec. 4.1.2, scales and maximum; Ronneberger et al.,
    "U-Net", MICCAI 2015, arXiv:1505.04597, Sec. 4, rotations.
Differs: looks are joined at the image's size, DeepLab's on its coarse map, as `deeplab-v2-resnet101` itself does with
    `multi_scale`. Uncertain: U-Net says seven rotations, not which; ours are evenly spread.
Letters: C channels, K classes, H W pixels.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.errors import UsageError
from perpixel.inference.options import Options
from perpixel.ops.resize import logits_at_scale


class Look(NamedTuple):
    """One way to show an image to a network.

    Attributes:
        scale: The size, relative to the one trained at.
        mirrored: Left and right exchanged, before it is turned.
        degrees: Turned by, counter-clockwise, 0 to 360.
    """

    scale: float
    mirrored: bool
    degrees: float


def looks(options: Options) -> list[Look]:
    """Return every look that is asked for."""
    return [
        Look(scale, mirrored, 360 * turn / options.rotations)
        for scale in options.scales
        for mirrored in ((False, True) if options.flip else (False,))
        for turn in range(options.rotations)
    ]


def canvas_share(options: Options) -> float:
    """Return how many times a square image's pixels the largest canvas of a look has, at scale 1."""
    angles = [math.radians(look.degrees) for look in looks(options) if look.degrees % 90]
    return max(((abs(math.cos(angle)) + abs(math.sin(angle))) ** 2 for angle in angles), default=1.0)


def fused_probabilities(
    network: nn.Module, image: Float[Tensor, "1 C H W"], options: Options, scale: float, num_classes: int
) -> Float[Tensor, "K H W"]:
    """Return probabilities, joined over all looks.

    Args:
        network: image -> logits, of the same size.
        image: As the network was trained, but for its size.
        options: Scales, mirror images and rotations, and how they are fused.
        scale: The size at which the network was trained, relative to the image's.
        num_classes: K.

    Raises:
        UsageError: The network returns something else than logits of K classes at the image's size.
    """
    fused, views = None, looks(options)
    for look in views:
        logits = look_at(network, image, look._replace(scale=scale * look.scale), num_classes)
        seen = logits if options.fusion == "max" else logits.softmax(0)
        fused = seen if fused is None else _fuse(fused, seen, options.fusion)
    assert fused is not None
    if options.fusion == "max":
        return fused.softmax(0)
    return fused.div_(len(views)) if len(views) > 1 else fused


def look_at(
    network: nn.Module, image: Float[Tensor, "1 C H W"], look: Look, num_classes: int
) -> Float[Tensor, "K H W"]:
    """Return the logits of one look, where the image's pixels are."""
    view = turned(image.flip(-1) if look.mirrored else image, look.degrees)
    logits = logits_at_scale(network, view, look.scale).float()
    if logits.shape != (1, num_classes, *view.shape[-2:]):
        raise UsageError(
            f"predict: expected logits of shape (1, {num_classes}, {view.shape[-2]}, {view.shape[-1]}), "
            f"got {tuple(logits.shape)}. Name as many classes as the network has."
        )
    back = turned_back(logits, look.degrees, (image.shape[-2], image.shape[-1]))[0]
    return back.flip(-1) if look.mirrored else back


def turned(image: Float[Tensor, "1 C H W"], degrees: float) -> Float[Tensor, "1 C h w"]:
    """Return the image turned counter-clockwise about its middle, on a canvas that holds all of it."""
    if degrees % 90 == 0:
        return image if not degrees else image.rot90(round(degrees / 90), (-2, -1))
    height, width = image.shape[-2:]
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    size = (math.ceil(height * cosine + width * sine), math.ceil(width * cosine + height * sine))
    return _sample(image, degrees, size, "reflection")


def turned_back(turned: Float[Tensor, "1 K h w"], degrees: float, size: tuple[int, int]) -> Float[Tensor, "1 K H W"]:
    """Return what lies where the image's pixels were before it was turned.

    Args:
        turned: A map of the canvas.
        degrees: The angle that the image was turned by.
        size: (H, W) of the image.
    """
    if degrees % 90 == 0:
        return turned if not degrees else turned.rot90(-round(degrees / 90), (-2, -1))
    return _sample(turned, -degrees, size, "border")


def _sample(
    image: Float[Tensor, "1 C h w"], degrees: float, size: tuple[int, int], beyond: str
) -> Float[Tensor, "1 C H W"]:
    """Turn about the middle, into another size; coordinates count from the middles of both."""
    rows = torch.arange(size[0], dtype=torch.float32, device=image.device)[:, None] - (size[0] - 1) / 2
    columns = torch.arange(size[1], dtype=torch.float32, device=image.device) - (size[1] - 1) / 2
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    height, width = image.shape[-2:]
    across = (cosine * columns - sine * rows) * (2 / width)
    down = (sine * columns + cosine * rows) * (2 / height)
    grid = torch.stack([across, down], -1)[None].to(image.dtype)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode=beyond, align_corners=False)


def _fuse(fused: Tensor, look: Tensor, fusion: str) -> Tensor:
    return torch.maximum(fused, look) if fusion == "max" else fused.add_(look)  # fused logits may be the network's own
