"""Operations on weights: what a classifier learned, made to fit a segmenter.

    fold_input        RGB / std  ->  BGR - mean                 exact but where zero padding touches the image
    widen_input       3 channels ->  1, 4 or more
    fc_to_convolution (O, C·k·k) ->  (O, C, k, k)               the same numbers
    decimate          (O, C, 7, 7) -> (O, C, 4, 4) or (3, 3)    every second, every third tap
    keep_channels     4096       ->  1024                       a random subset, the same for every layer
    fold_norm         convolution, norm -> convolution          with the norm's averages; exact when not training
    move_stride       a bottleneck's stride, between its 3x3 and its first 1x1

All of them are functions of tensors and leave their arguments alone, but `move_stride`, which changes a network.

Source: fcn.berkeleyvision.org, surgery.py and nyud-fcn32s-color-d/solve.py; DeepLab v1, ICLR 2015, Sec. 3.1.
Letters: O outputs, C channels, k taps.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from perpixel.weights.pixels import PixelFormat

# Which of the 7 taps are kept in each direction. The papers say "simple decimation"; which taps is uncertain.
TAPS = {4: (0, 2, 4, 6), 3: (0, 3, 6)}


def fold_input(
    weight: Float[Tensor, "O C k l"], held: PixelFormat, wanted: PixelFormat
) -> tuple[Float[Tensor, "O C k l"], Float[Tensor, "O"]]:
    """Translate a first convolution from one normalisation of pixels to another.

    The file's network got (p − m) / s of a pixel p, and the new one gets x = (p − m') / s', perhaps with its channels
    reversed: x·s'/s + (m' − m)/s is what the file's network got. The factor goes into the weights, the rest is
    constant and goes into the bias. Where the convolution pads with zeros, zero means another colour than before:
    there, and only there, the two differ.

    Args:
        weight: Of the first convolution, its channels in the order `held.order`.
        held: What the weights were trained on.
        wanted: What the new network gets.

    Returns: The new weights, their channels in the order `wanted.order`, and what to add to the bias.
    Raises:
        ValueError: The numbers of channels differ.
    """
    channels = weight.shape[1]
    if not channels == len(held.mean) == len(wanted.mean):
        raise ValueError(
            f"fold_input: expected means for {channels} channels, got {len(held.mean)} and {len(wanted.mean)}. "
            "Use widen_input after folding, not before."
        )
    mean, std = (_row(values, weight) for values in (held.mean, held.std))
    new_mean, new_std = (_row(values, weight) for values in (wanted.mean, wanted.std))
    rgb = (weight.flip(1) if held.order == "bgr" else weight).double()
    offset = (rgb.sum(dim=(2, 3)) * ((new_mean - mean) / std)).sum(dim=1)
    folded = rgb * (new_std / std).view(1, -1, 1, 1)
    folded = folded.flip(1) if wanted.order == "bgr" else folded
    return folded.to(weight.dtype), offset.to(weight.dtype)


def widen_input(weight: Float[Tensor, "O 3 k l"], channels: int) -> Float[Tensor, "O C k l"]:
    """Return a first convolution for another number of channels than colour's three.

    One channel, grey, is all three colours at once: the sum. Every channel after the third gets the mean of
    the colours, as FCN's depth channel on NYUDv2; two channels get the first two.

    Source: nyud-fcn32s-color-d/solve.py.
    """
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    extra = weight.mean(dim=1, keepdim=True).expand(-1, max(channels - 3, 0), -1, -1)
    return torch.cat([weight[:, :channels], extra], dim=1)


def fc_to_convolution(weight: Float[Tensor, "O I"], kernel_size: tuple[int, int]) -> Float[Tensor, "O C k l"]:
    """Make a fully connected layer a convolution that covers its whole input: the same numbers, reshaped.

    Raises:
        ValueError: The inputs are no multiple of the kernel's taps.
    """
    height, width = kernel_size
    if weight.shape[1] % (height * width):
        raise ValueError(
            f"fc_to_convolution: expected a multiple of {height} x {width} inputs, got {weight.shape[1]}. Name the "
            "size of the map that the layer was trained on."
        )
    return weight.reshape(weight.shape[0], -1, height, width)


def decimate(weight: Float[Tensor, "O C 7 7"], kernel_size: int) -> Float[Tensor, "O C k k"]:
    """Keep every second or third tap of fc6; with a dilation of 2 or 3 more, it looks at the places it did.

    Raises:
        ValueError: Not from 7 taps to 4 or 3.

    Source: DeepLab v1, Sec. 3.1. Which taps were kept is not said; these are evenly spread.
    """
    if weight.shape[2:] != (7, 7) or kernel_size not in TAPS:
        raise ValueError(
            f"decimate: expected 7 x 7 taps and a kernel of 4 or 3, got {tuple(weight.shape[2:])} and {kernel_size}."
        )
    taps = torch.tensor(TAPS[kernel_size], device=weight.device)
    return weight.index_select(2, taps).index_select(3, taps)


def kept_channels(channels: int, kept: int, seed: int = 0) -> Int64[Tensor, "kept"]:
    """Draw which channels stay, in ascending order; the same for the same numbers.

    Source: DeepLab v1, Sec. 3.1: 1024 of fc6's and fc7's 4096, at random. The released subset is not known.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(channels, generator=generator)[:kept].sort().values


