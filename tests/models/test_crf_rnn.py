"""Any network with a CRF behind it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perpixel.crf.layer import DenseCrf
from perpixel.data.normalization import Normalization
from perpixel.models.catalog import build
from perpixel.models.crf_rnn import CrfRnn

NORMALIZATION = Normalization(mean=(110.0, 90.0, 120.0), std=(50.0, 60.0, 70.0))


def crf_rnn(order: str = "rgb") -> CrfRnn:
    torch.manual_seed(0)
    normalization = NORMALIZATION.model_copy(update={"order": order})
    return CrfRnn(build("unet-same", 3, width=1 / 16), DenseCrf(3, iterations=2), normalization)


def test_the_layer_adds_three_matrices() -> None:
    """torrvision/crfasrnn: 3 · 21² parameters beside FCN-8s."""
    with torch.device("meta"):
        network = build("fcn8s", 21)
        whole = CrfRnn(network, DenseCrf(21), NORMALIZATION)
    own = sum(parameter.numel() for parameter in network.parameters())
    assert sum(parameter.numel() for parameter in whole.parameters()) == own + 1323


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_crf_sees_the_pixels(order: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    network = crf_rnn(order)
    image = torch.from_numpy(NORMALIZATION.model_copy(update={"order": order}).apply(pixels))
    torch.testing.assert_close(
        network.pixels(image), torch.from_numpy(pixels).permute(0, 3, 1, 2).float(), atol=1e-3, rtol=0
    )


def test_it_is_the_network_and_then_the_layer() -> None:
    model, image = crf_rnn().eval(), torch.randn(1, 3, 13, 17)
    with torch.inference_mode():
        assert torch.equal(model(image), model.crf(model.network(image), image * model.std + model.mean))


def test_both_train_together() -> None:
    """Gradients pass through the CRF into the first convolution, and reach every parameter."""
    model = crf_rnn().train()
    image, target = torch.randn(2, 3, 16, 20), torch.randint(3, (2, 16, 20))
    nn.functional.cross_entropy(model(image), target).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_a_state_dict_holds_the_normalization() -> None:
    first, second = crf_rnn(), crf_rnn()
    second.mean.zero_()
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.mean, first.mean)


class Halves(nn.Module):
    """A network of one's own."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat((image.mean(1, keepdim=True), -image.mean(1, keepdim=True)), dim=1)


def test_any_network_stands_before_it() -> None:
    model = CrfRnn(Halves(), DenseCrf(2), NORMALIZATION)
    assert model(torch.randn(1, 3, 6, 5)).shape == (1, 2, 6, 5)
