"""FCN for two tasks at once, and for two images of one place.

    image -> conv1_1 ... fc7 --+-> scores of K classes   -> logits       two heads (SIFT Flow):
                               +-> scores of 3 geometries -> logits      what is it; sky, vertical or ground

    colour -> conv1_1 ... fc7 -> scores --x 1/2--+                       late fusion (NYUDv2):
                                                (+) -> x32 -> logits     colour, and depth as HHA: disparity,
    HHA    -> conv1_1 ... fc7 -> scores --x 1/2--+                       height above ground, angle with gravity

Early fusion needs nothing of its own: `FCN32s(num_classes, in_channels=4)` takes colour and depth as one image.

Source: Shelhamer, Long, Darrell, "Fully Convolutional Networks", CVPR 2015, arXiv:1411.4038, Sec. 5, and TPAMI 2017,
    arXiv:1605.06211; fcn.berkeleyvision.org, siftflow-fcn*/net.py and nyud-fcn32s-color-hha/net.py.
Differs: two heads with fixed deconvolutions never mix classes, so they are kept as one head with the outputs of
    both, cut apart at the end: the same weights, half the layers. Colour and HHA come as one image of six channels.
Letters: N batch, C channels, K classes, G geometries, H W pixels.
"""

from jaxtyping import Float
from torch import Tensor, nn

from perpixel.models.check import check_image
from perpixel.models.fcn import FCN8s, FCN16s, FCN32s, image_size

BY_STRIDE: dict[int, type[FCN32s] | type[FCN16s] | type[FCN8s]] = {32: FCN32s, 16: FCN16s, 8: FCN8s}


class TwoHeadedFCN(nn.Module):
    """Segment an image by class and by geometry, with two complete heads on one trunk.

    Both tasks are trained together: two losses, summed over pixels, of weight 1 each, never averaged. Each
    has its own argmax.

    Args:
        num_classes: K of the first task; SIFT Flow has 33.
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        padding: As in `FCN32s`.
        second_classes: G of the second task; SIFT Flow has 3: sky, horizontal and vertical.
        finest: Stride of the finest map that is scored: 32, 16 or 8, as in FCN-32s to FCN-8s.

    Attributes:
        loss_weights: Of the two tasks.

    Raises:
        ValueError: `finest` is none of the three.
    """

    loss_weights = (1.0, 1.0)

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        width: float = 1.0,
        padding: int = 100,
        second_classes: int = 3,
        finest: int = 8,
    ) -> None:
        super().__init__()
        if finest not in BY_STRIDE:
            raise ValueError(f"TwoHeadedFCN: expected finest 32, 16 or 8, got {finest}. 8 is the paper's best.")
        self.num_classes = num_classes
        self.network = BY_STRIDE[finest](num_classes + second_classes, in_channels, width, padding)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return the first task's logits for an image of any size."""
        return self.training_logits(image)[0]

    def training_logits(
        self, image: Float[Tensor, "N C H W"]
    ) -> tuple[Float[Tensor, "N K H W"], Float[Tensor, "N G H W"]]:
        """Return the logits of both tasks."""
        first, second = self.network(image).tensor_split((self.num_classes,), dim=1)
        return first, second


class LateFusionFCN(nn.Module):
    """Two FCN-32s, one for colour and one for HHA, whose scores are averaged before they are enlarged.

    Each half is an `FCN32s` with all its names: load the weights of one trained alone.

    Args:
        num_classes: K; NYUDv2 has 40, and no background. Its own list of names has a 41st line, for what is void.
        in_channels: Of both images together, colour first; 6.
        width: Multiplies the width of every hidden layer; 1 is the paper's network.
        padding: As in `FCN32s`.
        color_channels: How many of them are colour.

    Attributes:
        part_channels: Of each half, the channels that it sees: the first, and the one after the last.

    Raises:
        ValueError: No channel is left for one of the two.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 6,
        width: float = 1.0,
        padding: int = 100,
        color_channels: int = 3,
    ) -> None:
        super().__init__()
        if not 0 < color_channels < in_channels:
            raise ValueError(
                f"LateFusionFCN: expected in_channels of more than {color_channels} colours, got {in_channels}. "
                "Give colour and HHA as one image of 6 channels."
            )
        self.in_channels = in_channels
        self.color_channels = color_channels
        self.part_channels = {"color": (0, color_channels), "hha": (color_channels, in_channels)}
        self.color = FCN32s(num_classes, color_channels, width, padding)
        self.hha = FCN32s(num_classes, in_channels - color_channels, width, padding)

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return logits for an image of any size, colour in its first channels."""
        check_image(image, self.in_channels)
        color, hha = image.tensor_split((self.color_channels,), dim=1)
        scores = 0.5 * self.color.scores(color) + 0.5 * self.hha.scores(hha)
        return self.color.enlarge(scores, image_size(image))
