"""FRRN: a residual stream that keeps every pixel, and a pooling stream that sees far; each unit reads and writes both.

    z, 32 channels   +-----------*-----------*-- … --*-----------*---+     full resolution, only ever added to
                     |        pool|  ^ x2  pool|^ x4         pool|  ^      *: concatenated going in, repeated coming out
    image -> 48 -+-> 48 -pool-> 96 -pool-> 192 -> … -> 192 -x2-> 96 -x2-> 48 -> logits
              5x5  3 RU     3 FRRU      4 FRRU              2 FRRU   cat z, 3 RU

    RU     x + norm(conv(relu(norm(conv(x)))))                     no ReLU after the sum
    FRRU   y' = block(block([y, pool_f(z)]))     z' = z + repeat_f(conv_1x1(y'))       block: 3 x 3, norm, ReLU

FRRN A pools four times (2, 4, 8, 16), FRRN B five (32). Residual pools at 16 and 32 have windows that large, on the
full image. Two upsamplings: z is written by repeating values, y is enlarged bilinearly.

Training keeps every map of full resolution: 1.6 GiB an image for A at 256 x 512, 6.7 GiB for B at 512 x 1024.
`checkpoint` keeps what passes between resolutions and computes the rest twice: 0.6 and 2.4 GiB, 40 % more time.

Source: Pohlen, Hermans, Mathias, Leibe, "Full-Resolution Residual Networks", CVPR 2017, arXiv:1611.08323, Sec. 3 and
    Table 1; TobyPDE/FRRN, dltools/architectures.py and layers.py.
Differs: any size, maps rounded up and cropped, where the release needs multiples of 16 (A) or 32 (B). Bilinear
    enlargement keeps pixels where they are; the release's, Theano's, does not: see `upsampling`.
    The tail's first RU projects 128 channels to 48, as the release does; Table 1 leaves that out.
    The FRRN of meetps/pytorch-semseg, much copied, is another network: there each unit of a stage sees the pooled
    input again instead of the unit before, the last decoder stage has 48 channels, and the tail is a bare 1 x 1.
    Published test scores are at full resolution; the authors' own validation scores labels shrunk by 4 or 2.
    Their files hold Lasagne's order: W, beta, gamma, mean and inverse deviation, which is not the variance.
Letters: N batch, C channels, K classes, H W pixels, y pooling stream, z residual stream, f how much y is pooled.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint as recompute_later

from perpixel.encoders.vgg import scaled
from perpixel.models.check import check_image
from perpixel.ops.batch_norm import BatchNorm2d

BASE = 48
LANES = 32  # channels of the residual stream
EPSILON = 1e-4  # Lasagne's batch normalisation

Upsampling = Literal["centred", "theano"]
Resize = Callable[[Tensor], Tensor]


class Stage(NamedTuple):
    """Units at one resolution: `units` FRRUs of `multiplier` x 48 channels, y pooled by `factor`."""

    factor: int
    units: int
    multiplier: int


STAGES_A = (
    Stage(2, 3, 2), Stage(4, 4, 4), Stage(8, 2, 8), Stage(16, 2, 8),
    Stage(8, 2, 4), Stage(4, 2, 4), Stage(2, 2, 2),
)  # fmt: skip
STAGES_B = (
    Stage(2, 3, 2), Stage(4, 4, 4), Stage(8, 2, 8), Stage(16, 2, 8), Stage(32, 2, 8),
    Stage(16, 2, 4), Stage(8, 2, 4), Stage(4, 2, 4), Stage(2, 2, 2),
)  # fmt: skip

Streams = tuple[Float[Tensor, "N _ _ _"], Float[Tensor, "N _ H W"]]


class FRRN(nn.Module):
    """Segment an image into `num_classes` classes, at the image's own resolution.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB. The release gives RGB / 255, no mean subtracted.
        width: Multiplies the width of both streams; 1 is the paper's network.
        stages: `STAGES_A` or `STAGES_B`.
        upsampling: How y is enlarged. "centred" puts every value over the middle of the pixels it was pooled from.
            "theano" is the release's: value i lands on pixel 2i, half a pixel too early, which adds up to 7.5 pixels
            over A's four enlargements and 15.5 over B's five, and with all weights equal moves what a logit sees by
            one pixel. Take it for the released weights.
        checkpoint: In training, keep only what passes between stages and compute the rest twice. The gradients are
            the same; batch normalisation counts each batch once (the release shrinks its rate instead).

    Source: Table 1; train.py gives 48 channels and 32 lanes.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        stages: tuple[Stage, ...] = STAGES_A,
        upsampling: Upsampling = "centred",
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels, self.checkpoint = in_channels, checkpoint
        self.enlarge = enlargement(upsampling)
        base, lanes = scaled(BASE, width), scaled(LANES, width)
        self.stem = nn.Sequential(
            Block(in_channels, base, kernel_size=5), *(ResidualUnit(base, base) for _ in range(3))
        )
        self.split = nn.Sequential(nn.Conv2d(base, lanes, kernel_size=1, bias=False), BatchNorm2d(lanes, EPSILON))
        widths = [scaled(BASE * stage.multiplier, width) for stage in stages]
        factors = [1, *(stage.factor for stage in stages)]
        changes = [halve if after > before else self.enlarge for before, after in pairwise(factors)]
        self.stages = nn.ModuleList(
            FRRUStage(inward, outward, lanes, stage, change)
            for (inward, outward), stage, change in zip(pairwise([base, *widths]), stages, changes, strict=True)
        )
        self.tail = nn.Sequential(
            ResidualUnit(widths[-1] + lanes, base), ResidualUnit(base, base), ResidualUnit(base, base)
        )
        self.classifier = nn.Conv2d(base, num_classes, kernel_size=1)
        initialize_lasagne(self)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        check_image(image, self.in_channels)
        run = self.run_and_recompute if self.checkpoint and self.training and torch.is_grad_enabled() else call
        y = run(self.stem, image)
        z = self.split(y)
        for stage in self.stages:
            y, z = run(stage, y, z)
        logits: Tensor = run(self.finish, y, z)
        return logits

    def finish(self, y: Float[Tensor, "N _ h w"], z: Float[Tensor, "N _ H W"]) -> Float[Tensor, "N K H W"]:
        """Bring y back to the image's size, join z, and classify."""
        joined = torch.cat((crop(self.enlarge(y), z), z), dim=1)
        logits: Tensor = self.classifier(self.tail(joined))
        return logits

    def run_and_recompute(self, function: Callable[..., Any], *streams: Tensor) -> Any:
        """Run `function`, keep its inputs alone, and run it again when gradients are asked for."""
        return recompute_later(
            function, *streams, use_reentrant=False, preserve_rng_state=False, context_fn=self.contexts
        )

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Return what surrounds the first run and the second: the second must not move running averages again."""
        return nullcontext(), statistics_held(self)


class FRRUStage(nn.Module):
    """A change of resolution, and the full-resolution residual units at the new one."""

    def __init__(self, in_channels: int, channels: int, lanes: int, stage: Stage, change: Resize) -> None:
        super().__init__()
        self.change = change
        self.units = nn.ModuleList(
            FRRU(in_channels if index == 0 else channels, channels, lanes, stage.factor) for index in range(stage.units)
        )

    def forward(self, y: Float[Tensor, "N _ _ _"], z: Float[Tensor, "N _ H W"]) -> Streams:
        """Bring y to this stage's resolution, and run the units."""
        y = self.change(y)
        for unit in self.units:
            y, z = unit(y, z)
        return y, z


