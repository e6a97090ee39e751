"""From one label for an image to a label's evidence everywhere: a classifier made fully convolutional.

    227 x 227 -> map 6 x 6   -> fc6 sees all of it      -> 1 x 1 x 1000     "tabby cat"
    500 x 500 -> map 14 x 14 -> fc6 as a 6 x 6 kernel   -> 9 x 9 x 1000     where the tabby cat is

A fully connected layer over a map of h x w is a convolution with a kernel of h x w: the numbers are the same, in the
same order. A network that ends in an average needs no kernel: its last layer, as a 1 x 1 convolution, scores every
element, and the average of the scores is the classifier's logit.

Element i of a heatmap shows what is around pixel `start` + `stride`·i; `spread` puts it there.

Source: Shelhamer, Long, Darrell, "FCN", CVPR 2015, arXiv:1411.4038, Sec. 3.1; for averages, what the paper does with
    GoogLeNet (Sec. 4.1), and Lin et al., "Network in Network", arXiv:1312.4400, Sec. 3.2.
Differs: an image too small for fc6 is surrounded by zeros, the mean colour, up to the size of training.
Letters: N batch, C channels, K classes, H W pixels, h w elements of a heatmap.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.classifier import Classifier
from perpixel.encoders.heads import FullyConnected
from perpixel.ops.receptive_field import Field, Layer, after


class Convolutional(nn.Module):
    """A classifier that looks everywhere. `convolutional` makes it.

    Args:
        classifier: Its weights are shared, not copied: train one, and the other has learned.

    Attributes:
        field: What an element of the heatmaps sees, and where it lies.
        smallest: Side to which smaller images are padded, in pixels.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.encoder = classifier.encoder
        head = classifier.head
        if isinstance(head, FullyConnected):
            self.head: nn.Module = ConvolutionalHead(head)
            self.field = after(self.encoder.field, Layer(kernel_size=head.side))
            self.smallest = classifier.image_size
        else:
            self.head = nn.Sequential(head.dropout, as_convolution(head.last, side=1))
            self.field = self.encoder.field
            self.smallest = 1

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        """Return every class's heatmap: logits, for an image of any size."""
        left, right, above, below = margins(image.shape[-2], image.shape[-1], self.smallest)
        padded = functional.pad(image, (left, right, above, below)) if left + right + above + below else image
        heatmaps: Tensor = self.head(self.encoder(padded)[-1])
        return heatmaps

    def spread(self, heatmaps: Float[Tensor, "N K h w"], image_size: tuple[int, int]) -> Float[Tensor, "N K H W"]:
        """Put heatmaps over the image they came from: interpolated between elements, constant beyond the last.

        Args:
            heatmaps: As `forward` returned them.
            image_size: (H, W) of the image that `forward` got.
        """
        left, _, above, _ = margins(*image_size, self.smallest)
        rows = interpolation(image_size[0], heatmaps.shape[-2], self.field, above).to(heatmaps)
        columns = interpolation(image_size[1], heatmaps.shape[-1], self.field, left).to(heatmaps)
        return rows @ heatmaps @ columns.T


class ConvolutionalHead(nn.Module):
    """fc6, fc7 and fc8 as convolutions, under their own names.

    Args:
        head: The fully connected layers, whose weights are shared.
    """

    def __init__(self, head: FullyConnected) -> None:
        super().__init__()
        self.fc6 = as_convolution(head.fc6, head.side)
        self.fc7 = as_convolution(head.fc7, side=1)
        self.fc8 = as_convolution(head.fc8, side=1)
        self.dropout = head.dropout
        self.dropout_first = head.dropout_first

    def forward(self, features: Float[Tensor, "N C _ _"]) -> Float[Tensor, "N K h w"]:
        """Return logits wherever fc6 fits."""
        hidden = features
        for layer in (self.fc6, self.fc7):
            hidden = layer(self.dropout(hidden)).relu() if self.dropout_first else self.dropout(layer(hidden).relu())
        logits: Tensor = self.fc8(hidden)
        return logits


def convolutional(classifier: Classifier) -> Convolutional:
    """Make a classifier fully convolutional.

    Args:
        classifier: Any of `encoders.classifier.build_classifier`'s; its weights are shared, not copied.

    Returns: A module, image (N, C, H, W) -> heatmaps (N, K, h, w), for any H and W from 1 up. An image of the size
        of training gives, for fully connected heads, one element: the classifier's logits.
    """
    return Convolutional(classifier)


def as_convolution(linear: nn.Linear, side: int) -> nn.Conv2d:
    """Return a fully connected layer over maps of `side` x `side` as a convolution on the same memory."""
    channels = linear.in_features // side**2
    with torch.device("meta"):
        convolution = nn.Conv2d(channels, linear.out_features, kernel_size=side)
    weight = linear.weight.detach().view(convolution.weight.shape)
    convolution.weight = nn.Parameter(weight, requires_grad=linear.weight.requires_grad)
    convolution.bias = linear.bias
    return convolution


def margins(height: int, width: int, smallest: int) -> tuple[int, int, int, int]:
    """Return how much to add left, right, above and below, so that no side is below `smallest`."""
    across, down = max(0, smallest - width), max(0, smallest - height)
    return across // 2, across - across // 2, down // 2, down - down // 2


def interpolation(length: int, elements: int, field: Field, margin: int) -> Float[Tensor, "length elements"]:
    """Return the matrix that takes elements at their places to every pixel.

    Args:
        length: Pixels of the image.
        elements: Of the heatmap.
        field: Where they lie in the padded image.
        margin: Pixels that were added before the image.
    """
    matrix = torch.zeros(length, elements, dtype=torch.float64)
    for pixel in range(length):
        place = min(max((pixel + margin - field.start) / field.stride, 0.0), elements - 1.0)
        below = min(math.floor(place), max(elements - 2, 0))
        matrix[pixel, below] = 1 - (place - below)
        if elements > 1:
            matrix[pixel, below + 1] = place - below
    return matrix
