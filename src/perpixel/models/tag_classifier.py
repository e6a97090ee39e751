"""Which classes does an image show? VGG's fully connected layers as convolutions on an encoder, one score a label.

    image -> stages of convolutions, max_pool -> pool5 -> fc6 -> fc7 -> score      (N, L, u, v)
                          |                        ^                      |
                          +-- switches             +---- back-propagated -+        (N, C, h, w), of one label vector

Scores are averaged over their cells to decide which labels an image has. The way back asks where: a weight for each
label is put on that label's score and sent down through the transposed layers, past the ReLUs that were open, to
pool5. It equals what autograd gives for ∂(Σ weight · score) / ∂pool5, and is made of layers, so that it is exported
and trained through like any other.

Images of any size: where pool5 has fewer rows than fc6's window it is centred in zeros.

Source: Hong, Noh, Han, "Decoupled Deep Neural Network for Semi-supervised Semantic Segmentation", NIPS 2015,
    arXiv:1506.04924, Sec. 3.1; HyeonwooNoh/DecoupledNet, training/001_*/{gen_fp_bp_model.py,fp_bp_network.prototxt}.
Differs: dropout after fc6 and fc7 while the classifier learns, as VGG has it; how the authors fine-tuned theirs is not
    released. Any encoder may be the trunk, and fc6's window be smaller, for small images. Of an encoder that is no VGG,
    pool5 is the last map, and the switches are as `unpooling` says. It keeps fc6 and fc7 where its own classifier has
    an average: through a score of averages every place would send back the same.
Letters: N batch, C channels, L labels, H W pixels, h w at pool5, u v at the scores.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.vgg import scaled
from perpixel.models.initialize import initialize_he
from perpixel.models.unpooling import build_trunk, look
from perpixel.ops.unpool import Switches

Pooling = Literal["average", "max"]
SCORE_STD = 0.01  # of a fresh score layer, as Caffe's VGG has its fc8


class Reading(NamedTuple):
    """What the classifier saw in images, and what a decoder or the way back needs of it.

    Attributes:
        pool5: The last pooled map; the last one of an encoder that is no VGG.
        switches: Of every pooling, shallowest first.
        open6: Where fc6's ReLU let something through.
        open7: Where fc7's did.
        scores: Of every label at every place of fc7, before the sigmoid.
        size: (H, W) of the images.
    """

    pool5: Float[Tensor, "N C h w"]
    switches: tuple[Switches, ...]
    open6: Bool[Tensor, "N _ u v"]
    open7: Bool[Tensor, "N _ u v"]
    scores: Float[Tensor, "N L u v"]
    size: tuple[int, int]


class TagClassifier(nn.Module):
    """Score labels, each for itself.

    Args:
        num_labels: L.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is VGG's.
        encoder: Any of `encoders.build`, e.g. vgg16-bn or resnet18.
        window: Rows and columns of pool5 that fc6 sees; VGG's 7.
        dropout: Of fc6's and fc7's units, while the classifier is trained.
        stages: Of the trunk, 1 to 5; with 4 the last map has a stride of 16, for small images. Other encoders are cut
            at that stride.

    Raises:
        UsageError: There is no such encoder, or it has no such number of stages.
    """

    def __init__(
        self,
        num_labels: int,
        in_channels: int = 3,
        width: float = 1.0,
        encoder: str = "vgg16",
        window: int = 7,
        dropout: float = 0.5,
        stages: int = 5,
    ) -> None:
        super().__init__()
        self.encoder = build_trunk(encoder, in_channels, width, stages, pool_last=True)
        hidden = scaled(4096, width)
        self.fc6 = nn.Conv2d(self.encoder.channels[-1], hidden, kernel_size=window)
        self.fc7 = nn.Conv2d(hidden, hidden, kernel_size=1)
        self.score = nn.Conv2d(hidden, num_labels, kernel_size=1)
        self.dropout = nn.Dropout(dropout)
        self.window = window
        for layer in (self.fc6, self.fc7, self.score):
            initialize_he(layer)
        nn.init.normal_(self.score.weight, std=SCORE_STD)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L"]:
        """Return logits: scores averaged over their cells; a sigmoid makes each a probability."""
        return pooled(self.read(image).scores, "average")

    def read(self, image: Float[Tensor, "N C H W"]) -> Reading:
        """Return the scores of images and all that was kept on the way."""
        pool5, switches = look(self.encoder, image, pool_last=True)
        seen6 = functional.relu(self.fc6(centred(pool5, self.window)))
        seen7 = functional.relu(self.fc7(self.dropout(seen6)))
        scores = self.score(self.dropout(seen7))
        return Reading(pool5, switches, seen6 > 0, seen7 > 0, scores, (image.shape[-2], image.shape[-1]))

    def back_propagate(
        self, reading: Reading, weights: Float[Tensor, "N L"], pooling: Pooling = "max"
    ) -> Float[Tensor, "N C h w"]:
        """Return a class-specific activation map: what in pool5 speaks for the weighted labels.

        Args:
            reading: Of the images.
            weights: Of each label's pooled score.
            pooling: How scores are pooled: "max" starts from each label's highest cell, as the released network that
                is trained does although its layers are named for an average; "average" starts from all alike.

        Returns: The derivative of Σ weights · pooled scores with respect to pool5, the weights taken as constants.
        Source: NIPS 2015, Sec. 3.2; fp_bp_network.prototxt: biases of the layers back are 0.
        """
        back = functional.conv_transpose2d(seeds(reading.scores, weights, pooling), self.score.weight)
        back = functional.conv_transpose2d(back * reading.open7, self.fc7.weight)
        back = functional.conv_transpose2d(back * reading.open6, self.fc6.weight)
        return uncentred(back, reading.pool5.shape, self.window)


def pooled(scores: Float[Tensor, "N L u v"], pooling: Pooling) -> Float[Tensor, "N L"]:
    """Return one score a label."""
    return scores.mean((2, 3)) if pooling == "average" else scores.amax((2, 3))


def seeds(scores: Float[Tensor, "N L u v"], weights: Float[Tensor, "N L"], pooling: Pooling) -> Tensor:
    """Return where each label's pooled score comes from, times its weight: (N, L, u, v)."""
    if pooling == "average":
        return (weights / (scores.shape[2] * scores.shape[3]))[:, :, None, None].expand(scores.shape)
    flat = scores.flatten(2)
    highest = flat.argmax(2, keepdim=True)
    spread = torch.zeros_like(flat).scatter(2, highest, weights[:, :, None].to(flat.dtype))
    return spread.view(scores.shape)


def centred(features: Float[Tensor, "N C h w"], window: int) -> Float[Tensor, "N C _ _"]:
    """Return a map with at least `window` rows and columns, the given one in the middle of zeros."""
    rows, columns = (lacking(length, window) for length in features.shape[-2:])
    top, left = rows // 2, columns // 2
    return functional.pad(features, (left, columns - left, top, rows - top))


def uncentred(features: Float[Tensor, "N C _ _"], shape: tuple[int, ...], window: int) -> Float[Tensor, "N C h w"]:
    """Undo `centred` on a map of its result's size."""
    rows, columns = (lacking(length, window) for length in shape[-2:])
    top, left = rows // 2, columns // 2
    return functional.pad(features, (-left, left - columns, -top, top - rows))


def lacking(length: int, window: int) -> int:
    """Return how many rows fewer than `window` there are; as a function of `length` in an exported graph too."""
    missing: int = torch.sym_max(window - length, 0)  # type: ignore[no-untyped-call]
    return missing
