"""TransferNet's parts: attention, class head, decoder.

    features -> feature_embed --+
                                x -> combined_embed, ReLU -> score -> softmax over the cells
    labels   -> label_embed ----+

Source: maga33/TransferNet, training/2_train_segmentation/attention-decoder.prototxt; its fillers are Xavier's for
    embeddings, and Gaussian of deviation 0.01 for attention and decoder.
Letters: N batch, C channels, L labels, h w cells, P places embedded, E embedded.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.models import unpooling
from perpixel.models.deconvnet import DECODER_STD
from perpixel.models.initialize import initialize_he
from perpixel.models.unpooling import Mirror


class Attention(nn.Module):
    """Say where in the features a label is.

    Args:
        channels: C.
        labels: L.
        cells: Rows and columns of cells that are embedded at once.
        hidden: E.
        embedding: "flattened" or "convolutional"; see `TransferNet`.
        combined_embed: Keep a hidden layer between product and score.

    Source: CVPR 2016, Sec. 4.2: v = W_att (W_feat A ⊙ W_label y) + b, α = softmax(v); `combined_embed` is as released.
    """

    def __init__(
        self, channels: int, labels: int, cells: int, hidden: int, embedding: str, combined_embed: bool
    ) -> None:
        super().__init__()
        self.cells, self.each_cell = cells, embedding == "convolutional"
        places = 1 if self.each_cell else cells**2
        self.feature_embed = nn.Linear(channels * places, hidden)
        self.label_embed = nn.Linear(labels, hidden)
        self.combined_embed = nn.Linear(hidden, hidden) if combined_embed else None
        self.score = nn.Linear(hidden, places, bias=not self.each_cell)  # one bias would move all cells alike
        self.initialize()

    def initialize(self) -> None:
        """Draw first weights as released."""
        for layer in (self.feature_embed, self.label_embed, self.combined_embed):
            if layer is not None:
                nn.init.uniform_(layer.weight, -((3 / layer.in_features) ** 0.5), (3 / layer.in_features) ** 0.5)
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.score.weight, std=DECODER_STD)
        if self.score.bias is not None:
            nn.init.zeros_(self.score.bias)

    def embed(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N P E"]:
        """Return what every label needs of the features; P is h · w for cells that are embedded by themselves, or 1."""
        cells = features if self.each_cell else self.pooled(features)
        places = cells.flatten(2).transpose(1, 2) if self.each_cell else cells.flatten(1)[:, None]
        evidence: Tensor = self.feature_embed(places)
        return evidence

    def pooled(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C _ _"]:
        """Average the features into as many cells as are embedded at once."""
        if features.shape[-2] == self.cells and features.shape[-1] == self.cells:
            return features
        return functional.adaptive_avg_pool2d(features, (self.cells, self.cells))

    def forward(
        self, evidence: Float[Tensor, "N P E"], labels: Float[Tensor, "N L"], size: tuple[int, int]
    ) -> Float[Tensor, "N 1 h w"]:
        """Return α of each image's label over `size` (h, w) cells."""
        hidden = evidence * self.label_embed(labels.to(evidence.dtype))[:, None]
        if self.combined_embed is not None:
            hidden = self.combined_embed(hidden).relu()
        scores: Tensor = self.score(hidden)
        if not self.each_cell and size != (self.cells, self.cells):
            square = scores.view(-1, 1, self.cells, self.cells)
            scores = functional.interpolate(square, size, mode="bilinear", align_corners=False)
        return scores.flatten(1).softmax(1).view(-1, 1, *size)


class ClassHead(nn.Module):
    """Tell from what a label attends to which label it is.

    Args:
        channels: C.
        labels: L.
    """

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, channels)
        self.score = nn.Linear(channels, labels)

    def forward(self, feature: Float[Tensor, "... C"]) -> Float[Tensor, "... L"]:
        """Return logits."""
        logits: Tensor = self.score(self.hidden(feature).relu())
        return logits


class Averaged(nn.Module):
    """Score labels by the average of the encoder's features; before it is taken, scores are class activation maps.

    Args:
        channels: C.
        labels: L.

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, arXiv:1512.04150, Sec. 2.
    """

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, labels, kernel_size=1)
        initialize_he(self)

    def forward(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N L"]:
        """Return logits: an average of scores is the score of the average."""
        return self.recognize(features.mean((-2, -1)))

    def recognize(self, feature: Float[Tensor, "... C"]) -> Float[Tensor, "... L"]:
        """Return logits of features that were averaged otherwise: where a label looks."""
        return functional.linear(feature, self.score.weight.flatten(1), self.score.bias)


class Decoder(unpooling.Decoder):
    """Unpool and deconvolve, to the logits of background and label, from first weights as released.

    Args:
        seen: Channels that it gets: 1, s.
        plan: Of the encoder.
        batch_norm: Normalise before every ReLU; first weights are then after He.
    """

    def __init__(self, seen: int, plan: Mirror, batch_norm: bool = False) -> None:
        super().__init__(seen, plan, batch_norm)
        if batch_norm:
            initialize_he(self)
            return
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=DECODER_STD)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
