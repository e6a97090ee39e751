"""Monte Carlo dropout: means, variances, and what stays as it was."""

import pytest
import torch
from torch import Tensor, nn

from perpixel.inference.uncertainty import entropy, monte_carlo, sampling, summary, tile_seed
from perpixel.models.bayesian_segnet import BayesianSegNetBasic
from perpixel.models.segnet import SegNetBasic
from tests.tiny import TinyNet


@pytest.fixture
def network() -> BayesianSegNetBasic:
    torch.manual_seed(0)
    return BayesianSegNetBasic(3, width=0.125).train()


IMAGE = torch.linspace(0, 255, 2 * 3 * 21 * 26).reshape(2, 3, 21, 26)


class Coin(nn.Module):
    """Logits of 0 or of 40, one flip for each pixel and pass."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, image: Tensor) -> Tensor:
        """Return two classes."""
        flip = self.dropout(torch.ones_like(image[:, :1]))
        return torch.cat([40 * flip - 40, 40 - 40 * flip], 1)


def test_mean_and_variance_are_those_of_the_passes(network: nn.Module) -> None:
    found = monte_carlo(network, IMAGE, samples=7, seed=5)
    with sampling(network), torch.inference_mode():
        torch.manual_seed(5)
        passes = torch.stack([network(IMAGE).softmax(1) for _ in range(7)]).double()
    torch.testing.assert_close(found.mean.double(), passes.mean(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.variance.double(), passes.var(0, unbiased=False), atol=1e-6, rtol=0)
    assert found.variance.max() > 1e-4
    assert torch.equal(found.overall, found.variance.mean(1))


def test_a_fair_coin_has_the_largest_variance_there_is() -> None:
    """A probability that is 0 or 1 by a coin has mean 1/2 and variance 1/4."""
    found = monte_carlo(Coin(), torch.zeros(1, 3, 40, 40), samples=400, seed=0)
    assert found.mean.mean().item() == pytest.approx(0.5, abs=0.01)
    assert found.variance.mean().item() == pytest.approx(0.25, abs=0.005)
    assert 0 <= found.variance.min() <= found.variance.max() <= 0.25 + 1e-6  # rounding


def test_mutual_information_is_what_a_fair_coin_hides_and_entropy_all_of_it() -> None:
    """Every pass is sure, their mean is not: one bit, ln 2 nats, of disagreement and nothing else."""
    found = monte_carlo(Coin(), torch.zeros(1, 3, 40, 40), samples=400, seed=0)
    torch.testing.assert_close(found.entropy.mean(), torch.tensor(2.0).log(), atol=0.01, rtol=0)
    torch.testing.assert_close(found.mutual_information, found.entropy, atol=1e-4, rtol=0)


def test_passes_that_agree_on_their_doubt_share_no_information() -> None:
    halves = [torch.full((1, 2, 3, 4), 0.5) for _ in range(3)]
    found = summary(halves)
    torch.testing.assert_close(found.entropy, torch.full((1, 3, 4), 2.0).log())
    assert not found.mutual_information.any()


def test_entropy_is_bounded_and_zero_where_a_class_is_certain() -> None:
    assert entropy(torch.eye(4).view(1, 4, 4, 1)).sum() == 0
    torch.testing.assert_close(entropy(torch.full((1, 8, 1, 1), 1 / 8)).squeeze(), torch.tensor(8.0).log())


def test_every_tile_has_a_seed_of_its_own_that_the_generator_can_tell() -> None:
    seeds = {tile_seed(seed, (row, column)) for seed in range(3) for row in (0, 32, 2**33) for column in (0, 32)}
    assert len(seeds) == 18
    assert max(seeds) < 2**32


def test_probabilities_sum_to_one(network: nn.Module) -> None:
    total = monte_carlo(network, IMAGE, samples=4).mean.sum(1)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_one_pass_has_no_spread(network: nn.Module) -> None:
    assert not monte_carlo(network, IMAGE, samples=1).variance.any()


def test_a_seed_repeats_the_draw_and_leaves_the_callers_alone(network: nn.Module) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = monte_carlo(network, IMAGE, samples=2, seed=9)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(monte_carlo(network, IMAGE, samples=2, seed=9).mean, first.mean)
    assert not torch.equal(monte_carlo(network, IMAGE, samples=2, seed=10).mean, first.mean)


def test_only_dropout_is_random_and_modes_come_back(network: nn.Module) -> None:
    """Statistics of batch normalisation are neither taken from the batch nor moved by it."""
    network.decoder.eval()
    modes = [layer.training for layer in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with sampling(network):
        for layer in network.modules():
            assert layer.training == isinstance(layer, nn.Dropout)
        network(IMAGE)
    assert [layer.training for layer in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_modes_come_back_after_an_error(network: nn.Module) -> None:
    with pytest.raises(RuntimeError, match="interrupted"), sampling(network):
        raise RuntimeError("interrupted")
    assert all(layer.training for layer in network.modules())


def test_any_network_with_dropout_will_do() -> None:
    assert monte_carlo(TinyNet(), torch.randn(1, 3, 8, 8), samples=5).variance.any()


def test_networks_without_dropout_are_refused() -> None:
    with pytest.raises(ValueError, match="sampling: expected a network with dropout, got SegNetBasic without"):
        monte_carlo(SegNetBasic(2, width=0.01), IMAGE)
    with pytest.raises(ValueError, match="expected a network with dropout"):
        monte_carlo(BayesianSegNetBasic(2, width=0.01, dropout="none"), IMAGE)


def test_no_samples_are_refused(network: nn.Module) -> None:
    with pytest.raises(ValueError, match="monte_carlo: expected at least 1 sample, got 0"):
        monte_carlo(network, IMAGE, samples=0)
