"""DeconvNet: VGG-16 with its fully connected layers, and a decoder of deconvolutions that mirrors all of it.

    image  -> 64 -> 128 -> 256 -> 512 -> 512 -> fc6 -> fc7     encoder: convolve, then max_pool
      224²   112²   56²    28²    14²    7²     1²     1² |
              |      |      |      |      |               |    one set of switches per stage
    logits <- 64 <- 64 <- 128 <- 256 <- 512 <- fc6-deconv +    decoder: max_unpool, then deconvolve

Every layer but the last is followed by batch normalisation and ReLU. The network was made for windows of
224 x 224 pixels around one object, which fc6 sees whole: pool5 is 7 x 7 there, and so is fc6.

Other sizes: the network is convolutional, and fc6-deconv gives back the six rows and columns that fc6 takes,
so from 193 pixels on any image keeps its size with nothing added. Below that pool5 has fewer than 7 rows; it
is centred in zeros up to 7, and the margin is cut off again after fc6-deconv. An exported graph serves the side
of 224 pixels that its example was on, where fc6 has one place or several: torch.export tells 1 from other sizes.

Traps: the paper's table gives its last layer, 1 x 1, a padding of 1, with which 224 pixels would become 226;
    the release has none. At 224 pixels fc6 and fc7 are normalised over one value an image: give each step the
    release's 8 images, or what is measured there says little. An encoder that starts from VGG-16 loses the
    scale of its activations to the fresh normalisation; so it was with the authors. Their code and weights are for
    research only.

Source: Noh, Hong, Han, "Learning Deconvolution Network for Semantic Segmentation", ICCV 2015,
    arXiv:1505.04366, Table 2; the layers as released in DeconvNet, training/002_stage_2/stage_2_train.prototxt.
Differs: ε of batch normalisation is PyTorch's 1e-5, not the release's 1e-9; fold released weights with theirs.
    Running averages are kept; the release measures means and variances after training. Names have an
    underscore for the release's hyphen, and the release's seg-score-voc is `classifier`.
Letters: N batch, C channels, K classes, H W pixels; h w at pool5.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.vgg import VGG, VGG16_WIDTHS, scaled, scaled_widths
from perpixel.models.check import check_image
from perpixel.models.initialize import initialize_he
from perpixel.ops.batch_norm import BatchNorm2d
from perpixel.ops.unpool import Switches, max_pool, max_unpool

BATCH_NORM_SHIFT = 0.001  # bn_param shift_filler of every layer
DECODER_STD = 0.01  # weight_filler of every deconvolution and of seg-score-voc
WINDOW = 7  # rows and columns of pool5 that fc6 sees


class DeconvNet(nn.Module):
    """Segment an image into `num_classes` classes, at the image's own resolution.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        batch_norm: Normalise before every ReLU, as the paper and the release do.
        bias: Keep a bias beside batch normalisation, as the release does, although it has no effect there.

    Raises:
        ValueError: Neither `batch_norm` nor `bias`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        batch_norm: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if not (batch_norm or bias):
            raise ValueError("DeconvNet: expected batch_norm or bias, got neither. Turn off one of them at most.")
        self.in_channels = in_channels
        widths = scaled_widths(VGG16_WIDTHS, width)
        self.encoder = VGG(in_channels, widths, batch_norm=batch_norm)
        self.whole_window = fully_connected(self.encoder.channels[-1], scaled(4096, width), batch_norm)
        self.decoder = nn.ModuleDict(
            {
                f"stage{number}": mirrored(number, stage, self.encoder.channels[max(number - 2, 0)], batch_norm)
                for number, stage in reversed(list(enumerate(widths, start=1)))
            }
        )
        if not bias:
            drop_biases(self)
        self.classifier = nn.Conv2d(widths[0][0], num_classes, kernel_size=1)
        initialize(self)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        check_image(image, self.in_channels)
        features = image
        switches: list[Switches] = []
        for stage in self.encoder.stages.values():
            features, where = max_pool(stage(features))
            switches.append(where)
        features = self.see_whole(features)
        for stage in self.decoder.values():
            features = stage(max_unpool(features, switches.pop()))
        logits: Tensor = self.classifier(features)
        return logits

    def see_whole(self, pool5: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C h w"]:
        """Pass pool5 through fc6, fc7 and fc6-deconv; where it is smaller than fc6, centred in zeros."""
        rows, columns = (lacking(length) for length in pool5.shape[-2:])
        top, left = rows // 2, columns // 2
        padded = functional.pad(pool5, (left, columns - left, top, rows - top))
        seen = self.whole_window(padded)
        return functional.pad(seen, (-left, left - columns, -top, top - rows))


def lacking(length: int) -> int:
    """Return how many rows fewer than `WINDOW` there are; as a function of `length` in an exported graph too."""
    missing: int = torch.sym_max(WINDOW - length, 0)  # type: ignore[no-untyped-call]
    return missing


def fully_connected(channels: int, hidden: int, batch_norm: bool) -> nn.Sequential:
    """Return fc6 and fc7 as convolutions, and the deconvolution that undoes fc6."""
    stage = nn.Sequential()
    add(stage, "fc6", nn.Conv2d(channels, hidden, kernel_size=WINDOW), "bnfc6" if batch_norm else None)
    add(stage, "fc7", nn.Conv2d(hidden, hidden, kernel_size=1), "bnfc7" if batch_norm else None)
    deconvolution = nn.ConvTranspose2d(hidden, channels, kernel_size=WINDOW)
    add(stage, "fc6_deconv", deconvolution, "fc6_deconv_bn" if batch_norm else None)
    return stage


def mirrored(number: int, widths: Sequence[int], next_width: int, batch_norm: bool) -> nn.Sequential:
    """Return the decoder's stage that undoes an encoder stage; its last deconvolution narrows for the next one."""
    stage = nn.Sequential()
    inputs, outputs = widths, (*widths[1:], next_width)
    for index, (inward, outward) in enumerate(zip(inputs, outputs, strict=True), start=1):
        deconvolution = nn.ConvTranspose2d(inward, outward, kernel_size=3, padding=1)
        add(stage, f"deconv{number}_{index}", deconvolution, f"debn{number}_{index}" if batch_norm else None)
    return stage


def add(stage: nn.Sequential, name: str, layer: nn.Conv2d | nn.ConvTranspose2d, norm: str | None) -> None:
    """Append a layer, its batch normalisation if `norm` names one, and a ReLU."""
    stage.add_module(name, layer)
    if norm is not None:
        stage.add_module(norm, BatchNorm2d(layer.out_channels))
    stage.add_module(f"{name}_relu", nn.ReLU(inplace=True))


def drop_biases(network: nn.Module) -> None:
    """Take the bias from every convolution and deconvolution there is so far."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_parameter("bias", None)


def initialize(network: DeconvNet) -> None:
    """Draw the encoder after He, for want of VGG-16's weights, and the rest as released: Gaussian, std 0.01."""
    initialize_he(network, BATCH_NORM_SHIFT)
    released = [*network.decoder.modules(), network.whole_window.fc6_deconv, network.classifier]
    for layer in released:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=DECODER_STD)
