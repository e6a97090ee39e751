"""What a network asks of its input, checked once, where it comes in."""

from jaxtyping import Float
from torch import Tensor

from perpixel.errors import UsageError


def check_image(image: Float[Tensor, "N C H W"], in_channels: int) -> None:
    """Refuse what is not a batch of float images of `in_channels` channels, and say how to mend it.

    Raises:
        ValueError: A wrong number of axes or channels, or no pixels.
        TypeError: Not floats.
    """
    shape = tuple(image.shape)
    if image.ndim != 4 or shape[1] != in_channels or 0 in shape:
        raise ValueError(
            f"forward: expected an image of shape (N, {in_channels}, H, W), got {shape}. {remedy(shape, in_channels)}"
        )
    if not image.is_floating_point():
        raise TypeError(
            f"forward: expected a float image, got {image.dtype}. Normalise the pixels as in training first."
        )


def known_background(background: int, num_classes: int) -> int | None:
    """Return the background's id, None where there is none; a single class is a label.

    Raises:
        UsageError: It is no class.
    """
    if not -1 <= background < num_classes:
        raise UsageError(
            f"build: expected background from 0 to {num_classes - 1}, or -1 for none, got {background}. "
            "Give the id of the class that is nothing in particular."
        )
    return background if background >= 0 and num_classes > 1 else None


def check_ranges(network: str, input_size: int, smallest: int = 0, **shares: float) -> None:
    """Refuse a side of the square that images are seen as, and shares and probabilities, out of their ranges.

    Raises:
        UsageError: The message names the option.
    """
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise UsageError(f"{network}: expected {name} from 0 to 1, got {value}. Give such a number.")
    if input_size < smallest:
        hint = "" if smallest else " 0 keeps images' sizes."
        raise UsageError(f"{network}: expected input_size of {smallest} or more, got {input_size}.{hint}")


def remedy(shape: tuple[int, ...], in_channels: int) -> str:
    """Say what to do about a shape."""
    if len(shape) == 3 and shape[0] == in_channels:
        return "Add the batch axis: image[None]."
    if len(shape) == 4 and shape[3] == in_channels:
        return "Move the channels forward: image.permute(0, 3, 1, 2)."
    if len(shape) == 4 and shape[1] != in_channels:
        return f"Build the network with in_channels={shape[1]}, or convert the image."
    return "Give a batch of images, each with at least one pixel."