def keep_channels(weight: Float[Tensor, "O ..."], outputs: int, inputs: int | None = None) -> Float[Tensor, "o ..."]:
    """Keep some outputs of a layer, and of a convolution the inputs that the layer before has kept.

    Args:
        weight: (O, C, k, k), or a bias (O,).
        outputs: How many outputs stay.
        inputs: How many inputs; all if not given.
    """
    if outputs < weight.shape[0]:
        weight = weight[kept_channels(weight.shape[0], outputs)]
    if inputs is not None and weight.ndim > 1 and inputs < weight.shape[1]:
        weight = weight[:, kept_channels(weight.shape[1], inputs)]
    return weight


def fold_norm(
    weight: Float[Tensor, "O ..."], bias: Float[Tensor, "O"] | None, norm: dict[str, Tensor], epsilon: float
) -> tuple[Float[Tensor, "O ..."], Float[Tensor, "O"]]:
    """Return a convolution that does what one and its batch normalisation did together, outside training.

    Args:
        weight: Of the convolution.
        bias: Of the convolution, if it has one.
        norm: `weight`, `bias`, `running_mean` and `running_var` of the normalisation.
        epsilon: That is added to the variance.
    """
    scale = norm["weight"] / (norm["running_var"] + epsilon).sqrt()
    shift = -norm["running_mean"] if bias is None else bias - norm["running_mean"]
    return weight * scale.view(-1, *[1] * (weight.ndim - 1)), norm["bias"] + shift * scale


def move_stride(network: nn.Module, to: Literal["3x3", "1x1"]) -> int:
    """Move the stride of every bottleneck that has one; the weights stay as they are.

    Files of torchvision mean the 3x3, those of the MSRA release the first 1x1. The network is changed, and a state
    dict does not say so: build it with `stride_in` wherever you can.

    Returns: How many blocks were changed.
    """
    changed = 0
    for block in network.modules():
        first, second = getattr(block, "conv1", None), getattr(block, "conv2", None)
        if not (isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d) and hasattr(block, "conv3")):
            continue
        source, target = (first, second) if to == "3x3" else (second, first)
        if source.stride != (1, 1) and target.stride == (1, 1):
            source.stride, target.stride = target.stride, source.stride
            changed += 1
    return changed


def stride_in(network: nn.Module) -> Literal["3x3", "1x1"] | None:
    """Return where a network's bottlenecks have their stride; None where there are none."""
    for block in network.modules():
        if hasattr(block, "conv3") and isinstance(getattr(block, "conv2", None), nn.Conv2d):
            if isinstance(block.conv1, nn.Conv2d) and block.conv1.stride != (1, 1):
                return "1x1"
            if block.conv2.stride != (1, 1):
                return "3x3"
    return None


def _row(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(tuple(values), dtype=torch.float64, device=like.device)
