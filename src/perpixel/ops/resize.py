"""Run a network at another scale than the image's, and bring its logits back to the image's size."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def resize(image: Float[Tensor, "N C H W"], size: tuple[int, int]) -> Float[Tensor, "N C h w"]:
    """Interpolate bilinearly to `size` (H, W); averages where it shrinks, so that nothing aliases."""
    if image.shape[-2:] == size:
        return image
    return functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)


def scaled_size(size: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Return (H, W) times `scale`, rounded, at least 1."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def logits_at_scale(network: nn.Module, image: Float[Tensor, "N C H W"], scale: float) -> Float[Tensor, "N K H W"]:
    """Return logits at the image's own size, from a network that sees the image at `scale`."""
    size = (int(image.shape[-2]), int(image.shape[-1]))
    logits = network(resize(image, scaled_size(size, scale)))
    return functional.interpolate(logits.float(), size, mode="bilinear", align_corners=False) if scale != 1 else logits
