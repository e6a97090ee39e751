"""DeepLab v1: VGG-16 that stops shrinking at stride 8, and dilates what follows to see as far as before.

    image -> stage1 -> stage2 -> stage3 -> stage4 -> stage5 -> (pool5a) -> fc6 -> fc7 -> fc8 -> x8 -> logits
    stride  1  pool   2  pool   4  pool   8  pool   8  pool   8
    dilation 1         1         1         1         2                  12 (4)  1      1

                     fc6          pool1-3     pool4            pool5a    sees
    LargeFOV         3x3 by 12    3x3, 2      3x3, 1           average   435 pixels
    4x4 (base)       4x4 by 4     2x2, 2      2x2, 1           -         308
    7x7              7x7 by 4     2x2, 2      2x2, 1           -         404

The tables of the paper give 224 and 128 as the field of view of LargeFOV and of 4x4: 7·32 and 4·32 pixels, what
the classifier saw of a padded image, not what the dilated network sees.

MSc adds scores of the image and of pool1 to pool4, each read by a 3x3 of 128 and two 1x1. In training they are
taken at stride 8 and summed; in prediction at each map's own resolution, enlarged, and then summed.

Sizes: maps lie exactly on the image at 8n + 1 pixels (321 in training, 513 in prediction), with 2x2 pooling at
8n + 2 (306 and 514). Other images are filled up to that with zeros at the bottom and right, which is the mean of
a normalised image, and logits beyond the image are cut off. The release fills every image up to 513 x 513; fill
it up before the network for its exact numbers near the border.

Traps: a dilation of 12 on 41 x 41 places means that 12 rows on each side see zeros instead of neighbours. Loss
    and class counts are over the valid places of the batch, not of each image. MSc is trained with conv1 to fc7
    frozen, with MSc-LargeFOV fc8 too: trained as a whole it is another model. LargeFOV was trained on batches of
    30 crops of 321, while the paper's text, batches of 20 crops of 306, describes the base network. Poolings of
    3 x 3 and pool5a are in the released files only; they have no weights, and widen what is seen.

Source: Chen, Papandreou, Kokkinos, Murphy, Yuille, ICLR 2015, arXiv:1412.7062, Sec. 3 and Table 2; the layers as
    released with it, config/DeepLab*/{train,test}.prototxt.
Differs: how 7x7 and 4x4 by 8 pooled was not released; the base network's pooling is assumed, which is uncertain.
Letters: N batch, C channels, K classes, H W pixels, h w places at stride 8.
"""

from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.encoder import Encoder
from perpixel.encoders.pooling import layer_of
from perpixel.encoders.vgg import VGG16_WIDTHS, Widths, convolutions, scaled, scaled_widths
from perpixel.models.check import check_image
from perpixel.models.initialize import initialize_he
from perpixel.ops.receptive_field import Layer
from perpixel.ops.zoom import fill, to_corners, zoom

Maps = list[Float[Tensor, "N _ _ _"]]

STRIDE = 8


@dataclass(frozen=True)
class Variant:
    """One of the four ways in which fc6 was made convolutional.

    Attributes:
        kernel_size: Of fc6; 7 keeps all of VGG-16's weights, fewer are every so many of them.
        dilation: Of fc6.
        hidden: Width of fc6 and fc7; 1024 of VGG-16's 4096 are drawn at random.
        aligned: Pool over 3 x 3, centred on a pixel, instead of 2 x 2, centred between them.
        average: Pool once more before fc6: pool5a.
    """

    kernel_size: int
    dilation: int
    hidden: int = 4096
    aligned: bool = False
    average: bool = False


VARIANTS = {
    "largefov": Variant(kernel_size=3, dilation=12, hidden=1024, aligned=True, average=True),
    "4x4": Variant(kernel_size=4, dilation=4),
    "4x4-rate8": Variant(kernel_size=4, dilation=8),
    "7x7": Variant(kernel_size=7, dilation=4),
}

# First weights of MSc, config/DeepLab-MSc/train.prototxt: deviation of each convolution, 0 where none is named.
MSC_STD = {"conv": 0.001, "fc": 0.001, "ms": 0.01, "pool4_fc": 0.005, "pool3_ms": 0.0}
MSC_CHANNELS = 128


