r"""CRF-RNN: any network and the fully connected CRF behind it, one network trained end to end.

    image -> network -> logits ---> DenseCrf -> logits
       \                              ^
        \-> the pixels it came from --+      value = image x std + mean

Source: Zheng et al., "Conditional Random Fields as Recurrent Neural Networks", ICCV 2015, arXiv:1502.03240. Theirs is
    FCN-8s with the layer behind it: 134,489,780 + 3 · 21² parameters, deconvolutions counted (torrvision/crfasrnn,
    TVG_CRFRNN_new_deploy.prototxt).
Differs: any network. Which learning rates the two parts have is left to the optimiser; the paper's layer learns 10⁴
    times (weights) and 10³ times (compatibility) as fast as its network.
Letters: N batch, C channels, K classes, H W pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from perpixel.crf.layer import DenseCrf
from perpixel.data.normalization import Normalization


class CrfRnn(nn.Module):
    """Segment an image with a network, and refine with a CRF that learns beside it.

    Args:
        network: image (N, C, H, W) -> logits (N, K, H, W), at the image's size; trained or not.
        crf: The layer behind it; its number of classes is the network's.
        normalization: What made the images from pixels; the CRF looks at the pixels. It is kept in the state dict.

    Source: Zheng et al., ICCV 2015, Sec. 5 and 6: the network is trained first, then both together.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, crf: DenseCrf, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self.crf = crf
        self.order = normalization.order
        step = -1 if self.order == "bgr" else 1
        self.register_buffer("mean", torch.tensor(normalization.mean[::step]).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(normalization.std[::step]).view(-1, 1, 1))

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Return refined logits for an image as the network takes it."""
        logits: Tensor = self.crf(self.network(image), self.pixels(image))
        return logits

    def pixels(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Undo the normalisation: return stored values, in RGB order."""
        pixels = image.detach().to(self.mean.dtype) * self.std + self.mean
        return pixels.flip(1) if self.order == "bgr" else pixels
