"""CRFs at the end of prediction: of all classes at once, or of each label by itself."""

import numpy as np
import pytest
import torch
from torch import Tensor

from perpixel.crf.options import CrfOptions
from perpixel.data.normalization import Normalization
from perpixel.inference.options import Options
from perpixel.inference.per_label import RELEASED_CRF, predict_labels
from perpixel.inference.refining import refined_by_label
from perpixel.inference.segmenter import Segmenter
from perpixel.models.transfernet import TransferNet
from perpixel.ops.labels import aggregate, foreground

PLAIN = Normalization(mean=(128.0, 128.0, 128.0), std=(64.0, 64.0, 64.0))
COLORS = [(0, 0, 0), (200, 0, 0), (0, 200, 0)]


def pixels(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("background", [0, 2])
def test_without_iterations_nothing_moves_but_losers_lose_everything(background: int) -> None:
    """Each label's own probability is found again in the shares of all classes."""
    scores = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    together = aggregate(scores, background)[0].exp()
    expected = aggregate(torch.where(scores > 0.5, (1 + scores) / 2, 0), background)[0].exp()
    found = refined_by_label(together, pixels(6, 7), CrfOptions(iterations=0), background)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


class Halves(torch.nn.Module):
    """Two labels: one in the left half, another in the upper one; neither quite as far as the colours reach."""

    background = 0
    refined_by_label = True

    def classify(self, image: Tensor) -> Tensor:
        return torch.ones(1, 2)

    def segment(self, image: Tensor, labels: Tensor) -> Tensor:
        inside = torch.full((1, 1, *image.shape[-2:]), 0.1)
        if labels[0, 0]:
            inside[..., :9] = 0.7
        else:
            inside[..., :9, :] = 0.6
        return torch.cat([1 - inside, inside], 1).log()

    def forward(self, image: Tensor) -> Tensor:
        return aggregate(torch.cat([foreground(self.segment(image, label)) for label in torch.eye(2)[:, None]], 1), 0)


def test_a_crf_behind_such_a_network_is_the_release_s() -> None:
    """The pipeline, which knows probabilities of classes alone, labels as the program that goes label by label."""
    picture = np.zeros((24, 24, 3), np.uint8)
    picture[:, :12, 0], picture[:12, :, 1] = 200, 200
    crf = RELEASED_CRF.replace(bilateral=(10, 30, 5))
    segmenter = Segmenter(Halves(), list("abc"), COLORS, PLAIN)
    found, plain = segmenter.predict(picture, Options(crf=crf)).prediction, segmenter.predict(picture).prediction
    np.testing.assert_array_equal(found, predict_labels(Halves(), picture, PLAIN, crf=crf).prediction)
    assert (found != plain).any()
    assert set(np.unique(found)) == {0, 1, 2}


def test_transfernet_asks_for_it() -> None:
    assert TransferNet(3, width=1 / 16, input_size=16).refined_by_label
