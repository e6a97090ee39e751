"""DecoupledNet: one network says which classes an image shows, another segments one class at a time.

    image -> VGG -> pool5 -> fc6 -> fc7 -> score           classifier: learns from tags, then is frozen
              |       |                      |
              |       |     back-propagated -+ x label     class-specific activation map, for one label
              |       v              v
              |     BN(pool5)  ||  BN(map)                 bridge: concatenated, then fc6-seg, fc7-seg, fc6-deconv
              |              |
              +--switches--> decoder -> 2 scores           background and foreground: learns from few masks

The decoder shares its weights between classes: what it is told of the class is the map alone. So masks of a few
images teach all classes how to be cut out, and tags, of which there are many, teach what they look like.

Prediction: classify; one pass with all identified labels together for the background's map, one pass with each label
alone for its foreground's; the maps are normalised to sum to 1. Logits are their logarithms. While the network is in
training mode every label counts as identified, so that gradients reach everything; the recipe trains `classify` and
`segment` instead, one after the other.

Source: Hong, Noh, Han, "Decoupled Deep Neural Network for Semi-supervised Semantic Segmentation", NIPS 2015,
    arXiv:1506.04924, Sec. 3; HyeonwooNoh/DecoupledNet, training/002_train_seg_Full_anno/*.prototxt and
    inference/DecoupledNet_inference.m.
Differs: any image size, where the release pads with black to a square and resizes it to 320 pixels; `input_size=320`
    is theirs, and the class's default; the catalogue's is 0. The classifier runs once for all passes of an image. A
    data set without background has no background map, and its likeliest label where none is identified. On an encoder
    that is no VGG all is ours: see `tag_classifier` for the way back, `unpooling` for the decoder. Running
    averages of batch statistics are kept, and ε is PyTorch's 1e-5, as in DeconvNet here; only what is concatenated has
    the release's 1e-9, since activation maps have variances of the size of 1e-5.
Traps: the release decides by the average of the scores' cells and trains its maps with the maximum, in layers named
    for an average. An image with no label above the threshold is background everywhere.
Letters: N batch, C channels, K classes, L labels (the classes but background), H W pixels, h w at pool5.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.vgg import scaled
from perpixel.models.check import check_image, check_ranges, known_background
from perpixel.models.deconvnet import BATCH_NORM_SHIFT, DECODER_STD, add
from perpixel.models.initialize import initialize_he
from perpixel.models.tag_classifier import Pooling, Reading, TagClassifier, centred, pooled, uncentred
from perpixel.models.unpooling import Decoder, mirror
from perpixel.ops.batch_norm import BatchNorm2d
from perpixel.ops.square import from_square, to_square

LEAST = 1e-6  # probability of a class that was not identified, so that its logarithm is finite
RELEASED_EPS = 1e-9  # activation maps are derivatives: PyTorch's 1e-5 is of the size of their variance, or above
BACKGROUND, FOREGROUND = 0, 1


class DecoupledNet(nn.Module):
    """Segment an image into `num_classes` classes: classify it, then cut out each class that it shows.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        encoder: Any of `encoders.build`, e.g. vgg16, vgg13-bn or resnet18; the decoder mirrors it.
        background: Id of the class that is never a label; -1 where the data set has none.
        input_size: Pad images with black to a square and see them at this side, in pixels; 0 sees them as they are.
        window: Rows and columns of pool5 that fc6 sees; 7 is VGG's, fewer suit small images.
        threshold: Probability above which a label counts as identified.
        decision_pooling: How a label's cells become the score that decides, and weighs its map in prediction.
        activation_pooling: How they become the score that weighs a map in training, and from which it is traced back.
        dropout: Of fc6's and fc7's units, while the classifier is trained.
        stages: Of the trunk; 5 is VGG's, and 4 give maps of stride 16: ours, for small images. Other encoders are
            cut at that stride.

    Attributes:
        classifier: Learns from tags. While all of it is frozen it stays in evaluation mode.
        bridge: From pool5 and an activation map to what the decoder unfolds.
        decoder: The classifier's stages, mirrored, and two scores.
        black: What a black pixel is once normalised, for padding; a buffer, (C,).

    Raises:
        UsageError: There is no such encoder or number of stages, `background` is no class, or a number is out of range.
        ValueError: The window is empty, or a pooling is none of the two.
    """

    black: Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        encoder: str = "vgg16",
        background: int = 0,
        input_size: int = 320,
        window: int = 7,
        threshold: float = 0.5,
        decision_pooling: Pooling = "average",
        activation_pooling: Pooling = "max",
        dropout: float = 0.5,
        stages: int = 5,
    ) -> None:
        super().__init__()
        check_ranges("DecoupledNet", input_size, threshold=threshold)
        _check_options(window, decision_pooling=decision_pooling, activation_pooling=activation_pooling)
        self.in_channels, self.input_size, self.threshold = in_channels, input_size, threshold
        self.decision_pooling, self.activation_pooling = decision_pooling, activation_pooling
        self.background = known_background(background, num_classes)
        self.num_labels = num_classes - (self.background is not None)
        self.classifier = TagClassifier(self.num_labels, in_channels, width, encoder, window, dropout, stages)
        channels = self.classifier.encoder.channels[-1]
        self.bridge = Bridge(channels, scaled(2048, width), window)
        self.decoder = Decoder(channels, mirror(self.classifier.encoder, pool_last=True), batch_norm=True)
        self.register_buffer("black", torch.zeros(in_channels))
        initialize(self)

    def classify(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L"]:
        """Return a logit for each label; a sigmoid makes it the probability that the image shows the class."""
        check_image(image, self.in_channels)
        return pooled(self.classifier.read(self.framed(image)).scores, self.decision_pooling)

    def segment(self, image: Float[Tensor, "N C H W"], labels: Float[Tensor, "N L"]) -> Float[Tensor, "N 2 H W"]:
        """Return logits of background and foreground, the foreground being all classes that a label vector names.

        This is what the masks train: labels are weighed by the classifier's own belief in them.

        Args:
            image: As the network sees it: nothing is padded or resized here.
            labels: 0 or 1 for each class but background.
        """
        check_image(image, self.in_channels)
        reading = self.classifier.read(image)
        weights = labels * pooled(reading.scores, self.activation_pooling).sigmoid()
        return self.decode(reading, weights)

    def activation_map(self, image: Float[Tensor, "N C H W"], labels: Float[Tensor, "N L"]) -> Float[Tensor, "N C h w"]:
        """Return what in pool5 speaks for the labels, weighed as in `segment`."""
        reading = self.classifier.read(image)
        weights = labels * pooled(reading.scores, self.activation_pooling).sigmoid()
        return self.classifier.back_propagate(reading, weights, self.activation_pooling)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size; their softmax is the normalised maps of all passes."""
        check_image(image, self.in_channels)
        probabilities = self.unframed(self.probabilities(self.framed(image)), image.shape)
        return probabilities.clamp_min(LEAST).log()

    def probabilities(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Classify, make all passes and put their maps together, at the size of the image given."""
        reading = self.classifier.read(image)
        belief = pooled(reading.scores, self.decision_pooling).sigmoid()
        kept = self.identified(belief)
        weights = belief * kept
        foreground = self.foregrounds(reading, weights, kept, image)
        if self.background is None:
            return aggregate(foreground, kept)
        behind = self.decode(reading, weights).softmax(1)[:, BACKGROUND : BACKGROUND + 1]
        place = self.background
        maps = torch.cat((foreground[:, :place], behind, foreground[:, place:]), 1)
        always = kept.new_ones(kept.shape[0], 1)
        return aggregate(maps, torch.cat((kept[:, :place], always, kept[:, place:]), 1))

    def foregrounds(
        self, reading: Reading, weights: Float[Tensor, "N L"], kept: Bool[Tensor, "N L"], image: Tensor
    ) -> Float[Tensor, "N L H W"]:
        """Return each kept label's foreground, from a pass of its own; 0 for the others."""
        passes = self.passes(kept)
        nothing = image.new_zeros(image.shape[0], 1, *image.shape[-2:])
        maps = []
        for label in range(self.num_labels):
            if label not in passes:
                maps.append(nothing)
                continue
            alone = torch.zeros_like(weights)
            alone[:, label] = weights[:, label]
            shown = self.decode(reading, alone).softmax(1)[:, FOREGROUND : FOREGROUND + 1]
            maps.append(shown * kept[:, label, None, None, None])
        return torch.cat(maps, 1)

    def identified(self, belief: Float[Tensor, "N L"]) -> Bool[Tensor, "N L"]:
        """Return which labels each image has: those above the threshold; without background, one at least."""
        if self.training:
            return torch.ones_like(belief, dtype=torch.bool)
        kept = belief > self.threshold
        if self.background is not None:
            return kept
        likeliest = functional.one_hot(belief.argmax(1), self.num_labels).bool()
        return kept | likeliest & ~kept.any(1, keepdim=True)

    def passes(self, kept: Bool[Tensor, "N L"]) -> Sequence[int]:
        """Return the labels that need a pass: in a graph that is exported all of them, masked.

        On the meta device nothing is known of the image, and the background's pass stands for all.
        """
        if self.training or torch.compiler.is_compiling() or (kept.is_meta and self.background is None):
            return range(self.num_labels)
        if kept.is_meta:
            return ()
        labels: list[int] = kept.any(0).nonzero().flatten().tolist()
        return labels

    def decode(self, reading: Reading, weights: Float[Tensor, "N L"]) -> Float[Tensor, "N 2 H W"]:
        """Return logits of background and foreground for weighted labels."""
        specific = self.classifier.back_propagate(reading, weights, self.activation_pooling)
        logits: Tensor = self.decoder(self.bridge(reading.pool5, specific), reading.switches, reading.size)
        return logits

    def framed(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
        """Pad an image with black at the right and bottom to a square, and resize that to `input_size`."""
        if not self.input_size:
            return image
        return to_square(image, self.black, self.input_size)

    def unframed(self, maps: Float[Tensor, "N K h w"], shape: Sequence[int]) -> Float[Tensor, "N K H W"]:
        """Undo `framed`: bicubic interpolation, as released, then the padding is cut off."""
        if not self.input_size:
            return maps
        return from_square(maps, shape[-2:], "bicubic")

    def train(self, mode: bool = True) -> "DecoupledNet":
        """Set the mode; a classifier that is frozen stays as it predicts."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.classifier.parameters()):
            self.classifier.eval()
        return self


def _check_options(window: int, **poolings: str) -> None:
    """Refuse what would only fail, or do something else, much later.

    Raises:
        ValueError: The message names the option.
    """
    for name, pooling in poolings.items():
        if pooling not in ("average", "max"):
            raise ValueError(f"DecoupledNet: expected {name} to be average or max, got {pooling!r}. Choose one.")
    if window < 1:
        raise ValueError(f"DecoupledNet: expected a window of 1 or more, got {window}. VGG's is 7.")


class Bridge(nn.Module):
    """The bridging layers: pool5 and a class's activation map become what the decoder unfolds for that class.

    Both are normalised first, as their scales differ by far.

    Args:
        channels: Of pool5, and of what comes out.
        hidden: Width of fc6-seg and fc7-seg; 2048 in the paper's network.
        window: Rows and columns that fc6-seg sees.
    """

    def __init__(self, channels: int, hidden: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.bn_pool5 = BatchNorm2d(channels, eps=RELEASED_EPS)
        self.bn_pool5_bp = BatchNorm2d(channels, eps=RELEASED_EPS)
        self.layers = nn.Sequential()
        add(self.layers, "fc6_seg", nn.Conv2d(2 * channels, hidden, kernel_size=window), "bnfc6_seg")
        add(self.layers, "fc7_seg", nn.Conv2d(hidden, hidden, kernel_size=1), "bnfc7_seg")
        add(self.layers, "fc6_deconv", nn.ConvTranspose2d(hidden, channels, kernel_size=window), "fc6_deconv_bn")

    def forward(self, pool5: Float[Tensor, "N C h w"], specific: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C h w"]:
        """Return the class's features, of pool5's shape."""
        together = torch.cat((self.bn_pool5(pool5), self.bn_pool5_bp(specific)), 1)
        return uncentred(self.layers(centred(together, self.window)), pool5.shape, self.window)


def aggregate(maps: Float[Tensor, "N K H W"], allowed: Bool[Tensor, "N K"]) -> Float[Tensor, "N K H W"]:
    """Normalise the passes' maps to sum to 1; where none says anything, every allowed class is equally likely.

    Source: inference/DecoupledNet_inference.m.
    """
    silent = maps.sum(1, keepdim=True) <= 0
    maps = maps + silent * allowed[:, :, None, None]
    return maps / maps.sum(1, keepdim=True)


def initialize(network: DecoupledNet) -> None:
    """Draw the trained part as released: Gaussian, std 0.01, biases 0; the classifier is drawn after He."""
    for part in (network.bridge, network.decoder):
        initialize_he(part, BATCH_NORM_SHIFT)
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=DECODER_STD)