class FRRU(nn.Module):
    """Full-resolution residual unit: y reads the pooled z, and z gets a residual from y."""

    def __init__(self, in_channels: int, channels: int, lanes: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.blocks = nn.Sequential(
            Block(in_channels + lanes, channels, kernel_size=3), Block(channels, channels, kernel_size=3)
        )
        self.residual = nn.Conv2d(channels, lanes, kernel_size=1)

    def forward(self, y: Float[Tensor, "N _ h w"], z: Float[Tensor, "N _ H W"]) -> Streams:
        """Return both streams; y may be a row or column too large after an enlargement, and is cropped."""
        pooled = pool(z, self.factor)
        y = self.blocks(torch.cat((crop(y, pooled), pooled), dim=1))
        repeated = functional.interpolate(self.residual(y), scale_factor=float(self.factor), mode="nearest")
        return y, z + crop(repeated, z)


class ResidualUnit(nn.Module):
    """RU: two 3 x 3 convolutions around which the input is added; projected, linearly, where the width changes."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            Block(in_channels, channels, kernel_size=3),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            BatchNorm2d(channels, EPSILON),
        )
        self.projection = (
            nn.Identity() if in_channels == channels else nn.Conv2d(in_channels, channels, kernel_size=1, bias=False)
        )

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N _ H W"]:
        """Return the sum; no ReLU follows it."""
        total: Tensor = self.blocks(features) + self.projection(features)
        return total


class Block(nn.Sequential):
    """A convolution without bias, batch normalisation and ReLU; the size stays."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2, bias=False),
            BatchNorm2d(channels, EPSILON),
            nn.ReLU(inplace=True),
        )


