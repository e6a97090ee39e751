"""SegNet: a VGG-16 encoder, and a decoder that is its mirror image.

    image  -> 64 -> 128 -> 256 -> 512 -> 512 -+    encoder: convolve, then max_pool
              |      |      |      |      |   |    one set of switches per stage
    logits <- 64 <- 128 <- 256 <- 512 <- 512 -+    decoder: max_unpool, then convolve

Nothing is learned about upsampling: each decoder stage puts values back at the encoder's
switches, and its convolutions make the sparse map dense again.

SegNet-Basic is the small network of the paper's study: four stages of one 7 x 7 convolution each,
64 wide, with a decoder that has no ReLU.

Source: Badrinarayanan, Kendall, Cipolla, "SegNet", TPAMI 2017, arXiv:1511.00561, Sec. 3; the layers as
    released in SegNet-Tutorial, Models/segnet_train.prototxt and segnet_basic_train.prototxt.
Differs: ε of batch normalisation is PyTorch's 1e-5, not Caffe's 1e-9, which would magnify the noise of a
    dead channel 30,000 times. Running averages are kept; the release has none, normalises by the batch even
    when it is tested, and must measure the statistics of the training set after training, in a pass of its own.
    SegNet-Basic is the released net, with local response normalisation and biases; the paper has local contrast
    normalisation, of which it says no more, and no biases (`bias`).
    Any size of image is unpooled to its own size; the release fixes sizes in the net (upsample_h 23 and 45), and
    its upsampling keeps the size of the first image it saw.
Letters: N batch, C channels, K classes, H W pixels.
"""

from collections.abc import Iterable, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.vgg import VGG, VGG16_WIDTHS, scaled, scaled_widths
from perpixel.models.check import check_image
from perpixel.models.initialize import initialize_he
from perpixel.ops.batch_norm import BatchNorm2d
from perpixel.ops.unpool import Switches, max_pool, max_unpool


class SegNet(nn.Module):
    """Segment an image into `num_classes` classes, at the image's own resolution.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
    """

    batch_norm_shift = 0.001  # bn shift_filler in both released nets

    def __init__(self, num_classes: int, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        self.in_channels = in_channels
        widths = scaled_widths(VGG16_WIDTHS, width)
        self.encoder = VGG(in_channels, widths, batch_norm=True)
        self.decoder = nn.ModuleDict(
            {
                f"stage{number}": mirrored(number, stage, self.encoder.channels[max(number - 2, 0)])
                for number, stage in reversed(list(enumerate(widths, start=1)))
            }
        )
        self.classifier = nn.Conv2d(widths[0][0], num_classes, kernel_size=3, padding=1)
        initialize_he(self, self.batch_norm_shift)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size; no padding is needed."""
        check_image(image, self.in_channels)
        features, switches = encode(image, self.encoder.stages.values())
        for stage, where in zip(self.decoder.values(), reversed(switches), strict=True):
            features = stage(max_unpool(features, where))
        logits: Tensor = self.classifier(features)
        return logits


def encode(features: Tensor, stages: Iterable[nn.Module]) -> tuple[Tensor, list[Switches]]:
    """Convolve and pool, stage by stage; return the deepest features and every stage's switches."""
    switches = []
    for stage in stages:
        features, where = max_pool(stage(features))
        switches.append(where)
    return features, switches


def mirrored(number: int, widths: Sequence[int], next_width: int) -> nn.Sequential:
    """Return the decoder's stage that undoes an encoder stage; the last convolution narrows for the next one.

    The shallowest stage has one convolution less: the classifier takes its place.
    """
    stage = nn.Sequential()
    last = 2 if number == 1 else 1
    for index in range(len(widths), last - 1, -1):
        width = widths[index - 1] if index > 1 else next_width
        stage.add_module(f"conv{number}_{index}", nn.Conv2d(widths[index - 1], width, kernel_size=3, padding=1))
        stage.add_module(f"bn{number}_{index}", BatchNorm2d(width))
        stage.add_module(f"relu{number}_{index}", nn.ReLU(inplace=True))
    return stage


class SegNetBasic(nn.Module):
    """The small SegNet: 7 x 7 convolutions of one width, four down and four up.

    Expects pixels as they are stored, 0 to 255, BGR in the release: nothing but the local response
    normalisation at the front scales them.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer, 64; 1 is the paper's network.
        bias: Of the 7 x 7 convolutions. The release has them, the paper (Sec. 3.1) has none; before batch
            normalisation they have no effect.
    """

    batch_norm_shift = 0.001

    def __init__(self, num_classes: int, in_channels: int = 3, width: float = 1.0, bias: bool = True) -> None:
        super().__init__()
        self.in_channels = in_channels
        channels = scaled(64, width)
        self.norm = nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75)
        inputs = (in_channels, channels, channels, channels)
        self.encoder = nn.ModuleList(
            basic_stage(inward, channels, nn.ReLU(inplace=True), bias=bias) for inward in inputs
        )
        self.decoder = nn.ModuleList(basic_stage(channels, channels, bias=bias) for _ in inputs)
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)
        initialize_he(self, self.batch_norm_shift)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size; no padding is needed."""
        check_image(image, self.in_channels)
        features, switches = encode(self.norm(image), self.encoder)
        for stage, where in zip(self.decoder, reversed(switches), strict=True):
            features = stage(max_unpool(features, where))
        logits: Tensor = self.classifier(features)
        return logits


def basic_stage(
    in_channels: int, channels: int, *activation: nn.Module, groups: int = 1, bias: bool = True
) -> nn.Sequential:
    """Return a 7 x 7 convolution and its batch normalisation."""
    convolution = nn.Conv2d(in_channels, channels, kernel_size=7, padding=3, groups=groups, bias=bias)
    return nn.Sequential(convolution, BatchNorm2d(channels), *activation)
