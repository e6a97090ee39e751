"""The decoder study of SegNet's paper: one small encoder, seven ways back up besides SegNet-Basic's own.

    image -> LRN -> 64 -> 64 -> 64 -> 64          the encoder of SegNet-Basic: 7 x 7, BN, ReLU, max_pool, 4 times
                     |     |     |     |
                     switches, 64 maps, or K scores of each: what is kept for the way back
                     |     |     |     |
    logits <- K  <- (+) <-(+) <-(+) <- +          a decoder

    BilinearInterpolation         nothing kept      score, then interpolate x 16
    SingleChannelDecoder          switches          unpool, 7 x 7 filters of one channel each
    EncoderAddition               64 maps           unpool, add the encoder's maps, 7 x 7
    FCNBasic                      K scores          8 x 8 deconvolution x 2 of the scores, add the encoder's
      addition=False              nothing           the same without adding
      reduction=False             64 maps           the same with 64 channels, and scores at the end
      both False                  nothing           64 channels, nothing added

Source: Badrinarayanan, Kendall, Cipolla, "SegNet", TPAMI 2017, arXiv:1511.00561, Sec. 3.1, 3.2 and Table 1.
Differs: no code was released for the study. As the paper says of SegNet-Basic, convolutions have no bias here and
    decoders no ReLU; LRN is the released SegNet-Basic's. The bilinear filler of an 8 x 8 kernel enlarges four
    times, which at a stride of 2 multiplies values by 4 at every level; we divide by that.
Uncertain: that EncoderAddition adds the maps before pooling, since those have the unpooled size; that FCN-Basic
    adds the pooled maps (the paper's 11 MB and 1.9 MB are maps of half the image's size), so that nothing is added
    at full resolution; that deconvolutions have no normalisation; and one interpolation by 16, not four by 2.
Letters: N batch, C channels, K classes, H W pixels.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.vgg import scaled
from perpixel.models.check import check_image
from perpixel.models.initialize import initialize_he
from perpixel.models.segnet import basic_stage
from perpixel.ops.bilinear import bilinear_weight, enlarge
from perpixel.ops.unpool import Switches, max_pool, max_unpool

STAGES = 4
CHANNELS = 64
KERNEL = 8  # of FCN-Basic's deconvolutions, Sec. 3.1
BATCH_NORM_SHIFT = 0.001  # as in the released SegNet-Basic


class BasicEncoder(nn.Module):
    """The encoder that all variants share.

    Args:
        in_channels: Image channels; 3 for RGB, as stored, 0 to 255.
        channels: Of every stage; 64 in the paper.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.in_channels, self.channels = in_channels, channels
        self.norm = nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75)
        inputs = (in_channels, *[channels] * (STAGES - 1))
        self.stages = nn.ModuleList(
            basic_stage(inward, channels, nn.ReLU(inplace=True), bias=False) for inward in inputs
        )

    def forward(self, image: Float[Tensor, "N C H W"]) -> list[tuple[Tensor, Tensor, Switches]]:
        """Return every stage's maps before and after pooling, and its switches."""
        check_image(image, self.in_channels)
        features, stages = self.norm(image), []
        for stage in self.stages:
            unpooled = stage(features)
            features, where = max_pool(unpooled)
            stages.append((unpooled, features, where))
        return stages


