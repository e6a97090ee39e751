"""How much of what it sees a network uses: the gradient's energy over the image.

    theoretical   [ . . . . . . . . . . . . . ]      every pixel that could matter
    effective           . : + # + : .                those that do: a bell, much narrower

A pixel in the middle reaches an output along many paths, one at the edge along one. So the effective field of a
fresh network is a Gaussian bell whose width grows with the square root of the depth; training widens it.

Source: Luo, Li, Urtasun, Zemel, "Understanding the Effective Receptive Field", NIPS 2016, arXiv:1701.04128.
Letters: N batch, C channels, H W pixels, K classes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from perpixel.explain.trace import evaluating, first_channels


def effective_receptive_field(
    module: nn.Module,
    image_size: tuple[int, int] = (256, 256),
    place: tuple[int, int] | None = None,
    samples: int = 8,
    in_channels: int | None = None,
    seed: int = 0,
) -> Float[Tensor, "H W"]:
    """Return how much each pixel of the image moves one output: squared gradients, summed to 1.

    Args:
        module: image (1, C, H, W) -> map, with its own weights, fresh or trained, in evaluation mode.
        image_size: (H, W). Larger than what an output sees, if the whole bell is to be seen.
        place: (row, column) of the output; the middle of the map if not given.
        samples: Images of Gaussian noise, and random signs over the classes, to average over.
        in_channels: C; read from the first convolution if not given.
        seed: Of the noise.

    Raises:
        ValueError: No gradient reaches the image: score layers that begin at zero, say.
    """
    channels = first_channels(module) if in_channels is None else in_channels
    parameter = next(module.parameters(), torch.zeros(()))
    noise = torch.Generator().manual_seed(seed)
    energy = torch.zeros(image_size, dtype=torch.float64)
    for _ in range(samples):
        image = torch.randn(1, channels, *image_size, generator=noise).to(parameter).requires_grad_()
        with torch.enable_grad(), evaluating(module):
            logits = module(image)
            row, column = place or (logits.shape[-2] // 2, logits.shape[-1] // 2)
            signs = torch.randn(logits.shape[1], generator=noise).sign().to(logits)
            (gradient,) = torch.autograd.grad((logits[0, :, row, column] * signs).sum(), image)
        energy += gradient[0].double().square().sum(0).cpu()
    if not energy.any():
        raise ValueError(
            "effective_receptive_field: expected an output that depends on the image, got a gradient of zero. "
            "Train the network, or give its score layers weights: they may begin at zero."
        )
    return energy / energy.sum()


def side(energy: Float[Tensor, "H W"], share: float = 0.95) -> int:
    """Return the side of the smallest centred square that holds a share of the energy.

    Args:
        energy: Of `effective_receptive_field`; the square grows around its centroid.
        share: 0 to 1.
    """
    weights = energy.double() / energy.sum()
    height, width = weights.shape
    rows, columns = (torch.arange(length, dtype=torch.float64) for length in (height, width))
    middle = float(weights.sum(1) @ rows), float(weights.sum(0) @ columns)
    reach = torch.maximum((rows - middle[0]).abs()[:, None], (columns - middle[1]).abs()[None, :]).flatten()
    order = reach.argsort()
    held = weights.flatten()[order].cumsum(0)
    last = int((held < share - 1e-12).sum())
    return int(2 * reach[order[min(last, len(order) - 1)]].round()) + 1
