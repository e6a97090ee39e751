r"""Class activation maps: a segmenter that never saw a mask, to compare others with.

    image -> encoder -> last map -> score (L, h, w) -- mean --> logits of the labels: what tags train
                                          \-- of each label that is there, over its highest --> relative maps
    a pixel is the label whose relative map is highest there, or background where none is above `share`

The last map of an ImageNet classifier, averaged and scored, is as well scored and averaged: before the average, scores
say where. Maps are enlarged bilinearly, to where the encoder's layers put them.

Source: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, arXiv:1512.04150, Sec. 2
    and 3.2: a region above 20 % of a map's highest value, for boxes.
Differs: the score layer is on the encoder's last map, VGG-16's with its last pooling, which does not stride at an
    output stride of 16; the authors left that out, and put a further convolution of 1024 channels there. `share` is
    0.5 here, since pixels are asked for and not boxes. What joins the labels' maps to one segmentation is ours.
Letters: N batch, C channels, K classes, L labels (the classes but the background), H W pixels, h w cells.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from perpixel.encoders.build import build_encoder
from perpixel.encoders.encoder import Encoder, Layered, keep_stages
from perpixel.errors import UsageError
from perpixel.models.check import check_image, check_ranges, known_background
from perpixel.models.fcn_encoders import places
from perpixel.models.initialize import initialize_he
from perpixel.ops.bilinear import enlarge
from perpixel.ops.labels import LEAST, identify
from perpixel.ops.square import from_square, to_square

HIGHEST = 1e-3  # a map's highest value is taken for no less, so that it can be divided by


class ActivationMaps(nn.Module):
    """Segment an image into `num_classes` classes, having learned from tags alone.

    Args:
        num_classes: K, counting background if the data set labels it.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of the encoder's layers; 1 is the published encoder.
        encoder: Any of `encoders.build`, e.g. vgg16 or resnet50.
        output_stride: Of the maps, in pixels: 32, or 16 or 8, past which the encoder is dilated.
        background: Id of the class that is never a label; -1 where the data set has none.
        share: Of a map's highest value, above which its label is seen; without background it serves nothing.
        threshold: The probability from which a label is there; where none reaches it, the likeliest is.
        stages: Of a VGG, 1 to 5, or maps of another of our encoders; with 4 cells see less around them, which suits
            small images. 0 leaves none out.
        input_size: Pad images with black to a square and see them at this side, in pixels; 0 sees them as they are.

    Attributes:
        black: What a black pixel is once normalised, for padding; a buffer, (C,).

    Raises:
        UsageError: There is no such encoder, `background` is no class, or a number is out of its range.
    """

    black: Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        encoder: str = "vgg16",
        output_stride: int = 16,
        background: int = 0,
        share: float = 0.5,
        threshold: float = 0.5,
        stages: int = 0,
        input_size: int = 0,
    ) -> None:
        super().__init__()
        check_ranges("ActivationMaps", input_size, share=share, threshold=threshold)
        self.in_channels, self.input_size = in_channels, input_size
        self.share, self.threshold = share, threshold
        self.background = known_background(background, num_classes)
        self.num_labels = num_classes - (self.background is not None)
        self.encoder = build_encoder(encoder, in_channels, width, output_stride)
        if stages:
            keep_stages(layered(self.encoder, encoder), stages)
        self.stride = self.encoder.strides[-1]
        self.start = places(self.encoder)[self.stride]
        self.score = nn.Conv2d(self.encoder.channels[-1], self.num_labels, kernel_size=1)
        self.register_buffer("black", torch.zeros(in_channels))
        initialize_he(self)

    def classify(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L"]:
        """Return, for each label, the logit of its being in the image."""
        return self.cells(image).mean((-2, -1))

    def activation_maps(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L H W"]:
        """Return where the classifier sees each label: the values whose mean `classify` returns, enlarged."""
        return self._enlarged(self.cells(image), image)

    def cells(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L h w"]:
        """Return every label's score in every cell of the image as it is seen."""
        check_image(image, self.in_channels)
        seen = to_square(image, self.black, self.input_size) if self.input_size else image
        scores: Tensor = self.score(self.encoder(seen)[-1])
        return scores

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return log-probabilities for an image of any size: relative maps, with the background's `share` beside them.

        In training mode the scores themselves, with 0 for the background, so that masks could teach them; the recipe
        trains `classify` instead.
        """
        cells = self.cells(image)
        if self.training:
            return self._beside(self._enlarged(cells, image), 0.0)
        found = identify(cells.mean((-2, -1)), self.threshold).to(cells.dtype)
        highest = cells.amax((-2, -1), keepdim=True).clamp(min=HIGHEST)
        relative = self._enlarged(cells / highest, image)
        if self.background is None:  # the found labels share the pixels, also where each of them is unlikely
            shares = relative.masked_fill(found[..., None, None] == 0, -torch.inf).softmax(1)
        else:
            shares = self._beside(relative * found[..., None, None], self.share)
        shares = shares.clamp(min=LEAST)
        return (shares / shares.sum(1, keepdim=True)).log()

    def _beside(self, labels: Float[Tensor, "N L H W"], background: float) -> Float[Tensor, "N K H W"]:
        """Put the background's value in its place, if there is one."""
        if self.background is None:
            return labels
        behind = torch.full_like(labels[:, :1], background)
        return torch.cat([labels[:, : self.background], behind, labels[:, self.background :]], 1)

    def _enlarged(self, cells: Float[Tensor, "N L h w"], image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L H W"]:
        size = (image.shape[-2], image.shape[-1])
        if not self.input_size:
            return enlarge(cells, self.stride, self.start, size)
        square = enlarge(cells, self.stride, self.start, (self.input_size, self.input_size))
        return from_square(square, size)


def layered(encoder: Encoder, name: str) -> Layered:
    """Return the encoder, if layers can be left out of it."""
    if not isinstance(encoder, Layered):
        raise UsageError(f"ActivationMaps: expected one of our encoders to cut, got {name}. Leave `stages` at 0.")
    return encoder