class BilinearInterpolation(nn.Module):
    """Score the deepest features and interpolate: nothing is kept of the way down, nothing learned on the way up.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer, 64; 1 is the paper's network.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        self.encoder = BasicEncoder(in_channels, scaled(CHANNELS, width))
        self.classifier = pointwise(self.encoder.channels, num_classes)
        initialize_he(self, BATCH_NORM_SHIFT)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        _, deepest, _ = self.encoder(image)[-1]
        stride = 2**STAGES
        return enlarge(self.classifier(deepest), stride, (stride - 1) / 2, image_size(image))


class SingleChannelDecoder(nn.Module):
    """SegNet-Basic whose decoder convolves every unpooled map by itself, with one 7 x 7 filter.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer, 64; 1 is the paper's network.
    """

    filters_see_all = False
    adds = False

    def __init__(self, num_classes: int, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        channels = scaled(CHANNELS, width)
        self.encoder = BasicEncoder(in_channels, channels)
        groups = 1 if self.filters_see_all else channels
        self.decoder = nn.ModuleList(basic_stage(channels, channels, groups=groups, bias=False) for _ in range(STAGES))
        self.classifier = pointwise(channels, num_classes)
        initialize_he(self, BATCH_NORM_SHIFT)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        stages = self.encoder(image)
        features = stages[-1][1]
        for stage, (unpooled, _, where) in zip(self.decoder, reversed(stages), strict=True):
            upsampled = max_unpool(features, where)
            features = stage(upsampled + unpooled if self.adds else upsampled)
        logits: Tensor = self.classifier(features)
        return logits


class EncoderAddition(SingleChannelDecoder):
    """SegNet-Basic that also adds the encoder's 64 maps to the unpooled ones, before they are convolved.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer, 64; 1 is the paper's network.
    """

    filters_see_all = True
    adds = True


class FCNBasic(nn.Module):
    """FCN's way up on SegNet-Basic's encoder: learned 8 x 8 deconvolutions, bilinear at first.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer, 64; 1 is the paper's network.
        addition: Add what the encoder saw at the same resolution; the paper's NoAddition does not.
        reduction: Reduce every map of the encoder to K scores first; NoDimReduction keeps all 64 channels up to
            the image's resolution and scores them there.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        addition: bool = True,
        reduction: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = BasicEncoder(in_channels, scaled(CHANNELS, width))
        channels, self.addition = self.encoder.channels, addition
        scored = (STAGES if addition else 1) if reduction else 0
        self.scores = nn.ModuleList(pointwise(channels, num_classes) for _ in range(scored))
        self.classifier = nn.Identity() if reduction else pointwise(channels, num_classes)
        initialize_he(self, BATCH_NORM_SHIFT)
        upward = num_classes if reduction else channels
        self.deconvolutions = nn.ModuleList(bilinear_deconvolution(upward) for _ in range(STAGES))

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        pooled = [maps for _, maps, _ in self.encoder(image)]
        features = self.scored(0, pooled.pop())
        for depth, layer in enumerate(self.deconvolutions, start=1):
            size = image_size(pooled[-1] if pooled else image)
            features = cropped(layer(features), size)
            if pooled:
                finer = pooled.pop()
                features = features + self.scored(depth, finer) if self.addition else features
        logits: Tensor = self.classifier(features)
        return logits

    def scored(self, depth: int, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N _ h w"]:
        """Return K scores of a map of the encoder, deepest first; or the map, where nothing is reduced."""
        return self.scores[depth](features) if self.scores else features


def pointwise(channels: int, num_classes: int) -> nn.Conv2d:
    """Return a 1 x 1 convolution without bias."""
    return nn.Conv2d(channels, num_classes, kernel_size=1, bias=False)


def bilinear_deconvolution(channels: int) -> nn.ConvTranspose2d:
    """Return a dense deconvolution that doubles a map, centred on its elements; at first it interpolates."""
    layer = nn.ConvTranspose2d(channels, channels, KERNEL, stride=2, padding=KERNEL // 2 - 1, bias=False)
    layer.weight.data.copy_(bilinear_weight(channels, KERNEL) / 4)
    return layer


def cropped(features: Float[Tensor, "N C h w"], size: tuple[int, int]) -> Float[Tensor, "N C H W"]:
    """Cut the last row or column off where a map had an odd size; a slice would tie an export to that parity."""
    return functional.pad(features, (0, size[1] - features.shape[-1], 0, size[0] - features.shape[-2]))


def image_size(image: Float[Tensor, "N C H W"]) -> tuple[int, int]:
    """Return (H, W)."""
    return image.shape[-2], image.shape[-1]