def pool(features: Float[Tensor, "N C H W"], factor: int) -> Float[Tensor, "N C h w"]:
    """Take the maximum of every window of side `factor`; sizes are rounded up."""
    return functional.max_pool2d(features, factor, factor, ceil_mode=True)


def halve(features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
    """Pool y to half its size."""
    return pool(features, 2)


def crop(features: Float[Tensor, "N C H W"], like: Float[Tensor, "N _ h w"]) -> Float[Tensor, "N C h w"]:
    """Cut off what rounding up has added at the bottom and at the right; negative padding, which exports."""
    excess = [features.shape[axis] - like.shape[axis] for axis in (-1, -2)]
    return functional.pad(features, (0, -excess[0], 0, -excess[1]))


def enlargement(upsampling: str) -> Resize:
    """Return the function that doubles y.

    Raises:
        ValueError: Neither "centred" nor "theano".
    """
    known = {"centred": centred_upsampling, "theano": theano_upsampling}
    if upsampling not in known:
        raise ValueError(
            f"FRRN: expected upsampling to be centred or theano, got {upsampling!r}. Only released weights need theano."
        )
    return known[upsampling]


def centred_upsampling(features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C 2h 2w"]:
    """Double both sides bilinearly; value i lands between pixels 2i and 2i + 1."""
    return functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)


def theano_upsampling(features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C 2h 2w"]:
    """Double both sides bilinearly; value i lands on pixel 2i, pixel 2i + 1 is the mean of its neighbours.

    The last value is repeated. Neither setting of PyTorch's `align_corners` does this.

    Source: Theano, tensor/nnet/abstract_conv.py, bilinear_upsampling with ratio 2.
    """
    longer = functional.pad(features, (0, 1, 0, 1), mode="replicate")
    size = (2 * features.shape[-2] + 1, 2 * features.shape[-1] + 1)
    return functional.interpolate(longer, size, mode="bilinear", align_corners=True)[..., :-1, :-1]


def initialize_lasagne(network: nn.Module) -> None:
    """Draw convolutions from He's uniform distribution, gain √2 before a ReLU, 1 elsewhere; biases are zero.

    Source: TobyPDE/FRRN, dltools/architectures.py; Lasagne's HeUniform.
    """
    before_relu = {id(layers[0]) for layers in network.modules() if isinstance(layers, Block)}
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu" if id(layer) in before_relu else "linear")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@contextmanager
def statistics_held(network: nn.Module) -> Iterator[None]:
    """Keep batch normalisation's running averages, and its count of batches, as they are."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [(layer.momentum, layer.num_batches_tracked) for layer in norms]
    for layer in norms:
        layer.momentum, layer.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for layer, (momentum, count) in zip(norms, before, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, count


def call(function: Callable[..., Any], *streams: Tensor) -> Any:
    """Run `function`."""
    return function(*streams)