class DilatedVGG(Encoder):
    """The convolutional stages of a VGG network with DeepLab's poolings; only three of them halve the map.

    Args:
        in_channels: Image channels; 3 for RGB.
        widths: Width of every convolution, shallowest stage first.
        aligned: Pool over 3 x 3; else over 2 x 2, padded, which moves every map by half a place.
        batch_norm: Normalise between each convolution and its ReLU; DeepLab does not.
    """

    def __init__(
        self,
        in_channels: int = 3,
        widths: Widths = VGG16_WIDTHS,
        aligned: bool = True,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.channels = tuple(stage[-1] for stage in widths)
        self.strides = (2, 4, 8, 8, 8)
        side = 3 if aligned else 2
        self.stages, self.pools = nn.ModuleDict(), nn.ModuleDict()
        for number, stage in enumerate(widths, start=1):
            inputs = in_channels if number == 1 else self.channels[number - 2]
            dilation = 2 if number == 5 else 1
            self.stages[f"stage{number}"] = convolutions(number, inputs, stage, batch_norm, dilation=dilation)
            kernel_size, stride = 3 if number == 5 else side, 2 if number <= 3 else 1
            self.pools[f"pool{number}"] = nn.MaxPool2d(kernel_size, stride, padding=1, ceil_mode=True)

    def forward(self, image: Float[Tensor, "N C H W"], pad_pool4: bool = True) -> Maps:
        """Return pool1 to pool5, at strides 2, 4, 8, 8 and 8; pool4 without what its padding adds on request."""
        pooled = []
        features = image
        for name, stage, pool in zip(self.pools, self.stages.values(), self.pools.values(), strict=True):
            features = pool(stage(features))
            if name == "pool4" and not pad_pool4:
                features = features[..., 1:-1, 1:-1]
            pooled.append(features)
        return pooled

    def chain(self) -> list[Layer]:
        """Return every convolution and pooling."""
        parts = [part for pair in zip(self.stages.values(), self.pools.values(), strict=True) for part in pair]
        layers = [layer for part in parts for layer in part.modules()]
        return [layer_of(layer) for layer in layers if isinstance(layer, nn.Conv2d | nn.MaxPool2d)]


class DeepLabV1(nn.Module):
    """Segment an image into `num_classes` classes, with every eighth pixel scored.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        variant: "largefov", "4x4", "4x4-rate8" or "7x7".
        multi_scale: Add MSc's scores of the image and of pool1 to pool4. Pooling is then over 3 x 3 in every
            variant.

    Attributes:
        loss_weights: Of what `training_logits` returns.

    Raises:
        ValueError: No such variant.
    """

    loss_weights = (1.0,)

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        variant: str = "largefov",
        multi_scale: bool = False,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"DeepLabV1: expected variant {', '.join(VARIANTS)}, got {variant!r}. Choose one of them.")
        form = VARIANTS[variant]
        self.in_channels = in_channels
        self.aligned = form.aligned or multi_scale
        self.encoder = DilatedVGG(in_channels, scaled_widths(VGG16_WIDTHS, width), self.aligned)
        self.pool5a = nn.AvgPool2d(kernel_size=3, stride=1, padding=1) if form.average else nn.Identity()
        hidden = scaled(form.hidden, width)
        padding = form.dilation * (form.kernel_size - 1) // 2
        self.fc6 = nn.Conv2d(
            self.encoder.channels[-1], hidden, form.kernel_size, padding=padding, dilation=form.dilation
        )
        self.fc7 = nn.Conv2d(hidden, hidden, kernel_size=1)
        self.fc8 = nn.Conv2d(hidden, num_classes, kernel_size=1)
        self.dropout = nn.Dropout(0.5)
        initialize_he(self)
        nn.init.normal_(self.fc8.weight, std=0.01)
        channels = (in_channels, *self.encoder.channels[:4])
        self.msc = MultiScale(channels, scaled(MSC_CHANNELS, width), num_classes) if multi_scale else None

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size."""
        check_image(image, self.in_channels)
        size = (image.shape[-2], image.shape[-1])
        image = fill(image, self.margin)
        pooled = self.encoder(image)
        start = 0.0 if self.aligned else 7 / STRIDE  # test.prototxt cuts 7 pixels off what it enlarged
        logits = zoom(self.score(pooled[-1]), size, 1 / STRIDE, start)
        return logits if self.msc is None else logits + self.msc.enlarged([image, *pooled[:4]], size)

    def training_logits(self, image: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N K h w"]]:
        """Return the logits that are trained, at stride 8: of 321 pixels 41 places, of 306 39 with 2 x 2 pooling.

        Corner places lie on corner pixels, to half a pixel; at other sizes than the released ones they are
        interpolated so that they do.
        """
        check_image(image, self.in_channels)
        size = (image.shape[-2], image.shape[-1])
        image = fill(image, self.margin)
        pooled = self.encoder(image, pad_pool4=self.aligned)  # train.prototxt does not pad it; test.prototxt does
        logits = self.score(pooled[-1])
        if self.msc is not None:
            logits = logits + self.msc.strided([image, *pooled[:4]])
        return (to_corners(logits, size, STRIDE, self.margin),)

    @property
    def margin(self) -> int:
        """What sizes leave over when divided by 8, where maps lie exactly on the image."""
        return 1 if self.aligned else 2

    def score(self, pool5: Float[Tensor, "N _ h w"]) -> Float[Tensor, "N K h w"]:
        """Return every place's scores."""
        hidden = self.dropout(torch.relu(self.fc6(self.pool5a(pool5))))
        scores: Tensor = self.fc8(self.dropout(torch.relu(self.fc7(hidden))))
        return scores


