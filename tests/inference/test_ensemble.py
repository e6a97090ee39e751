"""DeconvNet's ensemble with FCN-8s."""

import numpy as np
import pytest
import torch

from perpixel.errors import UsageError
from perpixel.inference.ensemble import join_networks, predict_together
from perpixel.inference.proposals import Proposals
from tests.labelled import draw, segmenter


def test_the_papers_ensemble_is_the_mean_of_probabilities() -> None:
    """ICCV 2015, Sec. 5.2."""
    one, other = torch.tensor([0.0, np.log(3)]), torch.tensor([0.0, 0.0])
    joined = join_networks(one[:, None, None], other[:, None, None], "mean")
    assert joined.flatten().tolist() == pytest.approx([3 / 8, 5 / 8])


def test_the_released_ensemble_is_the_softmax_of_the_product_of_scores_above_zero() -> None:
    """HyeonwooNoh/DeconvNet, inference/generate_EDeconvNet_CRF_results.m."""
    one, other = torch.tensor([2.0, 3.0, -4.0]), torch.tensor([0.5, -1.0, -2.0])
    joined = join_networks(one[:, None, None], other[:, None, None])
    assert joined.flatten().tolist() == pytest.approx(torch.tensor([1.0, 0.0, 0.0]).softmax(0).tolist())


def test_two_networks_label_an_image_together() -> None:
    pixels, target = draw(0)
    for method in ("mean", "product"):
        together = predict_together(segmenter(), segmenter(), pixels, Proposals(side=16), method)  # type: ignore[arg-type]
        assert torch.allclose(together.sum(0), torch.ones(12, 16))
        assert np.array_equal(together.argmax(0).numpy(), target)


def test_what_cannot_be_joined_is_refused() -> None:
    with pytest.raises(UsageError, match="expected scores of one shape"):
        join_networks(torch.zeros(2, 4, 4), torch.zeros(3, 4, 4))
    with pytest.raises(UsageError, match="expected mean or product, got 'max'"):
        join_networks(torch.zeros(2, 4, 4), torch.zeros(2, 4, 4), "max")  # type: ignore[arg-type]
    other = segmenter()
    other.classes = ("red", "blue", "green")
    with pytest.raises(UsageError, match="two networks of the same classes"):
        predict_together(segmenter(), other, draw(0)[0])
