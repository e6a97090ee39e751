"""FCN: scores, skips and crops."""

import pytest
import torch
from torch.nn import functional

from perpixel.models.fcn import FCN8s, FCN16s, FCN32s, add_skip


def test_a_fresh_network_scores_every_class_zero() -> None:
    """The released nets give the score layers no filler: Caffe's default is constant 0."""
    assert not FCN8s(5, width=0.01)(torch.randn(1, 3, 20, 20)).any()


@pytest.mark.parametrize(("coarse", "fine"), [(FCN32s, FCN16s), (FCN16s, FCN8s)])
def test_each_stage_takes_the_weights_of_the_one_before(coarse: type[FCN8s], fine: type[FCN8s]) -> None:
    """Staged training: only the new score layer is missing, and it starts at zero."""
    missing, unexpected = fine(3, width=0.01).load_state_dict(coarse(3, width=0.01).state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith(("score_pool", "pool")) for name in missing)


def test_at_once_scales_features_not_biases() -> None:
    """voc-fcn8s-atonce: Scale layers of 0.01 and 0.0001 between the pools and their scores."""
    torch.manual_seed(0)
    plain, scaled = FCN8s(3, width=0.01).eval(), FCN8s(3, width=0.01, at_once=True).eval()
    for layer in (plain.score_pool4, plain.score_pool3):
        layer.weight.data.normal_()
        layer.bias.data.fill_(1)
    state = plain.state_dict()
    state["pool4_scale"], state["pool3_scale"] = scaled.pool4_scale.clone(), scaled.pool3_scale.clone()
    scaled.load_state_dict(state)
    assert scaled.pool4_scale == pytest.approx(0.01)
    assert scaled.pool3_scale == pytest.approx(0.0001)
    plain.score_pool4.weight.data *= 0.01
    plain.score_pool3.weight.data *= 0.0001
    image = torch.randn(1, 3, 40, 40)
    torch.testing.assert_close(scaled(image), plain(image))


@pytest.mark.parametrize("network", [FCN16s, FCN8s])
def test_learned_upsampling_starts_as_the_fixed_one(network: type[FCN8s]) -> None:
    torch.manual_seed(0)
    fixed, learned = network(3, width=0.01).eval(), network(3, width=0.01, learned_upsampling=True).eval()
    fixed.score_fr.weight.data.normal_()
    missing, _ = learned.load_state_dict(fixed.state_dict(), strict=False)
    assert all(name.startswith("upscore") for name in missing)
    image = torch.randn(1, 3, 50, 33)
    torch.testing.assert_close(learned(image), fixed(image), atol=1e-5, rtol=1e-5)


def test_both_paddings_are_one_network_at_another_phase() -> None:
    """With padding 100 a cell of 32 pixels starts at pixel −99 + 4 · 32 = 29; with padding 1, at pixel 0."""
    torch.manual_seed(0)
    wide, tight = FCN8s(2, width=0.01).eval(), FCN8s(2, width=0.01, padding=1).eval()
    for layer in (wide.score_fr, wide.score_pool4, wide.score_pool3):
        layer.weight.data.normal_()
    tight.load_state_dict(wide.state_dict())
    image = torch.randn(1, 3, 576, 576)
    with torch.inference_mode():
        shifted = wide(functional.pad(image, (29, 0, 29, 0)))[..., 29:, 29:]
        unshifted = tight(image)
    middle = slice(272, 304)  # farther from any border than the network sees
    torch.testing.assert_close(shifted[..., middle, middle], unshifted[..., middle, middle], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(shifted[..., :32, :32], unshifted[..., :32, :32], atol=1e-2)


def test_dropout_is_element_wise() -> None:
    assert type(FCN32s(2, width=0.01).encoder.dropout) is torch.nn.Dropout


def test_skips_are_added_where_the_maps_overlap() -> None:
    skip = torch.arange(36.0).reshape(1, 1, 6, 6)
    scores = torch.zeros(1, 1, 4, 4)
    assert torch.equal(add_skip(scores, skip, 1), skip[..., 1:5, 1:5])
    wide = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert torch.equal(add_skip(wide, torch.zeros(1, 1, 6, 6), -1), wide[..., 1:7, 1:7])


def test_other_paddings_are_refused() -> None:
    with pytest.raises(ValueError, match="FCN: expected padding 100 or 1, got 50"):
        FCN32s(2, padding=50)
