"""TransferNet_inference.m, label by label."""

import numpy as np
import pytest
import torch
from torch import Tensor

from perpixel.crf.options import CrfOptions
from perpixel.data.normalization import Normalization
from perpixel.errors import UsageError
from perpixel.inference.per_label import RELEASED_CRF, predict_labels
from perpixel.models.transfernet import TransferNet

PLAIN = Normalization(mean=(128.0, 128.0, 128.0), std=(64.0, 64.0, 64.0))


class Halves:
    """Three labels: the first in the left half, the second in the upper one, each with its own certainty."""

    def __init__(self, *beliefs: float, left: float = 0.9, upper: float = 0.8) -> None:
        self.beliefs, self.certain = beliefs, (left, upper, 0.4)

    def classify(self, image: Tensor) -> Tensor:
        return torch.logit(torch.tensor([self.beliefs])).expand(image.shape[0], -1)

    def segment(self, image: Tensor, labels: Tensor) -> Tensor:
        label, (height, width) = int(labels[0].argmax()), image.shape[-2:]
        inside = torch.full((1, 1, height, width), 0.01)
        where = [(slice(None), slice(width // 2)), (slice(height // 2), slice(None)), (slice(None), slice(None))][label]
        inside[0, 0][where] = self.certain[label]
        return torch.cat([1 - inside, inside], 1).log()


def pixels(height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_the_surest_label_wins_and_the_rest_is_background() -> None:
    found = predict_labels(Halves(0.7, 0.65, 0.1), pixels(), PLAIN, crf=None)
    assert found.labels == (0, 1)
    assert (found.prediction[:, :4] == 1).all()
    assert (found.prediction[:4, 4:] == 2).all()
    assert (found.prediction[4:, 4:] == 0).all()


def test_the_background_is_halved() -> None:
    """0.4 against 0.6 becomes 0.4 against 0.3: the label's."""
    found = predict_labels(Halves(0.1, 0.1, 0.9), pixels(), PLAIN, crf=None)
    assert (found.prediction == 3).all()
    np.testing.assert_allclose(found.maps, 0.4 / 0.7, rtol=1e-5)


@pytest.mark.parametrize(
    ("beliefs", "labels"), [((0.6, 0.59, 0.1), (0,)), ((0.2, 0.3, 0.1), (1,)), ((0.9, 0.9, 0.9), (0, 1, 2))]
)
def test_labels_from_six_tenths_are_there_or_else_the_likeliest(
    beliefs: tuple[float, ...], labels: tuple[int, ...]
) -> None:
    """run_inference.m: 0.6, and the argmax where none reaches it."""
    assert predict_labels(Halves(*beliefs), pixels(), PLAIN, crf=None).labels == labels


def test_the_crf_decides_where_a_label_is_and_not_how_sure() -> None:
    network, picture = Halves(0.9, 0.1, 0.1, left=0.45), np.zeros((16, 16, 3), np.uint8)
    picture[:, :12] = 200  # the object reaches farther than its map
    found = predict_labels(network, picture, PLAIN, crf=CrfOptions((10, 30, 5), None, 5))
    assert (found.scores[0] > 0).sum() != (found.maps[0] > 0.5).sum()
    assert np.isin(found.scores, [0, *np.unique(found.maps)]).all()
    assert CrfOptions(bilateral=(5, 20, 3), spatial=(3, 3), iterations=10) == RELEASED_CRF


def test_without_a_background_every_pixel_has_a_label() -> None:
    found = predict_labels(Halves(0.9, 0.9, 0.1), pixels(), PLAIN, background=None, crf=None)
    assert set(np.unique(found.prediction)) == {0, 1}


def test_known_labels_need_no_classifier() -> None:
    assert predict_labels(Halves(0.9, 0.1, 0.1), pixels(), PLAIN, crf=None, labels=[2]).labels == (2,)
    with pytest.raises(UsageError, match=r"expected labels from 0 to 2, got \[3\]"):
        predict_labels(Halves(0.9, 0.1, 0.1), pixels(), PLAIN, labels=[3])


def test_without_a_crf_it_labels_as_the_network_does() -> None:
    torch.manual_seed(0)
    options = {"input_size": 32, "feature_scale": 1.0, "batch_norm": True, "classifier": "averaged"}
    network = TransferNet(5, width=1 / 16, **options).eval()  # type: ignore[arg-type]
    picture = pixels(32, 32)
    found = predict_labels(network, picture, PLAIN, crf=None)
    with torch.inference_mode():
        logits = network(torch.from_numpy(PLAIN.apply(picture)).view(1, 3, 32, 32))
    np.testing.assert_array_equal(found.prediction, logits.argmax(1)[0].numpy())
