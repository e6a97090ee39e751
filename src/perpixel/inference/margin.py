"""A padded trunk without its margin: for each image, only what can see the image is computed.

    a stage's map, padded     . . . . . . . .     . is alike for every image: the response to an image of zeros
                              . . x x x x . .     x may see the image
                              . . x x x x . .     the next stage reads x, and as much around it as
                              . . . . . . . .     its convolutions reach

FCN pads an image by 100 pixels on each side, which doubles the map at 360 x 480. But the first stages see a few pixels
beyond their own place: nearly all of their margin is the same for every image. What is returned is the padded trunk's.

The response to zeros depends on the image's size only through its remainder by 16: it is computed for the smallest
such image, and stretched by repeating one row and one column that see neither the image nor the edge of the map.

Source: the padding is that of fcn.berkeleyvision.org, voc-fcn*/net.py; leaving it out is ours.
Letters: N batch, C channels, H W pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.pooling import layer_of
from perpixel.encoders.vgg import VGG

PERIOD = 16  # pixels: the stride of the deepest map whose margin is spared
KEPT = 8  # responses to zeros, each of some megabytes


class Span(NamedTuple):
    """Rows, or columns, from `start` to before `stop`."""

    start: int
    stop: int

    def within(self, outer: "Span") -> slice:
        """Return where this lies in what was cut out by `outer`."""
        return slice(self.start - outer.start, self.stop - outer.start)


class Plan(NamedTuple):
    """What a stage does along one axis.

    Attributes:
        given: The part of its map that it reads.
        kept: The part of its convolutions' output that is right, and pooled.
        pooled: Where that lies in the pooled map.
        length: Of the whole pooled map.
    """

    given: Span
    kept: Span
    pooled: Span
    length: int


class NarrowMargin(nn.Module):
    """A VGG trunk for inference that returns what it returned, without computing its margin for each image.

    Args:
        encoder: `has_margin`. It is changed: from now on its first convolution pads by 1.
    """

    def __init__(self, encoder: VGG) -> None:
        super().__init__()
        first = first_convolution(encoder)
        self.border = int(first.padding[0]) - 1
        first.padding = (1, 1)
        self.encoder = encoder
        self.paddings = paddings(encoder)
        self.responses: dict[object, list[Tensor]] = {}

    def forward(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N _ _ _"]]:
        """Return every stage's pooled features, at strides 2, 4, 8, 16 and 32; sizes are rounded up."""
        plans = zip(*(plan(length, self.border, self.paddings) for length in image.shape[-2:]), strict=True)
        features = surround(image, self.border)
        pooled: list[Tensor] = []
        for stage, pool, (rows, columns), response in zip(
            self.encoder.stages.values(), self.encoder.pools, plans, [*self.respond(image), None], strict=True
        ):
            features = stage(features[..., slice(*rows.given), slice(*columns.given)])
            features = pool(features[..., rows.kept.within(rows.given), columns.kept.within(columns.given)])
            if response is not None:
                features = paste(features, response, rows, columns, constant(self.border, self.paddings, len(pooled)))
            pooled.append(features)
        return pooled

    def respond(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "1 _ _ _"]]:
        """Return the pooled maps but the last of the smallest image of zeros whose poolings fall alike."""
        size = tuple((length - 1) % PERIOD + 1 for length in image.shape[-2:])
        key = (size, image.dtype, image.device)
        if key not in self.responses:
            if len(self.responses) >= KEPT:
                self.responses.pop(next(iter(self.responses)))
            features = surround(image.new_zeros(1, image.shape[1], *size), self.border)
            maps = []
            for stage, pool in list(zip(self.encoder.stages.values(), self.encoder.pools, strict=True))[:-1]:
                features = pool(stage(features))
                maps.append(features)
            self.responses[key] = maps
        return self.responses[key]


def narrow_margins(network: nn.Module) -> None:
    """Put `NarrowMargin` around every trunk of a network that has a margin worth the name."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, VGG) and has_margin(child) and not isinstance(parent, NarrowMargin):
                setattr(parent, name, NarrowMargin(child))


def has_margin(encoder: VGG) -> bool:
    """Return whether a trunk pads so much that some of each map sees neither the image nor the map's edge."""
    if encoder.strides != (2, 4, 8, 16, 32):
        return False
    border, inner = int(first_convolution(encoder).padding[0]) - 1, paddings(encoder)
    edges = [constant(border, inner, stage) for stage in range(len(inner) - 1)]
    lengths = [step.length for step in plan(1, border, inner)]
    return all(2 * edge + 2 < length for edge, length in zip(edges, lengths, strict=False))


def first_convolution(encoder: VGG) -> nn.Conv2d:
    """Return the layer that pads the image."""
    return next(layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d))


def paddings(encoder: VGG) -> list[list[int]]:
    """Return for each stage how far its convolutions look to each side."""
    return [
        [layer_of(layer).reach // 2 for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
        for stage in encoder.stages.values()
    ]


def plan(length: int, border: int, paddings: Sequence[Sequence[int]]) -> list[Plan]:
    """Follow along one axis what sees the image, from stage to stage; the last stage does all of its map."""
    seen, total, plans = Span(border, border + length), length + 2 * border, []
    for number, stage in enumerate(paddings, start=1):
        reach = sum(stage)
        if number == len(paddings):
            seen = Span(0, total)
        pooled = Span(max(0, seen.start - reach) // 2, half(min(total, seen.stop + reach)))
        kept = Span(2 * pooled.start, min(total, 2 * pooled.stop))
        given = Span(max(0, kept.start - reach), min(total, kept.stop + reach))
        plans.append(Plan(given, kept, pooled, half(total)))
        seen, total = pooled, half(total)
    return plans


def constant(border: int, paddings: Sequence[Sequence[int]], number: int) -> int:
    """Return the first row of a pooled response to zeros that does not see the map's edge."""
    row = 0
    for stage in paddings[: number + 1]:
        row = half(row + sum(stage))
    return row


def paste(
    features: Float[Tensor, "N C h w"], response: Float[Tensor, "1 C _ _"], rows: Plan, columns: Plan, row: int
) -> Float[Tensor, "N C H W"]:
    """Return the whole map: what sees the image, and around it the response to zeros, stretched at `row`."""
    down, across = (
        stretch(size, step.length, row) for size, step in zip(response.shape[-2:], (rows, columns), strict=True)
    )
    whole = response.permute(0, 2, 3, 1)[:, :, across].index_select(1, down).permute(0, 3, 1, 2)
    whole = whole.expand(len(features), -1, -1, -1).clone() if len(features) > 1 else whole
    whole[..., slice(*rows.pooled), slice(*columns.pooled)] = features
    return whole


def stretch(length: int, longer: int, row: int) -> Int64[Tensor, " longer"]:
    """Return which of `length` rows each of `longer` rows repeats: all are there, and `row` several times."""
    rows = torch.arange(longer)
    return torch.maximum(rows.clamp(max=row), rows - (longer - length))


def surround(image: Float[Tensor, "N C H W"], border: int) -> Float[Tensor, "N C _ _"]:
    """Pad with zeros."""
    return functional.pad(image, (border,) * 4)


def half(length: int) -> int:
    """Return the half, rounded up."""
    return -(-length // 2)
