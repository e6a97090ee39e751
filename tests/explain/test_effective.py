"""The part of its field that a network uses."""

import pytest
import torch
from torch import nn

from perpixel.explain.effective import effective_receptive_field, side
from perpixel.models.catalog import build


def chain(depth: int, kernel: int = 3) -> nn.Sequential:
    layers = [nn.Conv2d(1, 1, kernel, padding=kernel // 2, bias=False) for _ in range(depth)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1 / kernel**2)
    return nn.Sequential(*layers)


def deviation(energy: torch.Tensor) -> float:
    rows = energy.sum(1)
    places = torch.arange(len(rows), dtype=torch.float64)
    mean = (rows * places).sum()
    return float((rows * (places - mean) ** 2).sum().sqrt())


def test_it_stays_inside_the_theoretical_field_and_sums_to_one() -> None:
    torch.manual_seed(0)
    energy = effective_receptive_field(chain(4), (31, 41), samples=2)
    inside = energy[15 - 4 : 15 + 5, 20 - 4 : 20 + 5]
    assert energy.sum().item() == pytest.approx(1)
    assert inside.sum().item() == pytest.approx(1)
    assert (inside > 0).all()


def test_of_equal_weights_it_is_a_bell_as_wide_as_the_root_of_the_depth() -> None:
    """Luo et al., Theorem 1: n convolutions of equal weights, variance n (k² − 1) / 12; squaring halves it."""
    widths = [deviation(effective_receptive_field(chain(depth), (101, 101), samples=1)) for depth in (8, 32)]
    assert widths == pytest.approx([(depth * 8 / 12 / 2) ** 0.5 for depth in (8, 32)], rel=0.03)
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.03)


def test_a_fresh_network_uses_a_small_part_of_what_it_sees() -> None:
    torch.manual_seed(0)
    network = build("unet-same", 2, width=1 / 16)
    energy = effective_receptive_field(network, (224, 224), samples=2)
    assert side(energy) < 0.5 * 204


def test_the_place_can_be_chosen() -> None:
    energy = effective_receptive_field(chain(2), (20, 30), place=(4, 22), samples=1)
    assert torch.nonzero(energy == energy.max()).tolist() == [[4, 22]]


def test_side_is_that_of_the_smallest_square() -> None:
    energy = torch.zeros(21, 21)
    energy[8:13, 8:13] = 1
    assert (side(energy, 1.0), side(energy, 9 / 25), side(energy, 0.02)) == (5, 3, 1)


def test_an_output_that_depends_on_nothing_is_refused() -> None:
    network = nn.Conv2d(1, 1, 3)
    nn.init.zeros_(network.weight)
    with pytest.raises(ValueError, match="effective_receptive_field: expected an output that depends on the image"):
        effective_receptive_field(network, (8, 8))
