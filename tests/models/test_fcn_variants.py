"""Two heads on one trunk; two trunks for one score; four channels."""

import pytest
import torch
from torch import nn

from perpixel.models.fcn import FCN8s, FCN16s, FCN32s
from perpixel.models.fcn_variants import LateFusionFCN, TwoHeadedFCN
from perpixel.training.optimizer import freeze


def scored(network: nn.Module) -> nn.Module:
    """Give score layers, zero at first, weights."""
    for name, layer in network.named_modules():
        if "score" in name and isinstance(layer, nn.Conv2d):
            layer.weight.data.normal_(std=0.1)
            layer.bias.data.normal_()
    return network.eval()


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("finest", "alone"), [(32, FCN32s), (16, FCN16s), (8, FCN8s)])
def test_two_heads_are_two_networks_on_one_trunk(finest: int, alone: type[FCN8s]) -> None:
    """siftflow-fcn*/net.py: score, skips and deconvolutions once for each task, on shared fc7, pool4 and pool3."""
    torch.manual_seed(0)
    both = scored(TwoHeadedFCN(5, width=0.01, padding=1, second_classes=3, finest=finest))
    image = torch.randn(1, 3, 45, 70)
    for head, part in enumerate((slice(0, 5), slice(5, 8))):
        single = alone(part.stop - part.start, width=0.01, padding=1).eval()
        state = both.network.state_dict()
        single.load_state_dict(
            {name: value[part] if name.startswith("score") else value for name, value in state.items()}
        )
        torch.testing.assert_close(both.training_logits(image)[head], single(image))
    assert torch.equal(both(image), both.training_logits(image)[0])


def test_each_task_teaches_only_its_own_head() -> None:
    network = TwoHeadedFCN(4, width=0.01, padding=1, second_classes=2).eval()
    _, geometry = network.training_logits(torch.randn(1, 3, 20, 20))
    geometry[:, 0].sum().backward()
    touched = network.network.score_fr.bias.grad.nonzero().flatten().tolist()
    assert touched == [4]
    assert network.loss_weights == (1.0, 1.0)


def test_siftflow_has_33_classes_and_3_geometries() -> None:
    """Score layers of fc7, pool4 and pool3, each with 36 outputs in all, on FCN-8s's trunk."""
    with torch.device("meta"):
        assert count(TwoHeadedFCN(33)) - count(FCN8s(21)) == (36 - 21) * (4096 + 1 + 512 + 1 + 256 + 1)


def test_other_strides_are_refused() -> None:
    with pytest.raises(ValueError, match="TwoHeadedFCN: expected finest 32, 16 or 8, got 4"):
        TwoHeadedFCN(2, finest=4)


def test_late_fusion_averages_two_networks() -> None:
    """nyud-fcn32s-color-hha/net.py: an Eltwise sum with coefficients 0.5 and 0.5, before the only deconvolution."""
    torch.manual_seed(0)
    network = scored(LateFusionFCN(5, width=0.01))
    image = torch.randn(2, 6, 40, 33)
    color, hha = network.color(image[:, :3]), network.hha(image[:, 3:])
    torch.testing.assert_close(network(image), (color + hha) / 2)
    assert not torch.allclose(color, hha)


def test_late_fusion_is_two_fcns_in_size() -> None:
    with torch.device("meta"):
        assert count(LateFusionFCN(40)) == 2 * count(FCN32s(40))


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (33, 31)])
def test_any_size_trains(size: tuple[int, int]) -> None:
    for network, channels in ((LateFusionFCN(3, width=0.01), 6), (TwoHeadedFCN(3, width=0.01), 3)):
        logits = scored(network).train()(torch.randn(1, channels, *size))
        assert logits.shape == (1, 3, *size)
        logits.square().mean().backward()
        assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_late_fusion_needs_both_images() -> None:
    with pytest.raises(ValueError, match=r"expected in_channels of more than 3 colours, got 3\. Give colour and HHA"):
        LateFusionFCN(40, in_channels=3)
    with pytest.raises(ValueError, match=r"expected an image of shape \(N, 6, H, W\), got \(1, 3, 8, 8\)"):
        LateFusionFCN(2, width=0.01)(torch.zeros(1, 3, 8, 8))


def test_early_fusion_is_a_fourth_channel() -> None:
    """nyud-fcn32s-color-d: conv1_1_bgrd has 64 x 3 x 3 weights more, and nothing else changes."""
    with torch.device("meta"):
        assert count(FCN32s(40, in_channels=4)) - count(FCN32s(40)) == 64 * 9


def test_in_fcn_32s_fixed_only_the_score_learns() -> None:
    """Table 3 of the paper, 45.4 mean IU: 4097 weights a class, and the trunk stays ImageNet's."""
    with torch.device("meta"):
        network = FCN32s(21)
    freeze(network, ("score_fr.*",))
    learned = [parameter.numel() for parameter in network.parameters() if parameter.requires_grad]
    assert sum(learned) == 21 * 4097 == 86_037
    narrow = scored(FCN32s(3, width=0.01)).train()
    freeze(narrow, ("score_fr.*",))
    narrow(torch.randn(1, 3, 30, 30)).square().sum().backward()
    assert [name for name, parameter in narrow.named_parameters() if parameter.grad is not None] == [
        "score_fr.weight",
        "score_fr.bias",
    ]
