"""FRRN: two streams, their units, and training that computes maps twice to keep fewer."""

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from perpixel.models.frrn import (
    FRRN,
    FRRU,
    STAGES_A,
    STAGES_B,
    Block,
    ResidualUnit,
    Stage,
    centred_upsampling,
    theano_upsampling,
)

NARROW = 1 / 16
both = pytest.mark.parametrize("stages", [STAGES_A, STAGES_B], ids=["a", "b"])


def recorded_streams(network: nn.Module, height: int, width: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return (C, H, W) of y and z after every FRRU."""
    shapes = []
    for layer in network.modules():
        if isinstance(layer, FRRU):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(tuple(s.shape[1:]) for s in out)))
    network(torch.empty(1, 3, height, width, device="meta"))
    return shapes


@pytest.mark.parametrize(
    ("stages", "size", "expected"),
    [
        (STAGES_A, (256, 512), [(96, 2)] * 3 + [(192, 4)] * 4 + [(384, 8)] * 2 + [(384, 16)] * 2
         + [(192, 8)] * 2 + [(192, 4)] * 2 + [(96, 2)] * 2),
        (STAGES_B, (512, 1024), [(96, 2)] * 3 + [(192, 4)] * 4 + [(384, 8)] * 2 + [(384, 16)] * 2 + [(384, 32)] * 2
         + [(192, 16)] * 2 + [(192, 8)] * 2 + [(192, 4)] * 2 + [(96, 2)] * 2),
    ],
    ids=["a", "b"],
)  # fmt: skip
def test_streams_have_the_papers_sizes(
    stages: tuple[Stage, ...], size: tuple[int, int], expected: list[tuple[int, int]]
) -> None:
    """Table 1, at the sizes they were trained at: Cityscapes shrunk by 4 (A) and by 2 (B)."""
    with torch.device("meta"):
        network = FRRN(19, stages=stages)
    height, width = size
    streams = recorded_streams(network, *size)
    assert [y for y, _ in streams] == [(channels, height // f, width // f) for channels, f in expected]
    assert {z for _, z in streams} == {(32, height, width)}


@both
def test_layers_carry_bias_and_norm_where_the_release_does(stages: tuple[Stage, ...]) -> None:
    """dltools/architectures.py: neither at the shortcut; a bias and no norm at residuals and classifier."""
    with torch.device("meta"):
        network = FRRN(19, stages=stages)
    biased = {
        name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d) and layer.bias is not None
    }
    assert biased == {n for n, _ in network.named_modules() if n.endswith(".residual")} | {"classifier"}
    assert isinstance(network.split[1], nn.BatchNorm2d)
    assert len(network.split) == 2  # no ReLU
    assert {layer.eps for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)} == {1e-4}


def test_the_tail_projects_128_channels_to_48() -> None:
    """architectures.py calls it with 80, but 96 + 32 arrive."""
    with torch.device("meta"):
        tail = FRRN(19).tail
    assert [unit.blocks[0][0].in_channels for unit in tail] == [128, 48, 48]
    assert tail[0].projection.weight.shape == (48, 128, 1, 1)
    assert isinstance(tail[1].projection, nn.Identity)


def test_every_unit_of_a_stage_continues_the_one_before() -> None:
    """Not so in meetps/pytorch-semseg, where each sees the pooled input again."""
    with torch.device("meta"):
        stage = FRRN(19).stages[1]
    assert [unit.blocks[0][0].in_channels for unit in stage.units] == [96 + 32, *[192 + 32] * 3]
    torch.manual_seed(0)
    stage = FRRN(2, width=NARROW).eval().stages[0]
    y, z = torch.randn(1, 8, 8, 8), torch.randn(1, 8, 8, 8)
    first, residual = stage.units[0](nn.functional.max_pool2d(y, 2), z)
    second, _ = stage.units[1](first, residual)
    after = stage.units[2](second, stage.units[1](first, residual)[1])
    found = stage(y, z)
    torch.testing.assert_close(found, after)


def test_a_residual_unit_has_no_relu_after_its_sum() -> None:
    unit = ResidualUnit(2, 2).eval()
    for norm in (layer for layer in unit.modules() if isinstance(layer, nn.BatchNorm2d)):
        nn.init.zeros_(norm.weight)
    features = -torch.ones(1, 2, 3, 3)
    assert torch.equal(unit(features), features)


def test_a_unit_reads_maxima_of_z_and_writes_repeated_values() -> None:
    torch.manual_seed(0)
    unit = FRRU(3, 8, 4, factor=4).eval()
    y, z = torch.randn(1, 3, 2, 2), torch.randn(1, 4, 8, 8)
    after_y, after_z = unit(y, z)
    joined = torch.cat((y, nn.functional.max_pool2d(z, 4)), dim=1)
    torch.testing.assert_close(after_y, unit.blocks(joined))
    torch.testing.assert_close(after_z - z, unit.residual(after_y).repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_theanos_bilinear_puts_values_on_even_pixels() -> None:
    """abstract_conv.py, bilinear_upsampling: out[2i] = x[i], out[2i+1] = (x[i] + x[i+1]) / 2, the last repeated."""
    row = torch.tensor([1.0, 3.0, 7.0])
    expected = torch.tensor([1.0, 2.0, 3.0, 5.0, 7.0, 7.0])
    found = theano_upsampling(row[:, None] * row[None, :] * torch.ones(1, 1, 1, 1))
    torch.testing.assert_close(found[0, 0], expected[:, None] * expected[None, :])


@pytest.mark.parametrize(("upsampling", "offset"), [(centred_upsampling, 0.0), (theano_upsampling, -0.5)])
def test_where_an_enlarged_value_lands(upsampling: Any, offset: float) -> None:
    """Value 3 was pooled from pixels 6 and 7; Theano's bilinear puts it half a pixel before their middle."""
    features = torch.zeros(1, 1, 8, 8)
    features[0, 0, 3, 3] = 1
    rows = upsampling(features).sum((0, 1, 3))
    assert ((rows * torch.arange(16)).sum() / rows.sum()).item() == pytest.approx(6.5 + offset)


@both
@pytest.mark.parametrize(("upsampling", "offset"), [("centred", 0.0), ("theano", 1.0)])
def test_logits_look_straight_down_unless_theano_enlarges(
    stages: tuple[Stage, ...], upsampling: Any, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With equal weights and average pooling; Theano's enlargement is 0.97 (A) and 1.03 pixels off."""
    monkeypatch.setattr(nn.functional, "max_pool2d", nn.functional.avg_pool2d)
    network = FRRN(1, in_channels=1, width=NARROW, stages=stages, upsampling=upsampling).eval().double()
    for name, parameter in network.named_parameters():
        parameter.data.fill_(1 / parameter[0].numel() if parameter.ndim > 1 else float(name.endswith("weight")))
    image = torch.ones(1, 1, 672, 32, requires_grad=True, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(network(image)[0, 0, 320:352].sum(), image)
    rows = gradient.sum((0, 1, 3))
    centroid = ((rows * torch.arange(672)).sum() / rows.sum()).item()
    assert centroid - 335.5 == pytest.approx(offset, abs=0.05 if offset else 1e-3)


def test_the_default_upsampling_is_not_theanos_and_both_run() -> None:
    torch.manual_seed(0)
    centred, theano = FRRN(3, width=NARROW), FRRN(3, width=NARROW, upsampling="theano")
    theano.load_state_dict(centred.state_dict())
    image = torch.randn(1, 3, 37, 43)
    first, second = centred.eval()(image), theano.eval()(image)
    assert first.shape == second.shape == (1, 3, 37, 43)
    assert not torch.allclose(first, second, atol=1e-3)


def test_an_unknown_upsampling_is_refused() -> None:
    with pytest.raises(ValueError, match="centred or theano, got 'nearest'"):
        FRRN(2, width=NARROW, upsampling="nearest")  # type: ignore[arg-type]


def test_first_weights_are_lasagnes() -> None:
    """HeUniform: bound √(6 / fan-in) before a ReLU, √(3 / fan-in) elsewhere."""
    torch.manual_seed(0)
    network = FRRN(19, width=0.5)
    block = next(layer for layer in network.stages.modules() if isinstance(layer, Block))
    for layer, gain in ((block[0], 6), (network.split[0], 3), (network.tail[0].projection, 3)):
        bound = (gain / layer.weight[0].numel()) ** 0.5
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.01)


# ---- checkpointing ---------------------------------------------------------------------------------------------------


def test_computing_twice_changes_neither_gradients_nor_running_averages() -> None:
    """The release would count a batch several times, and shrinks the averages' rate to make up for it."""
    torch.manual_seed(0)
    plain, sparing = FRRN(3, width=NARROW), FRRN(3, width=NARROW, checkpoint=True)
    sparing.load_state_dict(plain.state_dict())
    image, target = torch.randn(2, 3, 37, 50), torch.randint(3, (2, 37, 50))
    losses = []
    for network in (plain, sparing):
        losses.append(nn.functional.cross_entropy(network.train()(image), target))
        losses[-1].backward()
    assert torch.equal(*losses)
    for (name, one), other in zip(plain.named_parameters(), sparing.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-5, msg=name)
    for (name, mine), theirs in zip(plain.named_buffers(), sparing.buffers(), strict=True):
        assert torch.equal(mine, theirs), name
    assert {layer.momentum for layer in sparing.modules() if isinstance(layer, nn.BatchNorm2d)} == {0.1}


class Bytes(TorchDispatchMode):
    """Counts the bytes of all tensors that live, and the most there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.seen: dict[int, Any] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, Tensor):
                self.count(value.untyped_storage())
        return result

    def count(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key not in self.seen:
            self.now += size
            self.peak = max(self.peak, self.now)
            self.seen[key] = weakref.finalize(storage, self.free, key, size)

    def free(self, key: int, size: int) -> None:
        self.now -= size
        del self.seen[key]


def training_bytes(stages: tuple[Stage, ...], size: tuple[int, int], checkpoint: bool) -> int:
    """Return the most bytes of maps and gradients that one training step at full width holds, without weights."""
    with torch.device("meta"):
        network = FRRN(19, stages=stages, checkpoint=checkpoint).train()
    image = torch.empty(1, 3, *size, device="meta")
    with Bytes() as counter:
        network(image).sum().backward()
    return counter.peak


def test_checkpointing_halves_what_training_holds() -> None:
    plain, sparing = (training_bytes(STAGES_A, (256, 512), checkpoint) for checkpoint in (False, True))
    assert plain > 1.12 * 2**30  # the maps of convolutions and norms alone
    assert sparing < 0.6 * plain


def test_nothing_is_computed_twice_without_need() -> None:
    """In evaluation, and without gradients."""
    network = FRRN(2, width=NARROW, checkpoint=True)
    calls: list[int] = []
    network.classifier.register_forward_hook(lambda *_: calls.append(1))
    network.eval()(torch.randn(1, 3, 8, 8)).sum().backward()
    with torch.no_grad():
        network.train()(torch.randn(1, 3, 8, 8))
    assert len(calls) == 2
