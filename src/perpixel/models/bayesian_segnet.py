"""Bayesian SegNet: SegNet with dropout that also works at test time, so that it says how sure it is.

    image  -> 1 -> 2 -> 3 *-> 4 *-> 5 *-+    encoder: convolve, max_pool   * drop half of the values, after pooling
              |    |    |     |     |   |
    logits <- 1 <- 2 <- 3 <-* 4 <-* 5 <-+    decoder: max_unpool, convolve   * and at the end of a decoder's stage

Each pass with dropout is a draw from the weights' approximate posterior: `perpixel.inference.uncertainty` takes
the mean and the variance of many. In evaluation mode nothing is dropped: one pass with the average weights, as
the released net gives with `sample_weights_test` off.

Where dropout goes has a name: `convN` is the end of stage N of the encoder, before its pooling, `poolN` is after
it, and `decodeN` is the end of the decoder's stage at that resolution (convN_1_D, conv_decodeN in the release).

Source: Kendall, Badrinarayanan, Cipolla, "Bayesian SegNet", BMVC 2017, arXiv:1511.02680; the layers as released
    in SegNet-Tutorial, Models/bayesian_segnet_train.prototxt, bayesian_segnet_basic_train.prototxt and
    Example_Models/bayesian_segnet_pascal.prototxt.
Differs: as SegNet does. Uncertain: the study's places ("encoder" to "classifier") follow its description, not a
    released file.
Letters: N batch, C channels, K classes, H W pixels.
"""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn

from perpixel.models.check import check_image
from perpixel.models.initialize import initialize_he
from perpixel.models.segnet import SegNet, SegNetBasic
from perpixel.ops.batch_norm import BatchNorm2d
from perpixel.ops.unpool import max_pool, max_unpool

RATIO = 0.5  # dropout_ratio, in all released nets

PLACES = {
    "central": ("pool3", "pool4", "pool5", "decode5", "decode4", "decode3"),
    "encoder-decoder": (
        *("conv1", "conv2", "conv3", "conv4", "conv5", "pool5"),
        *("decode5", "decode4", "decode3", "decode2"),
    ),
    "none": (),
}

BASIC_PLACES = {
    "central": ("pool3", "pool4", "decode4", "decode3"),
    "encoder": ("pool1", "pool2", "pool3", "pool4"),
    "decoder": ("decode4", "decode3", "decode2", "decode1"),
    "encoder-decoder": ("pool1", "pool2", "pool3", "pool4", "decode4", "decode3", "decode2", "decode1"),
    "center": ("pool4",),
    "classifier": ("decode1",),
    "none": (),
}


class BayesianSegNet(SegNet):
    """SegNet with dropout around its centre.

    Its weights are SegNet's: the same names, shapes and number.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        dropout: "central", the three deepest stages, as trained on CamVid; "encoder-decoder", as in the net
            released for PASCAL VOC; or "none".
        extra_convolution: One convolution more before the classifier, conv1_1_D, as in the older net of the
            release's web demo (Example_Models/bayesian_segnet_camvid.prototxt).
    """

    batch_norm_shift = 0.0  # bayesian_segnet_train.prototxt; SegNet's and both Basics' is 0.001

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: str = "central",
        extra_convolution: bool = False,
    ) -> None:
        places = named_places("BayesianSegNet", dropout, PLACES)
        super().__init__(num_classes, in_channels, width)
        self.dropout = nn.ModuleDict({place: nn.Dropout(RATIO) for place in places})
        if extra_convolution:
            append_convolution(self.decoder["stage1"], self.classifier.in_channels)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size; no padding is needed."""
        check_image(image, self.in_channels)
        features = dropping_pass(image, self.encoder.stages.values(), self.decoder.values(), self.dropout)
        logits: Tensor = self.classifier(features)
        return logits


class BayesianSegNetBasic(SegNetBasic):
    """SegNet-Basic with dropout around its centre; its weights are SegNet-Basic's.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer, 64; 1 is the paper's network.
        dropout: "central", the two deepest stages, as released and best in the paper's study; or one of the
            study's other places: "encoder", "decoder", "encoder-decoder", "center", "classifier", "none".
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: float = 1.0, dropout: str = "central") -> None:
        places = named_places("BayesianSegNetBasic", dropout, BASIC_PLACES)
        super().__init__(num_classes, in_channels, width)
        self.dropout = nn.ModuleDict({place: nn.Dropout(RATIO) for place in places})

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size; no padding is needed."""
        check_image(image, self.in_channels)
        features = dropping_pass(self.norm(image), self.encoder, self.decoder, self.dropout)
        logits: Tensor = self.classifier(features)
        return logits


def named_places(network: str, dropout: str, places: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return where dropout goes.

    Raises:
        ValueError: The choice has no such name.
    """
    if dropout not in places:
        raise ValueError(f"{network}: expected dropout to be one of {', '.join(places)}, got {dropout!r}. Pick one.")
    return places[dropout]


def dropping_pass(
    features: Float[Tensor, "N C H W"],
    encoder: Iterable[nn.Module],
    decoder: Iterable[nn.Module],
    dropout: nn.ModuleDict,
) -> Float[Tensor, "N D H W"]:
    """Encode and decode, with dropout at the places that `dropout` names."""

    def drop(place: str, features: Tensor) -> Tensor:
        return dropout[place](features) if place in dropout else features

    switches = []
    for number, stage in enumerate(encoder, start=1):
        features, where = max_pool(drop(f"conv{number}", stage(features)))
        features = drop(f"pool{number}", features)
        switches.append(where)
    for number, stage in zip(range(len(switches), 0, -1), decoder, strict=True):
        features = drop(f"decode{number}", stage(max_unpool(features, switches[number - 1])))
    return features


def append_convolution(stage: nn.Module, channels: int) -> None:
    """Append conv1_1_D with its batch normalisation and ReLU."""
    convolution = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
    initialize_he(convolution)
    stage.add_module("conv1_1", convolution)
    stage.add_module("bn1_1", BatchNorm2d(channels))
    stage.add_module("relu1_1", nn.ReLU(inplace=True))
