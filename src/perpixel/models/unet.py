r"""U-Net: down by pooling, up by 2 x 2 deconvolutions, and every level's features carried across.

    image -> 64 -----------------------------> 64 -> logits     =  two 3 x 3 convolutions at each level
      572     \-> 128 -----------------> 128 -/       388        \  2 x 2 max pooling
         284      \-> 256 -------> 256 -/     200                /  2 x 2 deconvolution
             140      \-> 512 -> 512 -/   104                    -  skip, cropped to the middle, concatenated
                  68      \-> 1024 -/  56
                            32    28

The paper's convolutions are not padded, so that no logit has seen zeros: 16k + 60 pixels go in, k ≥ 8, and 16k − 124
come out, 92 less on every side. To label a whole image its border is mirrored outwards first; a large image is cut
into tiles that overlap by what each loses.

Source: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, arXiv:1505.04597, Fig. 1, 2 and Sec. 3; for the release,
    phseg_v5 in u-net-release-2015-10-02, through two independent ports (LabRAI/PyHazards, models/unet.py is one).
Differs: the image is mirrored without repeating its outermost row, which the paper leaves open, and to the next legal
    size, so that `unet` takes and returns any. Dropout stands where the release has it, after both the 512 and the
    1024 level: the paper says only at the end of the contracting path. Its "up-convolution", upsampling and then a
    2 x 2 convolution, is a deconvolution in the release and here. Well-known ports differ more:
    zhixuhao/unet pads, upsamples and ends in one sigmoid; milesial's is nearly `unet-same`; meetps' is narrower.
Letters: N batch, C channels, K classes, H W pixels.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.vgg import scaled
from perpixel.models.check import check_image
from perpixel.models.initialize import initialize_he
from perpixel.models.unet_same import WIDTHS, crop_to

LOST = 92  # pixels that the unpadded convolutions take from every side
MARGINS = (88, 40, 16, 4)  # what each level's skip is larger than what it joins, on every side


class UNet(nn.Module):
    """Segment an image into `num_classes` classes, with unpadded convolutions.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB, 1 in the paper.
        width: Multiplies the width of every level; 1 is the paper's 64 to 1024.
        padding: "mirror" mirrors the border outwards, and returns logits at the image's own size, whatever it is.
            "valid" is the bare network: 16k + 60 pixels in, 16k − 124 out.
        released: phseg_v5 instead of Fig. 1: a ReLU after each deconvolution, the last of which keeps its 128
            channels, upsampled features before the skip, and deconvolutions drawn as Caffe counts their inputs.
        dropout: Probability of dropping an element after the 512 and the 1024 level. The skip of the 512 level
            leaves after its dropout, since the release's works in place.

    Source: Fig. 1; layer names are the release's.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        padding: Literal["mirror", "valid"] = "mirror",
        released: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if padding not in ("mirror", "valid"):
            raise ValueError(f"UNet: expected padding mirror or valid, got {padding!r}. For zeros, take unet-same.")
        self.in_channels, self.padding, self.released = in_channels, padding, released
        widths = [scaled(channels, width) for channels in WIDTHS]
        levels = zip([in_channels, *widths], widths, strict=False)
        self.encoder = nn.ModuleList(unpadded(f"d{level}", "abc", *pair) for level, pair in enumerate(levels))
        self.dropout = nn.Dropout(dropout)
        self.upsample, self.decoder = nn.ModuleDict(), nn.ModuleList()
        for level in (3, 2, 1, 0):
            deep, shallow = widths[level + 1], widths[level]
            raised = deep if released and level == 0 else shallow
            name = f"upconv_{'d4c' if level == 3 else f'u{level + 1}d'}_u{level}a"
            self.upsample[name] = nn.ConvTranspose2d(deep, raised, kernel_size=2, stride=2)
            self.decoder.append(unpadded(f"u{level}", "bcd", raised + shallow, shallow))
        self.classifier = nn.ModuleDict({"conv_u0d-score": nn.Conv2d(widths[0], num_classes, kernel_size=1)})
        initialize_he(self)
        for layer in self.upsample.modules():
            if released and isinstance(layer, nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # Caffe's fan-in: 4 x outputs

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K _ _"]:
        """Return logits for an image of any size; with `padding="valid"`, 184 pixels less on both axes.

        Raises:
            ValueError: `padding="valid"` and a side is not 16k + 60.
        """
        check_image(image, self.in_channels)
        height, width = image.shape[-2:]
        if self.padding == "valid":
            output_size(height), output_size(width)
            return self.segment(image)
        whole = mirrored(image, Window(-LOST, input_size(height)), Window(-LOST, input_size(width)))
        return crop_to(image, self.segment(whole))

    def segment(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        """Return the logits of all pixels but the 92 on every side."""
        features, skips = image, []
        for level, stage in enumerate(self.encoder):
            features = stage(functional.max_pool2d(features, kernel_size=2) if level else features)
            features = self.dropout(features) if level > 2 else features
            skips.append(features)
        for level, upsample, stage in zip((3, 2, 1, 0), self.upsample.values(), self.decoder, strict=True):
            skip, features = trim(skips[level], MARGINS[level]), upsample(features)
            joined = (functional.relu(features), skip) if self.released else (skip, features)
            features = stage(torch.cat(joined, dim=1))
        logits: Tensor = self.classifier["conv_u0d-score"](features)
        return logits


class Window(NamedTuple):
    """A stretch of one axis of an image, which may reach beyond both ends."""

    start: int
    length: int


def output_size(size: int) -> int:
    """Return how many logits `size` pixels give along one axis: 572 give 388.

    Raises:
        ValueError: Not 16k + 60 with k ≥ 8: somewhere a pooling would meet an odd size.
    """
    if size < 188 or (size - 60) % 16:
        below, above = 16 * ((size - 60) // 16) + 60, 16 * max(8, -((60 - size) // 16)) + 60
        near = f"{below} or {above}" if below >= 188 else str(above)
        raise ValueError(
            f"UNet: expected sides of 16k + 60 pixels, 188 or more, got {size}. "
            f'Give {near}, or build it with padding="mirror".'
        )
    return size - 2 * LOST


def input_size(size: int) -> int:
    """Return the least legal number of pixels that gives `size` logits or more along one axis."""
    return 16 * ((size + 124 + 15) // 16) + 60


def mirrored(image: Float[Tensor, "N C H W"], rows: Window, columns: Window) -> Float[Tensor, "N C h w"]:
    """Cut out a window that may reach beyond the image, which goes on as its mirror image, over and over."""
    down = reflected(rows, image.shape[-2], image.device)
    across = reflected(columns, image.shape[-1], image.device)
    return image.index_select(-2, down).index_select(-1, across)


def reflected(window: Window, size: int, device: torch.device) -> Int64[Tensor, " length"]:
    """Return where each place of a window lies in an axis of `size` elements; the outermost is not repeated."""
    period = max(2 * size - 2, 1)
    place = torch.remainder(torch.arange(window.length, device=device) + window.start, period)
    return torch.minimum(place, period - place) if size > 1 else place


def overlap_tile(network: UNet, image: Float[Tensor, "N C H W"], tile: int = 388) -> Float[Tensor, "N K H W"]:
    """Return what a mirroring U-Net returns, in memory for one tile: each loses 92 pixels, and overlaps as many.

    Args:
        network: In evaluation mode.
        image: Any size.
        tile: Logits along each axis of a tile: 16k − 124, for instance the paper's 388.

    Returns: Logits. Tiles begin at multiples of 16 (384 of 388 are used), so that each pools the same windows as the
        whole image does: the result is the same.
    Raises:
        ValueError: `tile` is not 16k − 124, or below 20.

    Source: Fig. 2.
    """
    if tile < 20 or tile % 16 != 4:
        raise ValueError(
            f"overlap_tile: expected tiles of 16k − 124 logits, 20 or more, got {tile}. The paper's is 388."
        )
    height, width = image.shape[-2:]
    step, length = tile - 4, tile + 2 * LOST
    rows = []
    for top in range(0, height, step):
        starts = range(0, width, step)
        windows = [mirrored(image, Window(top - LOST, length), Window(left - LOST, length)) for left in starts]
        rows.append(torch.cat([network.segment(window)[..., :step, :step] for window in windows], dim=-1))
    return torch.cat(rows, dim=-2)[..., :height, :width]


def trim(features: Float[Tensor, "N C H W"], margin: int) -> Float[Tensor, "N C h w"]:
    """Cut `margin` elements off every side."""
    return functional.pad(features, (-margin,) * 4)


def unpadded(level: str, letters: str, in_channels: int, channels: int) -> nn.Sequential:
    """Return one level of the paper's network: 3 x 3 convolution without padding, ReLU, twice.

    The release names a convolution after the maps it leads from and to: conv_d0a-b, conv_d0b-c.
    """
    stage = nn.Sequential()
    for inward, before, after in zip((in_channels, channels), letters, letters[1:], strict=False):
        stage.add_module(f"conv_{level}{before}-{after}", nn.Conv2d(inward, channels, kernel_size=3))
        stage.add_module(f"relu_{level}{after}", nn.ReLU(inplace=True))
    return stage
