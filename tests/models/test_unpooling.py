"""Switches and mirrored decoders behind any encoder."""

import pytest
import torch
from torch import Tensor, nn

from perpixel.errors import UsageError
from perpixel.explain.probe import alignment
from perpixel.models.fcn_encoders import places
from perpixel.models.unpooling import Decoder, build_trunk, distinct_maps, look, mirror, moved
from perpixel.ops.unpool import max_unpool

NARROW = 1 / 16
OTHERS = ("resnet18", "resnet50-msra", "alexnet", "caffenet", "googlenet", "googlenet-caffe")


@pytest.mark.parametrize("pool_last", [True, False])
def test_a_vgg_is_unpooled_by_its_own_poolings(pool_last: bool) -> None:
    torch.manual_seed(0)
    trunk = build_trunk("vgg11-bn", 3, NARROW, 4, pool_last).eval()
    seen = look(trunk, torch.randn(1, 3, 45, 64), pool_last)
    assert [where.size for where in seen.switches] == [(45, 64), (23, 32), (12, 16), (6, 8)][: 3 + pool_last]
    pooled = trunk(torch.randn(1, 3, 45, 64))[-1].shape
    assert seen.features.shape == (pooled if pool_last else (1, pooled[1], 6, 8))


def test_other_encoders_are_unpooled_where_a_pooling_of_their_maps_would_have_its_maxima() -> None:
    torch.manual_seed(0)
    trunk = build_trunk("resnet18", 3, NARROW, 5, pool_last=True).eval()
    image = torch.randn(1, 3, 90, 64)
    maps, seen = trunk(image), look(trunk, image, pool_last=True)
    assert torch.equal(seen.features, maps[4])
    assert len(seen.switches) == 4
    for features, where in zip(maps, seen.switches, strict=False):
        maxima = torch.nn.functional.max_pool2d(features, 2, ceil_mode=True)
        chosen = max_unpool(torch.ones_like(maxima), where) > 0
        assert torch.equal(torch.where(chosen, features, 0), max_unpool(maxima, where))


def test_nothing_of_an_encoder_crosses_but_positions() -> None:
    """Maps of other values that are ordered alike give the same switches."""
    torch.manual_seed(0)
    trunk = build_trunk("resnet18", 3, NARROW, 4, pool_last=False).eval()
    image = torch.randn(1, 3, 64, 64)
    before = look(trunk, image, pool_last=False)
    trunk.register_forward_hook(lambda _, __, maps: [3 * features + 1 for features in maps])
    after = look(trunk, image, pool_last=False)
    assert all(torch.equal(one.where, other.where) for one, other in zip(before.switches, after.switches, strict=True))
    assert not any(tensor.requires_grad for where in after.switches for tensor in [where.where])


@pytest.mark.parametrize("stages", [4, 5])
@pytest.mark.parametrize("name", OTHERS)
def test_features_come_to_lie_where_the_pooled_maps_elements_are(name: str, stages: int) -> None:
    """A map that holds each element's own pixel still does so on every pooled map, and on the image."""
    trunk = build_trunk(name, 3, NARROW, stages, pool_last=True)
    plan, lies = mirror(trunk, pool_last=True), places(trunk)
    coarse, *finer = distinct_maps(trunk)
    for stride, step in zip(finer, reversed(plan.steps), strict=True):
        there = moved(ramp(coarse, lies[coarse]), step, (20, 20))[0, 0, 0]
        expected = lies[stride] + stride / 2 + 2 * stride * torch.arange(20.0)
        inside = (expected >= lies[coarse]) & (expected <= lies[coarse] + 15 * coarse)
        assert inside.sum() > 5
        torch.testing.assert_close(there[inside], expected[inside])
        coarse = stride
    onto_image = moved(ramp(coarse, lies[coarse]), plan.last, (30, 30))[0, 0, 0]
    torch.testing.assert_close(onto_image[8:], torch.arange(8.0, 30.0))


def ramp(stride: int, start: float) -> Tensor:
    """Return a map of 16 x 16 elements; each is the column of the pixel at which it lies."""
    return (start + stride * torch.arange(16.0)).expand(1, 1, 16, 16)


class Seeing(nn.Module):
    """Decode what the encoder itself sees."""

    def __init__(self, encoder: str, stages: int, pool_last: bool) -> None:
        super().__init__()
        self.encoder, self.pool_last = build_trunk(encoder, 3, NARROW, stages, pool_last), pool_last
        self.decoder = Decoder(self.encoder.channels[-1], mirror(self.encoder, pool_last))

    def forward(self, image: Tensor) -> Tensor:
        seen = look(self.encoder, image, self.pool_last)
        logits: Tensor = self.decoder(seen.features, seen.switches, (image.shape[-2], image.shape[-1]))
        return logits


@pytest.mark.parametrize("encoder", ["vgg11-bn", *OTHERS])
@pytest.mark.parametrize(("pool_last", "stages"), [(True, 3), (False, 4)])
def test_logits_lie_on_what_they_see(encoder: str, pool_last: bool, stages: int) -> None:
    """Half a pixel here would be a border that is half a pixel off in every picture."""
    for found in alignment(Seeing(encoder, stages, pool_last), (512, 1), places=3):
        assert found.offset[0] == pytest.approx(0, abs=1e-3)


def test_two_deconvolutions_stand_for_each_map_and_one_for_the_last() -> None:
    trunk = build_trunk("resnet18", 3, 1.0, 5, pool_last=True)
    decoder = Decoder(512, mirror(trunk, pool_last=True))
    shapes = [layer.weight.shape[:2] for layer in decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [tuple(shape) for shape in shapes] == [
        (512, 256), (256, 256), (256, 128), (128, 128), (128, 64), (64, 64), (64, 64), (64, 64), (64, 64)
    ]  # fmt: skip


@pytest.mark.parametrize(("pool_last", "known"), [(True, "2 to 5"), (False, "3 to 6")])
def test_cells_that_an_encoder_cannot_have_are_refused(pool_last: bool, known: str) -> None:
    with pytest.raises(UsageError, match=f"expected {known} stages of alexnet, got 7. .* 4, 8, 16, 32 pixels wide"):
        build_trunk("alexnet", 3, NARROW, 7, pool_last)
    with pytest.raises(UsageError, match="expected 3 to 5 stages of timm:resnet18, got 2"):
        build_trunk("timm:resnet18", 3, 1.0, 2, pool_last=True)
    with pytest.raises(UsageError, match="expected 5 stages of hf:resnet, got 4"):
        build_trunk("hf:resnet", 3, 1.0, 4, pool_last=True)


@pytest.mark.parametrize("name", OTHERS)
def test_what_lies_behind_the_cells_is_left_out(name: str) -> None:
    """Small images want cells that see little around them."""
    whole, cut = (build_trunk(name, 3, NARROW, stages, pool_last=True) for stages in (5, 4))
    assert (whole.strides[-1], cut.strides[-1]) == (32, 16)
    assert cut.field.size < whole.field.size
    assert len(cut(torch.zeros(1, 3, 50, 50))) == len(cut.strides) == len(whole.strides) - 1
