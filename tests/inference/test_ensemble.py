"""DeconvNet's ensemble with FCN-8s."""

import numpy as np
import pytest
import torch
from torch import nn

from perpixel.errors import UsageError
from perpixel.inference.ensemble import Ensemble, Method, join_networks, predict_together
from perpixel.inference.options import Options
from perpixel.inference.proposals import Proposals
from perpixel.inference.segmenter import Segmenter
from tests.labelled import draw, network, segmenter


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


def mistaken() -> Segmenter:
    """Return a network that takes green for blue and the reverse, and is not sure."""
    layer = network()
    with torch.no_grad():
        layer.weight.copy_(layer.weight[[0, 2, 1]] / 3)
    return segmenter(layer)


@pytest.mark.parametrize("method", ["mean", "product"])
@pytest.mark.parametrize("proposals", [None, Proposals(side=16, aggregate="sum")])
def test_the_pipeline_gives_what_python_gives(method: Method, proposals: Proposals | None) -> None:
    pixels, _ = draw(0)
    options = Options(proposals=proposals, ensemble=Ensemble("other", method))
    joined = segmenter().join(mistaken())
    joined.check(options)
    together = predict_together(segmenter(), mistaken(), pixels, proposals, method).numpy()
    assert np.array_equal(joined.probabilities(pixels, options), together)
    assert not np.allclose(together, segmenter().probabilities(pixels, Options(proposals=proposals)), atol=0.01)


def test_tiles_of_an_ensemble_give_what_the_whole_image_gives() -> None:
    pixels, _ = draw(0, (40, 50))
    ensemble = Ensemble("other", "mean")
    whole = segmenter().join(mistaken()).probabilities(pixels, Options(ensemble=ensemble))
    tiled = Options(ensemble=ensemble, tile=(20, 24), overlap=4)
    assert np.allclose(segmenter().join(mistaken()).probabilities(pixels, tiled), whole, atol=1e-6)


def test_an_ensemble_without_a_second_network_or_with_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a second network"):
        segmenter().check(Options(ensemble=Ensemble("other")))
    other = segmenter()
    other.bits = 16
    with pytest.raises(UsageError, match="3 channels and 8 bits, got 3, 3 and 16"):
        segmenter().join(other)
    with pytest.raises(UsageError, match="--ensemble-by: expected mean or product, got 'max'"):
        Ensemble("other", "max")  # type: ignore[arg-type]


def test_what_gives_no_scores_is_not_multiplied() -> None:
    """Log-probabilities are never above 0: every product would be 0."""

    class ByLabel(nn.Conv2d):
        def classify(self) -> None: ...

    joined = segmenter().join(segmenter(ByLabel(3, 3, 1)))
    joined.check(Options(ensemble=Ensemble("other", "mean")))
    with pytest.raises(UsageError, match="label by label"):
        joined.check(Options(ensemble=Ensemble("other", "product")))
