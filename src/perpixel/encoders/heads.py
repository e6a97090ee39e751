"""What a classifier puts on its trunk: hidden fully connected layers, or the average of the map.

    fully connected    map -> fc6 -> fc7 -> fc8 -> logits      AlexNet, VGG; the map's size is fixed
    averaged           map -> mean -> fc -> logits             GoogLeNet, ResNet; any size
    auxiliary          map -> average -> 1x1 -> fc -> fc       GoogLeNet's two, of training only

Layers carry the names of each release: fc6 ... fc8, fc1000, loss3.classifier.

Letters: N batch, C channels, K classes, h w elements of the map.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.googlenet import ConvolutionBN


class FullyConnected(nn.Module):
    """fc6, fc7 and fc8, the first two with ReLU and dropout.

    Args:
        channels: C of the map.
        side: h and w of the map.
        hidden: Width of fc6 and fc7; 4096.
        num_classes: K.
        dropout_first: Drop before fc6 and fc7, as torchvision's AlexNet does, not after.
    """

    def __init__(self, channels: int, side: int, hidden: int, num_classes: int, dropout_first: bool = False) -> None:
        super().__init__()
        self.channels, self.side, self.dropout_first = channels, side, dropout_first
        self.fc6 = nn.Linear(channels * side * side, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, num_classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N K"]:
        """Return logits.

        Raises:
            ValueError: The map is not `side` x `side`.
        """
        if features.shape[-2] != self.side or features.shape[-1] != self.side:
            raise ValueError(
                f"Classifier: expected an image whose last map is {self.side} x {self.side}, got "
                f"{features.shape[-2]} x {features.shape[-1]}. Resize the image to `image_size`, or make the "
                "network convolutional: encoders.convolutional.convolutional(classifier) takes any size."
            )
        hidden = features.flatten(1)
        for layer in (self.fc6, self.fc7):
            hidden = layer(self.dropout(hidden)).relu() if self.dropout_first else self.dropout(layer(hidden).relu())
        logits: Tensor = self.fc8(hidden)
        return logits


class Averaged(nn.Module):
    """The mean over the map, and one fully connected layer.

    Args:
        channels: C of the map.
        num_classes: K.
        dropout: Probability of dropping an averaged channel.
        name: Of the layer in the release; a dot nests.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float = 0.0, name: str = "fc") -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        *outer, inner = name.split(".")
        holder: nn.Module = self
        for part in outer:
            holder.add_module(part, nn.Module())
            holder = holder.get_submodule(part)
        holder.add_module(inner, nn.Linear(channels, num_classes))
        self.name = name

    @property
    def last(self) -> nn.Linear:
        """The fully connected layer."""
        layer = self.get_submodule(self.name)
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N K"]:
        """Return logits."""
        logits: Tensor = self.last(self.dropout(features.mean((-2, -1))))
        return logits


class Auxiliary(nn.Module):
    """GoogLeNet's auxiliary classifier, as released in Caffe.

    Args:
        channels: C of the map; 4a's or 4d's.
        num_classes: K.
        widths: Of the 1 x 1 convolution and of the hidden layer; 128 and 1024.

    Source: BVLC/caffe, models/bvlc_googlenet/train_val.prototxt, loss1/* and loss2/*.
    """

    def __init__(self, channels: int, num_classes: int, widths: tuple[int, int] = (128, 1024)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, widths[0], kernel_size=1)
        self.fc = nn.Linear(widths[0] * 16, widths[1])
        self.classifier = nn.Linear(widths[1], num_classes)
        self.dropout = nn.Dropout(0.7)

    def forward(self, features: Float[Tensor, "N C 14 14"]) -> Float[Tensor, "N K"]:
        """Return logits; the map is 14 x 14, as at 224 pixels."""
        pooled = functional.avg_pool2d(features, kernel_size=5, stride=3)
        hidden = self.fc(self.conv(pooled).relu().flatten(1)).relu()
        logits: Tensor = self.classifier(self.dropout(hidden))
        return logits


class AuxiliaryBN(nn.Module):
    """GoogLeNet's auxiliary classifier, as in torchvision: batch normalised, for maps of any size.

    Args:
        channels: C of the map; 4a's or 4d's.
        num_classes: K.
        widths: Of the 1 x 1 convolution and of the hidden layer; 128 and 1024.
    """

    def __init__(self, channels: int, num_classes: int, widths: tuple[int, int] = (128, 1024)) -> None:
        super().__init__()
        self.conv = ConvolutionBN(channels, widths[0], kernel_size=1)
        self.fc1 = nn.Linear(widths[0] * 16, widths[1])
        self.fc2 = nn.Linear(widths[1], num_classes)
        self.dropout = nn.Dropout(0.7)

    def forward(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N K"]:
        """Return logits."""
        pooled = functional.adaptive_avg_pool2d(features, (4, 4))
        hidden = self.fc1(self.conv(pooled).flatten(1)).relu()
        logits: Tensor = self.fc2(self.dropout(hidden))
        return logits
