"""The format is measured; the model is left as it was."""

import time

import pytest
import torch

from perpixel.training import machine
from perpixel.training.machine import Plan, choose_plan, keep_freed_memory
from tests.tiny import TinyNet, same_weights, weights_of


def test_the_fastest_format_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock says wins, not what is believed of a processor."""
    bf16 = Plan(bfloat16=True, channels_last=True)
    monkeypatch.setattr(machine, "_time_step", lambda *arguments: 1.0 if arguments[3] == bf16 else 2.0)
    plan, seconds = choose_plan(TinyNet(), torch.zeros(1, 3, 8, 8), torch.sum, "auto")
    assert plan == bf16
    assert len(seconds) == 3


def test_a_precision_that_is_asked_for_is_kept() -> None:
    image = torch.zeros(1, 3, 8, 8)
    assert choose_plan(TinyNet(), image, torch.sum, "bf16")[0].bfloat16
    assert not choose_plan(TinyNet(), image, torch.sum, "32")[0].bfloat16


def test_measuring_leaves_weights_and_batch_statistics_alone() -> None:
    network = TinyNet()
    before = weights_of(network)
    choose_plan(network, torch.ones(2, 3, 8, 8), torch.sum, "auto")
    assert same_weights(before, weights_of(network))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_waiting_for_other_programs_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    network = TinyNet()
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda image: (time.sleep(0.2), forward(image))[1])
    _, seconds = choose_plan(network, torch.ones(2, 3, 8, 8), torch.sum, "32")
    assert all(value < 0.1 for value in seconds.values())


def test_a_plan_survives_being_written_and_read() -> None:
    for plan in (Plan(True, True), Plan(False, True), Plan(False, False)):
        assert Plan.parse(str(plan)) == plan


def test_keeping_freed_memory_is_harmless_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.sys, "platform", "win32")
    keep_freed_memory()
