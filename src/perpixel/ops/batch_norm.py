"""Batch normalisation that also accepts a batch with one value in each channel."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d`, except that one value per channel does not raise in training.

    A variance cannot be taken from a single value: a batch of one image, small enough that
    its deepest feature map is 1 x 1. There the running statistics are used, as in evaluation,
    and they are not updated. State dicts are interchangeable with torch's own layer.
    """

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Normalise by the batch, or by the running statistics where the batch has none."""
        values_per_channel = input.shape[0] * input.shape[2] * input.shape[3]
        if self.training and values_per_channel == 1:
            return functional.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                training=False,
                eps=self.eps,
            )
        return super().forward(input)