class MultiScale(nn.Module):
    """MSc: scores of the image and of four poolings, read by small networks of their own.

    Args:
        channels: Of the image and of pool1 to pool4.
        hidden: Width of the two hidden layers; 128 in the release.
        num_classes: K.
    """

    names = ("data", "pool1", "pool2", "pool3", "pool4")
    strides = (1, 2, 4, 8, 8)

    def __init__(self, channels: tuple[int, ...], hidden: int, num_classes: int) -> None:
        super().__init__()
        for name, inputs in zip(self.names, channels, strict=True):
            self.add_module(f"{name}_conv", nn.Conv2d(inputs, hidden, kernel_size=3, padding=1))
            self.add_module(f"{name}_fc", nn.Conv2d(hidden, hidden, kernel_size=1))
            self.add_module(f"{name}_ms", nn.Conv2d(hidden, num_classes, kernel_size=1))
        for name, layer in self.named_children():
            nn.init.normal_(layer.get_parameter("weight"), std=MSC_STD.get(name, MSC_STD[name.split("_")[1]]))
            nn.init.zeros_(layer.get_parameter("bias"))
        self.dropout = nn.Dropout(0.5)

    def strided(self, maps: Maps) -> Float[Tensor, "N K h w"]:
        """Return the sum of all scores at stride 8, from maps at strides 1, 2, 4, 8 and 8."""
        parts = zip(self.names, maps, self.strides, strict=True)
        return reduce(torch.add, (self.read(name, features, STRIDE // stride) for name, features, stride in parts))

    def enlarged(self, maps: Maps, size: tuple[int, int]) -> Float[Tensor, "N K H W"]:
        """Return the sum of all scores at the image's resolution, each from every place of its map."""
        parts = zip(self.names, maps, self.strides, strict=True)
        return reduce(
            torch.add, (zoom(self.read(name, features), size, 1 / stride) for name, features, stride in parts)
        )

    def read(self, name: str, features: Float[Tensor, "N _ _ _"], stride: int = 1) -> Float[Tensor, "N K _ _"]:
        """Return one map's scores at every `stride`-th of its places."""
        convolution, fc, score = (self.get_submodule(f"{name}_{part}") for part in ("conv", "fc", "ms"))
        if stride == 1:
            hidden = convolution(features)
        else:
            weight, bias = convolution.get_parameter("weight"), convolution.get_parameter("bias")
            hidden = functional.conv2d(features, weight, bias, stride, padding=1)
        hidden = self.dropout(torch.relu(fc(self.dropout(torch.relu(hidden)))))
        scores: Tensor = score(hidden)
        return scores
