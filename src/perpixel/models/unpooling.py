"""A decoder that unpools, behind any encoder: DecoupledNet's and TransferNet's.

    a VGG     image -> stage -> max_pool -> stage -> max_pool -> ... -> features      switches of its own poolings
    others    image -> encoder -> maps of stride 2, 4, 8, ... -> features
                                    +-- max_pool --> switches                         of poolings that it never made
    logits <- deconvolve <- max_unpool <- deconvolve <- max_unpool <- deconvolve <- what is to be cut out

The decoder is told what to cut out, and by the switches where outlines may run. Only positions cross to it: were
features joined to it, as U-Net joins them, it could learn what the classes with masks look like, and that would not
serve the classes without. Encoders that stride have no switches; but any map can be pooled by 2 x 2 all the same, and
where its maxima are says what it says in a VGG. What the pooling returns besides is dropped.

The deconvolutions mirror a VGG's convolutions; behind other encoders two stand for each map. There grids lie apart: a
pooled map's elements are not where the next map's are, and the finest map is not the image. Features are interpolated
from the one to the other, by the places that follow from the encoder's layers, and so are the logits to the image.

Source: Noh, Hong, Han, "DeconvNet", ICCV 2015, arXiv:1505.04366, Sec. 3, for the mirrored stages; Hong et al., NIPS
    2015 and CVPR 2016, for what is decoded with them.
Differs: all but the VGG's is ours.
Letters: N batch, C channels, H W pixels, h w cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.build import build_encoder
from perpixel.encoders.encoder import Encoder, Layered, keep_stages
from perpixel.encoders.external import PREFIXES, external_strides
from perpixel.encoders.vgg import VGG, Widths
from perpixel.errors import UsageError
from perpixel.models.deconvnet import add, mirrored
from perpixel.models.fcn_encoders import places, scored_maps
from perpixel.models.initialize import initialize_he
from perpixel.ops.bilinear import enlarge
from perpixel.ops.unpool import Switches, max_pool, max_unpool


class Seen(NamedTuple):
    """What an encoder saw, and where its maxima were.

    Attributes:
        features: The deepest map.
        switches: Shallowest first.
    """

    features: Float[Tensor, "N C h w"]
    switches: tuple[Switches, ...]


class Step(NamedTuple):
    """How one grid lies on another: element i at `start` + `stride`·i of it."""

    stride: float
    start: float


class Mirror(NamedTuple):
    """What a decoder must know of an encoder to undo it.

    Attributes:
        widths: Of the layers of each stage, shallowest first.
        steps: To each pooled map, shallowest first, from the features that are unpooled there; None: they lie there.
        last: From the finest map to the image.
    """

    widths: Widths
    steps: tuple[Step | None, ...]
    last: Step | None = None


def build_trunk(name: str, in_channels: int, width: float, stages: int, pool_last: bool) -> Encoder:
    """Build an encoder for a decoder that unpools, with first weights.

    Args:
        name: Any of `encoders.build`, e.g. vgg16 or resnet18.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every layer; another library's encoder stays as wide as it is.
        stages: Of a VGG, 1 to 5. Another encoder gives cells as large as a VGG's of so many stages: what lies behind is
            left out, too, so that cells see less around them. Another library's encoder is dilated instead.
        pool_last: The last stage is pooled too: cells of 2^stages pixels, and not of half as many.

    Raises:
        UsageError: There is no such encoder, or it has no such number of stages.
    """
    stride = 2 ** (stages if pool_last else stages - 1)
    if name.startswith(PREFIXES):
        _require_stride(name, stride, stages, external_strides(name))
        return build_encoder(name, in_channels, output_stride=stride)
    trunk = build_encoder(name, in_channels, width)
    assert isinstance(trunk, Layered)
    if isinstance(trunk, VGG):
        keep_stages(trunk, stages)
    else:
        _require_stride(name, stride, stages, trunk.strides)
        trunk.keep(max(number for number, found in enumerate(trunk.strides, start=1) if found == stride))
    initialize_he(trunk)
    return trunk


def _require_stride(name: str, stride: int, stages: int, strides: Sequence[int]) -> None:
    """Refuse cells that an encoder cannot have."""
    if stride not in strides:
        offset = stages - (stride.bit_length() - 1)
        known = [found.bit_length() - 1 + offset for found in strides]
        counts = f"{known[0]} to {known[-1]}" if len(known) > 1 else str(known[0])
        raise UsageError(
            f"build_trunk: expected {counts} stages of {name}, got {stages}. Its cells are then "
            f"{', '.join(map(str, strides))} pixels wide."
        )


def look(encoder: Encoder, image: Float[Tensor, "N C H W"], pool_last: bool) -> Seen:
    """Return the deepest features, and switches to unpool by.

    Args:
        encoder: By `build_trunk`.
        image: Of any size.
        pool_last: Whether a VGG's last stage is pooled.
    """
    if not isinstance(encoder, VGG):
        return _look_at_maps(encoder, image)
    features, switches = image, []
    for number, stage in enumerate(encoder.stages.values(), start=1):
        features = stage(features)
        if pool_last or number < len(encoder.stages):
            features, where = max_pool(features)
            switches.append(where)
    return Seen(features, tuple(switches))


def _look_at_maps(encoder: Encoder, image: Float[Tensor, "N C H W"]) -> Seen:
    """Return the deepest map, and the switches that poolings of the others would leave."""
    maps = encoder(image)
    deepest, *others = distinct_maps(encoder).values()
    return Seen(maps[deepest], tuple(max_pool(maps[index].detach())[1] for index in reversed(others)))


def distinct_maps(encoder: Encoder) -> dict[int, int]:
    """Return the index of the last map of each stride, coarsest first."""
    return scored_maps(tuple(encoder.strides), min(encoder.strides))


def mirror(encoder: Encoder, pool_last: bool) -> Mirror:
    """Return what undoes an encoder; see `look`."""
    if isinstance(encoder, VGG):
        stages = [
            [layer.out_channels for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
            for stage in encoder.stages.values()
        ]
        return Mirror(stages, (None,) * (len(stages) - (not pool_last)))
    lies, maps = places(encoder), distinct_maps(encoder)
    coarse, *finer = maps
    widths, steps = [[encoder.channels[maps[coarse]]]], []
    for stride in finer:
        pooled, start = 2 * stride, lies[stride] + stride / 2  # of the pooled map, in pixels
        steps.append(Step(coarse / pooled, (lies[coarse] - start) / pooled))
        widths.append([encoder.channels[maps[stride]]] * 2)
        coarse = stride
    return Mirror(widths[::-1], tuple(steps[::-1]), Step(coarse, lies[coarse]))


class Decoder(nn.Module):
    """Unpool and deconvolve, to the logits of background and label.

    Args:
        seen: Channels of what is to be cut out. Where the encoder's last stage is pooled, as many as that has.
        plan: Of the encoder. A last stage without pooling is answered by one deconvolution.
        batch_norm: Normalise before every ReLU.
    """

    def __init__(self, seen: int, plan: Mirror, batch_norm: bool = False) -> None:
        super().__init__()
        self.steps, self.last = plan.steps, plan.last
        self.stages = nn.ModuleDict()
        for number in range(len(plan.widths), 0, -1):
            narrower = plan.widths[max(number - 2, 0)][-1]
            if number > len(plan.steps):
                self.stages[f"stage{number}"] = _first(number, seen, narrower, batch_norm)
            else:
                self.stages[f"stage{number}"] = mirrored(number, plan.widths[number - 1], narrower, batch_norm)
        self.score = nn.Conv2d(plan.widths[0][-1], 2, kernel_size=1)

    def forward(
        self, features: Float[Tensor, "N _ h w"], switches: tuple[Switches, ...], size: tuple[int, int]
    ) -> Float[Tensor, "N 2 H W"]:
        """Return logits.

        Args:
            features: What is to be cut out.
            switches: By `look`.
            size: (H, W) of the image that it saw.
        """
        unpoolings = list(zip(self.steps, switches, strict=True))
        for number, stage in zip(range(len(self.stages), 0, -1), self.stages.values(), strict=True):
            if number <= len(unpoolings):
                step, where = unpoolings[number - 1]
                if step is not None:
                    features = moved(features, step, (where.shape[-2], where.shape[-1]))
                features = max_unpool(features, where)
            features = stage(features)
        return moved(self.score(features), self.last, size)


def moved(features: Float[Tensor, "N C _ _"], step: Step | None, size: tuple[int, int]) -> Float[Tensor, "N C _ _"]:
    """Return features on the grid that a step leads to, of `size`."""
    return features if step is None else enlarge(features, step.stride, step.start, size)


def _first(number: int, seen: int, channels: int, batch_norm: bool) -> nn.Sequential:
    """Return the stage at the coarsest stride, before anything is unpooled."""
    stage = nn.Sequential()
    deconvolution = nn.ConvTranspose2d(seen, channels, kernel_size=3, padding=1)
    add(stage, f"deconv{number}_1", deconvolution, f"debn{number}_1" if batch_norm else None)
    return stage
