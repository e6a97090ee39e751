"""TransferNet: outlines are learned from some labels' masks, and carried to labels that have tags alone.

    image -> VGG-16 -> A (512, h, w) ----------------+-----------------+
                          embedded                   |                 |
    label -> embedded ---> x --> W --> softmax = α --+-> z = Aα --> class head -> logits of the L labels
                                                                       |
                                                                   s = Aᵀz (1, h, w)
    background and label <- 64 <- 64 <- 128 <- 256 <- deconv5_1 <------+        unpooled by the encoder's switches

The decoder is never told which label it works for. It sees s alone: how much every cell resembles those that the label
attends to. What masks of some labels teach it about outlines therefore serves all labels. On an encoder that has no
switches it is the same: see `unpooling`, which is ours.

Which labels an image shows is for a classification network to say (`classifier`). Without one, the class head says it:
a label is there if, where its attention looks, the head takes it for that label.

The released embedding is one matrix over all 20 x 20 cells of an image of 320 x 320 pixels, and 90 % of all
parameters; other images are surrounded to a square and resized. Two options of ours lift that: `square`, `embedding`.

Traps: the release's comment calls its Scale layer of 0.004 no scaling, yet it is active. α sums to 1, so z stays among
    the features; s = AᵀAα does not, and enters the decoder as it is, stronger for one label than for another (`density`
    is ours against that). The released CPU code of s has a wrong gradient.

Source: Hong, Oh, Lee, Han, "Learning Transferrable Knowledge for Semantic Segmentation with Deep Convolutional Neural
    Network", CVPR 2016, arXiv:1512.07928, Sec. 4; the layers as released in maga33/TransferNet,
    training/2_train_segmentation/attention-decoder.prototxt; prediction as in inference/TransferNet_inference.m.
Differs: the release runs a CRF for each label before it compares them; `forward` runs none, `--crf transfernet` does.
    The background's probability, which the release does not tell, is what the likeliest label leaves; the prediction
    is the same.
Uncertain: how the paper's own baselines without attention were built; those of `attention` are ours. How the release
    enlarges maps to the image; here it is bilinear.
Letters: N batch, C channels, K classes, L labels (the classes but the background), H W pixels, h w cells, E embedded.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.classifier import VGGS
from perpixel.encoders.vgg import scaled
from perpixel.models.check import check_image, check_ranges, known_background
from perpixel.models.tag_classifier import TagClassifier
from perpixel.models.transfernet_parts import Attention, Averaged, ClassHead, Decoder
from perpixel.models.unpooling import build_trunk, look, mirror
from perpixel.ops.labels import THRESHOLD, aggregate, foreground, identify, rounds
from perpixel.ops.square import from_square, to_square
from perpixel.ops.unpool import Switches

CHOICES = {
    "embedding": ("flattened", "convolutional"),
    "attention": ("learned", "uniform", "tiled"),
    "class_head": ("own", "classifier"),
    "density": ("product", "relative"),
    "classifier": ("none", "averaged", "separate"),
}
EMBEDDED = 1024  # E at full width
LEAST_DENSITY = 1e-6  # a relative density is divided by no less
FEATURE_SCALE = 0.004  # the Scale layer between conv5_3 and all that reads it


class Encoded(NamedTuple):
    """What is computed once for an image, whatever the labels.

    Attributes:
        features: A, scaled.
        switches: Of the encoder's poolings, shallowest first.
        evidence: Embedded features; P is 1, or one for each cell where cells are embedded by themselves.
        size: (H, W) of the image as it is seen.
    """

    features: Float[Tensor, "N C h w"]
    switches: tuple[Switches, ...]
    evidence: Float[Tensor, "N P E"]
    size: tuple[int, int]


class Attended(NamedTuple):
    """Where a label looks, and what is there.

    Attributes:
        attention: α; each map sums to 1.
        feature: z = Aα.
        density: s = Aᵀz: how much each cell resembles z; where it is relative, over its highest value.
    """

    attention: Float[Tensor, "N 1 h w"]
    feature: Float[Tensor, "N C"]
    density: Float[Tensor, "N 1 h w"]


class TransferNet(nn.Module):
    """Segment an image label by label.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the release's network.
        encoder: "vgg16" in the release; any of `encoders.build`, e.g. vgg11-bn or resnet18. The decoder mirrors it.
        stages: Of the encoder, 5 in the release: cells are 16 pixels wide. 4 or 3 make them 8 or 4, for small images.
            Other encoders are cut at that stride; 6 keep all of a ResNet.
        background: Id of the class that is never a label; -1 where the data set has none.
        input_size: Side in pixels of the square that images are seen as; of the cells that are embedded in any case.
        square: Surround images with black to a square, and resize it to `input_size`, as the release does. Without,
            which is ours, images are seen as they are: "flattened" averages their features into its cells and
            interpolates the attention back, which at `input_size` squared changes nothing.
        embedding: "flattened", the release's matrix over all cells; or "convolutional", which is ours: each cell is
            embedded and scored by itself, all with the same weights.
        combined_embed: Keep the release's hidden layer between product and score; the paper's formula has none.
        attention: "learned"; or, for comparison, "uniform", which looks everywhere alike, or "tiled", which gives the
            decoder A and the label in every cell instead of s.
        class_head: "own", two layers that learn with the attention, as released; or "classifier", which is ours: the
            averaged classifier, frozen, says of z which label it is. An own head and the attention can agree on any
            cell as a label's sign, since no image without the label contradicts them; the classifier saw such images.
        density: "product", s = Aᵀz as released; or "relative", which is ours: s over its highest value in the image,
            0 to 1 however strong the label's features are. The decoder, which learns from some labels, then finds the
            others' within the range that it knows.
        feature_scale: Of A. 0.004 suits VGG-16 of ImageNet on pixels of 0 to 255; fresh weights want 1.
        batch_norm: Normalise in the decoder; the release does not. It lets narrow ones begin from fresh weights.
        classifier: What is trained on tags, and asked which labels there are. "none", "separate" for a network of its
            own as the release has one, or "averaged" for one layer on the encoder's averaged features, which is ours.
        threshold: The probability from which a label is there; where none reaches it, the likeliest is.

    Attributes:
        refined_by_label: A CRF behind it is to refine each label against the background, as released.
        black: What a black pixel is once normalised, for surrounding images; a buffer, (C,).

    Raises:
        UsageError: There is no such encoder, or a number is out of its range.
        ValueError: Another option is none of these.
    """

    refined_by_label = True
    black: Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        encoder: str = "vgg16",
        stages: int = 5,
        background: int = 0,
        input_size: int = 320,
        square: bool = True,
        embedding: str = "flattened",
        combined_embed: bool = True,
        attention: str = "learned",
        class_head: str = "own",
        density: str = "product",
        feature_scale: float = FEATURE_SCALE,
        batch_norm: bool = False,
        classifier: str = "none",
        threshold: float = THRESHOLD,
    ) -> None:
        super().__init__()
        check_choices(
            embedding=embedding, attention=attention, class_head=class_head, density=density, classifier=classifier
        )
        if class_head == "classifier" and classifier != "averaged":
            raise ValueError(f"TransferNet: expected classifier='averaged' as the class head, got {classifier!r}.")
        if encoder in VGGS and stages not in range(2, 6):
            raise ValueError(f"TransferNet: expected stages from 2 to 5, got {stages}. The release has 5.")
        check_ranges("TransferNet", input_size, smallest=1, threshold=threshold)
        self.in_channels, self.input_size, self.square = in_channels, input_size, square
        self.background = known_background(background, num_classes)
        self.num_labels = num_classes - (self.background is not None)
        self.feature_scale, self.threshold = feature_scale, threshold
        self.relative = density == "relative"
        self.encoder = build_trunk(encoder, in_channels, width, stages, pool_last=False)
        channels, cells = self.encoder.channels, -(-input_size // 2 ** (stages - 1))
        self.attention, self.tiled = None, attention == "tiled"
        if attention == "learned":
            self.attention = Attention(
                channels[-1], self.num_labels, cells, scaled(EMBEDDED, width), embedding, combined_embed
            )
        self.class_head = ClassHead(channels[-1], self.num_labels) if class_head == "own" else None
        seen = channels[-1] + self.num_labels if self.tiled else 1
        self.decoder = Decoder(seen, mirror(self.encoder, pool_last=False), batch_norm)
        self.classifier: TagClassifier | Averaged | None = None
        if classifier == "averaged":
            self.classifier = Averaged(channels[-1], self.num_labels)
        elif classifier == "separate":
            self.classifier = TagClassifier(self.num_labels, in_channels, width, encoder)
        self.register_buffer("black", torch.zeros(in_channels))

    def train(self, mode: bool = True) -> "TransferNet":
        """Set the mode; what is frozen stays as it predicts."""
        super().train(mode)
        for part in (self.encoder, self.classifier):
            if part is not None and not any(parameter.requires_grad for parameter in part.parameters()):
                part.eval()
        return self

    # ---- one label for each image --------------------------------------------------------------------

    def attend(self, image: Float[Tensor, "N C H W"], labels: Float[Tensor, "N L"]) -> Attended:
        """Return where each image's label looks; `labels` are one-hot. Cells are of the image as it is seen."""
        return self._attend(self.encode(image), labels)

    def recognize(self, image: Float[Tensor, "N C H W"], labels: Float[Tensor, "N L"]) -> Float[Tensor, "N L"]:
        """Return the class head's logits for what each image's label looks at."""
        return self._recognize(self.attend(image, labels).feature)

    def segment(self, image: Float[Tensor, "N C H W"], labels: Float[Tensor, "N L"]) -> Float[Tensor, "N 2 H W"]:
        """Return logits of the background and of each image's label."""
        return self.learn(image, labels)[1]

    def learn(
        self, image: Float[Tensor, "N C H W"], labels: Float[Tensor, "N L"]
    ) -> tuple[Float[Tensor, "N L"], Float[Tensor, "N 2 H W"]]:
        """Return what is trained together: the logits of `recognize` and of `segment`."""
        encoded = self.encode(image)
        attended = self._attend(encoded, labels)
        maps = self._decode(encoded, attended, labels)
        return self._recognize(attended.feature), self._as_given(maps, image)

    # ---- whole images --------------------------------------------------------------------------------

    def classify(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L"]:
        """Return, for each label, the logit of its being in the image."""
        check_image(image, self.in_channels)
        seen = self._as_seen(image)
        return self._classify(seen, self._encode(seen))

    def perceive(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L"]:
        """Return the same without the classifier: how surely the class head takes what each label looks at for it."""
        return self._perceive(self.encode(image))

    def activation_maps(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L H W"]:
        """Return the logits of `classify` before they are averaged: where the classifier sees each label.

        Raises:
            ValueError: The network's classifier does not average scores.
        """
        if not isinstance(self.classifier, Averaged):
            raise ValueError("activation_maps: expected classifier='averaged', got another. Build with it.")
        check_image(image, self.in_channels)
        seen = self._as_seen(image)
        maps = self.classifier.score(self._encode(seen).features)
        size = (seen.shape[-2], seen.shape[-1])
        return self._as_given(functional.interpolate(maps, size, mode="bilinear", align_corners=False), image)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return log-probabilities for an image of any size: one pass for each label that is there.

        A pixel is background where each of the labels is less likely than not, once the background's probability is
        halved. In training mode every label counts, by how certain it is, so that gradients reach everything; the
        recipe trains `classify`, `recognize` and `learn` instead. On the meta device, where nothing can be found, one
        label is taken to be there.

        Source: TransferNet_inference.m, without the CRF.
        """
        check_image(image, self.in_channels)
        seen = self._as_seen(image)
        encoded = self._encode(seen)
        logits = self._classify(seen, encoded)
        weights = logits.sigmoid() if self.training else identify(logits, self.threshold)
        scores = image.new_zeros(image.shape[0], self.num_labels, *image.shape[-2:])
        for labels in rounds(weights > 0, every=self.training):
            maps = self._decode(encoded, self._attend(encoded, labels), labels)
            scores = scores + (weights * labels)[..., None, None] * self._as_given(foreground(maps), image)
        return aggregate(scores, self.background)

    # ---- parts ---------------------------------------------------------------------------------------

    def encode(self, image: Float[Tensor, "N C H W"]) -> Encoded:
        """Return what all labels share."""
        check_image(image, self.in_channels)
        return self._encode(self._as_seen(image))

    def _encode(self, image: Float[Tensor, "N C _ _"]) -> Encoded:
        size = (image.shape[-2], image.shape[-1])
        features, switches = look(self.encoder, image, pool_last=False)
        features = features * self.feature_scale
        evidence = (
            features.new_zeros(features.shape[0], 1, 1) if self.attention is None else self.attention.embed(features)
        )
        return Encoded(features, switches, evidence, size)

    def _attend(self, encoded: Encoded, labels: Float[Tensor, "N L"]) -> Attended:
        features, _, evidence, _ = encoded
        height, width = features.shape[-2:]
        if self.attention is None:
            attention = torch.full_like(features[:, :1], 1 / (height * width))
        else:
            attention = self.attention(evidence, labels, (height, width))
        feature = (features * attention).sum((-2, -1))
        density = (features * feature[..., None, None]).sum(1, keepdim=True)
        if self.relative:
            density = density / density.amax((2, 3), keepdim=True).clamp(min=LEAST_DENSITY)
        return Attended(attention, feature, density)

    def _decode(self, encoded: Encoded, attended: Attended, labels: Float[Tensor, "N L"]) -> Float[Tensor, "N 2 _ _"]:
        seen = attended.density
        if self.tiled:
            everywhere = labels[..., None, None].expand(-1, -1, *encoded.features.shape[-2:])
            seen = torch.cat([encoded.features, everywhere.to(encoded.features)], 1)
        maps: Tensor = self.decoder(seen, encoded.switches, encoded.size)
        return maps

    def _classify(self, seen: Float[Tensor, "N C _ _"], encoded: Encoded) -> Float[Tensor, "N L"]:
        if self.classifier is not None:
            logits: Tensor = self.classifier(seen if isinstance(self.classifier, TagClassifier) else encoded.features)
            return logits
        return self._perceive(encoded)

    def _perceive(self, encoded: Encoded) -> Float[Tensor, "N L"]:
        heads = self._recognize(self._look(encoded)).softmax(-1)
        return torch.logit(heads.diagonal(dim1=-2, dim2=-1), eps=1e-6)

    def _recognize(self, feature: Float[Tensor, "... C"]) -> Float[Tensor, "... L"]:
        if self.class_head is None:
            assert isinstance(self.classifier, Averaged)
            return self.classifier.recognize(feature)
        logits: Tensor = self.class_head(feature)
        return logits

    def _look(self, encoded: Encoded) -> Float[Tensor, "N L C"]:
        """Return z of every label."""
        features, _, evidence, _ = encoded
        count, size = features.shape[0], (features.shape[-2], features.shape[-1])
        if self.attention is None:
            return features.mean((-2, -1))[:, None].expand(-1, self.num_labels, -1)
        each = evidence[:, None].expand(-1, self.num_labels, -1, -1).flatten(0, 1)
        labels = torch.eye(self.num_labels, device=features.device, dtype=features.dtype).repeat(count, 1)
        attention = self.attention(each, labels, size).view(count, self.num_labels, -1)
        seen: Tensor = attention @ features.flatten(2).transpose(1, 2)
        return seen

    # ---- sizes ---------------------------------------------------------------------------------------

    def _as_seen(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C _ _"]:
        """Return the image as it is, or its square at `input_size`."""
        if not self.square:
            return image
        return to_square(image, self.black, self.input_size)

    def _as_given(self, maps: Float[Tensor, "N _ _ _"], image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N _ H W"]:
        """Undo `_as_seen`."""
        if not self.square:
            return maps
        return from_square(maps, image.shape[-2:])


def check_choices(**given: str) -> None:
    """Refuse an option that is none of its choices.

    Raises:
        ValueError: The message names them.
    """
    for option, value in given.items():
        if value not in CHOICES[option]:
            known = ", ".join(CHOICES[option])
            raise ValueError(f"TransferNet: expected {option} to be one of {known}, got {value!r}. Choose one of them.")
