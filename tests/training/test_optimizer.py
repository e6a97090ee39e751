"""Caffe's rules for biases, read off the optimiser's groups."""

import pytest
import torch
from torch import nn

from perpixel.errors import UsageError
from perpixel.recipes.fcn import FCN32S
from perpixel.recipes.segnet import SEGNET, SEGNET_BASIC
from perpixel.training.optimizer import freeze, make_optimizer, set_rate
from perpixel.training.recipe import SGD, AdamW


def small() -> nn.Sequential:
    frozen = nn.Conv2d(4, 4, 1)
    frozen.requires_grad_(False)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), frozen)


def rules(options: SGD | AdamW) -> dict[str, tuple[float, float]]:
    net = small()
    names = {id(p): name for name, p in net.named_parameters()}
    optimizer = make_optimizer(net, options)
    return {
        names[id(p)]: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
    }


def test_biases_learn_twice_as_fast_and_do_not_decay() -> None:
    """`lr_mult: 2, decay_mult: 0` in voc-fcn32s/train.prototxt."""
    options = FCN32S.optimizer
    assert isinstance(options, SGD)
    found = rules(options)
    assert found["0.weight"] == (1e-10, 5e-4)
    assert found["0.bias"] == (2e-10, 0.0)


def test_segnets_norms_decay_their_scale_only_and_basics_both() -> None:
    """segnet_train.prototxt gives BN `decay_mult: 1` and `0`; segnet_basic gives none, so 1 and 1."""
    assert isinstance(SEGNET.optimizer, SGD)
    assert isinstance(SEGNET_BASIC.optimizer, SGD)
    full, basic = rules(SEGNET.optimizer), rules(SEGNET_BASIC.optimizer)
    assert (full["1.weight"][1], full["1.bias"][1]) == (5e-4, 0.0)
    assert (basic["1.weight"][1], basic["1.bias"][1]) == (5e-4, 5e-4)
    assert full["1.bias"][0] == SEGNET.optimizer.learning_rate


def test_frozen_parameters_are_left_out() -> None:
    assert "2.weight" not in rules(AdamW())


def test_a_schedule_keeps_each_groups_share() -> None:
    optimizer = make_optimizer(small(), SGD(learning_rate=1.0, bias_rate=2.0))
    set_rate(optimizer, 0.1)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == [0.1, 0.2]


def test_momentum_and_decay_are_caffes() -> None:
    """V ← m·v + lr·(g + λ·w); w ← w − v: one step on a single weight, by hand."""
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(2.0)
    optimizer = make_optimizer(net, SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.5))
    for _ in range(2):
        optimizer.zero_grad()
        (net.weight * 3.0).sum().backward()
        optimizer.step()
    first = 2.0 - 0.1 * (3 + 0.5 * 2.0)
    second = first - (0.9 * 0.1 * (3 + 0.5 * 2.0) + 0.1 * (3 + 0.5 * first))
    torch.testing.assert_close(net.weight.detach(), torch.tensor([[second]]))


def test_named_layers_learn_faster_biases_included() -> None:
    """DeepLab's train.prototxt: fc8 has `lr_mult: 10` and `20`; the first pattern that fits decides."""
    found = rules(SGD(learning_rate=1.0, bias_rate=2.0, layer_rates={"0.*": 10.0, "*": 1.0}))
    assert (found["0.weight"][0], found["0.bias"][0]) == (10.0, 20.0)
    assert found["1.weight"][0] == 1.0


def test_only_the_named_layers_learn() -> None:
    """FCN-32s-fixed learns its last layer alone."""
    net = nn.ModuleDict({"body": nn.Conv2d(3, 4, 1), "score_fr": nn.Conv2d(4, 2, 1)})
    freeze(net, "classifier")
    assert [name for name, p in net.named_parameters() if p.requires_grad] == ["score_fr.weight", "score_fr.bias"]


def test_what_the_network_froze_itself_stays_frozen() -> None:
    net = small()
    freeze(net, ("*",))
    assert not net[2].weight.requires_grad
    freeze(net, "all")
    assert not net[2].weight.requires_grad


def test_a_name_that_fits_no_parameter_is_refused() -> None:
    with pytest.raises(UsageError, match=r"fc8\*, which fit none"):
        freeze(small(), ("fc8*",))


def test_caffes_momentum_keeps_the_rate_of_steps_under_way() -> None:
    """V ← m·V + lr·(g + λ·w); w ← w − V, with a rate that falls to a tenth, by hand."""
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(2.0)
    optimizer = make_optimizer(net, SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.5, momentum_keeps_rate=True))
    weight, velocity = 2.0, 0.0
    for rate in (0.1, 0.1, 0.01, 0.01, 0.005):
        set_rate(optimizer, rate)
        optimizer.zero_grad()
        (net.weight * 3.0).sum().backward()
        optimizer.step()
        velocity = 0.9 * velocity + rate * (3.0 + 0.5 * weight)
        weight -= velocity
        torch.testing.assert_close(net.weight.detach(), torch.tensor([[weight]]))


def test_caffes_momentum_goes_on_from_a_checkpoint() -> None:
    """The rate of the last step is the optimiser's own, and is stored with it."""
    options = SGD(learning_rate=0.1, momentum=0.9, momentum_keeps_rate=True)
    one, other = (make_optimizer(nn.Linear(2, 2), options) for _ in range(2))
    for rate in (0.1, 0.05):
        set_rate(one, rate)
    other.load_state_dict(one.state_dict())
    for optimizer in (one, other):
        set_rate(optimizer, 0.025)
    assert [group["momentum"] for group in one.param_groups] == [group["momentum"] for group in other.param_groups]
    assert other.param_groups[0]["momentum"] == 1.8
