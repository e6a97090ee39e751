"""The objective: what a network predicts or is trained on, against a target of the right size."""

import pytest
import torch
from torch import Tensor, nn

from perpixel.data.masks import IGNORE
from perpixel.errors import UsageError
from perpixel.losses.bootstrapped import bootstrapped_cross_entropy
from perpixel.losses.border import border_weights
from perpixel.losses.cross_entropy import cross_entropy
from perpixel.losses.weighted import weighted_cross_entropy
from perpixel.training.objective import Objective, group_target, shrink_target
from perpixel.training.recipe import Bootstrapped, BorderWeighted
from tests.tiny import TinyNet, tiny_recipe


class Supervised(nn.Module):
    """Predicts at full size; is trained there and at an eighth, on K classes and on 2 groups of them."""

    loss_weights = (1.0, 0.5, 2.0)

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1, stride=8)
        self.grouped = nn.Conv2d(3, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.fine(image)
        return logits

    def training_logits(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.fine(image), self.coarse(image), self.grouped(image)


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    target = torch.randint(3, (2, 17, 25))
    target[0, :3] = IGNORE
    return torch.randn(2, 3, 17, 25), target


def test_a_plain_network_is_trained_on_what_it_predicts(batch: tuple[Tensor, Tensor]) -> None:
    image, target = batch
    network = TinyNet().eval()
    weights = torch.tensor([1.0, 2.0, 0.5])
    found = Objective(network, tiny_recipe(loss_normalization="weight"), weights)(image, target)
    assert torch.equal(found, cross_entropy(network(image), target, weights, "weight"))


def test_several_outputs_add_by_their_weights_each_at_its_own_size(batch: tuple[Tensor, Tensor]) -> None:
    image, target = batch
    network = Supervised()
    found = Objective(network, tiny_recipe(label_groups=(0, 1, 1)))(image, target)
    fine, coarse, grouped = network.training_logits(image)
    pairs = (target != IGNORE) & (target > 0)
    expected = (
        cross_entropy(fine, target)
        + 0.5 * cross_entropy(coarse, target[:, ::8, ::8])
        + 2.0 * cross_entropy(grouped, torch.where(target == IGNORE, IGNORE, pairs.long()))
    )
    torch.testing.assert_close(found, expected)


def test_a_recipe_may_weigh_otherwise_and_let_auxiliaries_fade(batch: tuple[Tensor, Tensor]) -> None:
    image, target = batch
    network = Supervised()
    objective = Objective(network, tiny_recipe(loss_weights=(2.0, 1.0, 0.0)))
    objective.auxiliary = 0.1
    fine, coarse, _ = network.training_logits(image)
    expected = 2.0 * cross_entropy(fine, target) + 0.1 * cross_entropy(coarse, target[:, ::8, ::8])
    torch.testing.assert_close(objective(image, target), expected)


def test_as_many_weights_as_outputs_are_asked_for(batch: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(UsageError, match="loss_weights: expected 3 values"):
        Objective(Supervised(), tiny_recipe(loss_weights=(1.0,)))(*batch)


@pytest.mark.parametrize("groups", [(), (0, 1), (0, 1, 2)])
def test_an_output_that_scores_groups_asks_which_class_is_in_which(
    batch: tuple[Tensor, Tensor], groups: tuple[int, ...]
) -> None:
    with pytest.raises(UsageError, match="label_groups: expected 3 values from 0 to 1"):
        Objective(Supervised(), tiny_recipe(label_groups=groups))(*batch)


def test_the_worst_pixels_alone_can_count(batch: tuple[Tensor, Tensor]) -> None:
    image, target = batch
    network = TinyNet().eval()
    found = Objective(network, tiny_recipe(loss=Bootstrapped(pixels=40)))(image, target)
    assert torch.equal(found, bootstrapped_cross_entropy(network(image), target, 40))


def test_borders_between_objects_can_count_more(batch: tuple[Tensor, Tensor]) -> None:
    """U-Net, Eq. 2: the classes' weights are part of w(x), and not counted twice."""
    image, target = batch
    network, weights = TinyNet().eval(), torch.tensor([1.0, 2.0, 0.5])
    found = Objective(network, tiny_recipe(loss=BorderWeighted(weight=7.0, std=3.0)), weights)(image, target)
    expected = weighted_cross_entropy(network(image), target, border_weights(target, weights, 7.0, 3.0))
    assert torch.equal(found, expected)
    assert float(found.detach()) > float(cross_entropy(network(image), target, weights).detach())


def test_half_of_the_loss_can_be_drawn_again_in_each_iteration(batch: tuple[Tensor, Tensor]) -> None:
    image, target = batch
    objective = Objective(TinyNet().eval(), tiny_recipe(loss_sampling=0.5, loss_normalization="sum"))
    torch.manual_seed(5)
    one, other = objective(image, target).item(), objective(image, target).item()
    torch.manual_seed(5)
    assert one == objective(image, target).item()
    assert one != other


@pytest.mark.parametrize(("source", "size"), [(321, 41), (321, 21), (513, 65), (33, 5)])
def test_targets_shrink_as_deeplabs(source: int, size: int) -> None:
    """321 = 8·40 + 1: pixels 0, 8, …, 320 (DeepLab v1, train.prototxt, label_shrink; v2 shrinks by 16 too)."""
    step = (source - 1) // (size - 1)
    target = torch.randint(21, (1, source, source))
    assert torch.equal(shrink_target(target, (size, size)), target[:, ::step, ::step])


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (40, 29)])
def test_shrinking_makes_no_new_ids(size: tuple[int, int]) -> None:
    """Interpolated ids would be classes that nobody labelled."""
    target = torch.where(torch.rand(1, 31, 57) < 0.5, 3, IGNORE)
    shrunk = shrink_target(target, size)
    assert shrunk.shape[-2:] == size
    assert set(shrunk.unique().tolist()) <= {3, IGNORE}


def test_groups_keep_what_is_ignored() -> None:
    target = torch.tensor([[[0, 1, 2, IGNORE]]])
    assert group_target(target, torch.tensor([1, 0, 1])).tolist() == [[[1, 0, 1, IGNORE]]]
