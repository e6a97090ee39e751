"""A recipe in stages is one run: each stage begins from the one before, and stopping is no loss."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml

from perpixel.errors import RunError
from perpixel.runs.load import load
from perpixel.runs.phases import first_unfinished, phases_of
from perpixel.runs.run import Run
from perpixel.runs.start import Wishes, prepare_resume, prepare_run, resume, train
from perpixel.training import fit as fit_module
from perpixel.training.files import load_checkpoint, load_model
from perpixel.training.job import Listener, State
from perpixel.training.machine import Plan
from perpixel.training.recipe import Budget
from tests.tiny import same_weights, write_tiny

STAGE = {
    "width": 0.0625, "crop_size": [16, 16], "batch_size": 2, "validations": 1, "budget": {"iterations": 2},
    "options": {"padding": 1}, "optimizer": {"name": "sgd", "learning_rate": 0.01},
}  # fmt: skip
MODELS = ("fcn32s", "fcn16s", "fcn8s")


@pytest.fixture(scope="module", autouse=True)
def one_format() -> Iterator[None]:
    """Take one number format and layout: what is measured differs from run to run, and so would the bits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "choose_plan", lambda *_: (Plan(bfloat16=False, channels_last=False), {}))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def wishes(tmp_path_factory: pytest.TempPathFactory) -> Wishes:
    path = tmp_path_factory.mktemp("recipes") / "staged.yaml"
    path.write_text(yaml.safe_dump({"phases": [{"model": model, **STAGE} for model in MODELS]}))
    return Wishes(recipe=str(path), precision="32")


@pytest.fixture(scope="module")
def whole(data: Path, wishes: Wishes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "whole"
    assert train(data, out=path, wishes=wishes).finished
    return path


class StopAfter(Listener):
    """Ask to stop after some iterations, counted over all stages, as Ctrl-C would."""

    def __init__(self, iterations: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen = 0

        @contextmanager
        def stop_on_signals() -> Iterator[object]:
            yield lambda: self.seen >= iterations

        monkeypatch.setattr(fit_module, "stop_on_signals", stop_on_signals)

    def stepped(self, state: State, loss: float, rate: float, progress: float, images: int) -> None:
        self.seen += 1


def test_earlier_stages_are_runs_of_their_own_below_the_last(whole: Path) -> None:
    names = [path.relative_to(whole).as_posix() for path in phases_of(whole)]
    assert names == ["phases/1-fcn32s", "phases/2-fcn16s", "."]
    records = [Run.open(path).record for path in phases_of(whole)]
    assert [record.recipe.model for record in records] == list(MODELS)
    assert [record.previous for record in records] == [None, "../1-fcn32s", "phases/2-fcn16s"]
    assert all(record.finished for record in records)


def test_a_stage_begins_from_the_best_weights_of_the_one_before(
    data: Path, wishes: Wishes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers of the same name are taken; the new score begins from zero, as FCN's surgery leaves it."""
    with monkeypatch.context() as patch:
        train(data, out=tmp_path / "run", wishes=wishes, listener=StopAfter(3, patch))
    first, second, _ = phases_of(tmp_path / "run")
    (second / "last.ckpt").unlink()  # as if it had been killed before its first checkpoint
    prepared = prepare_resume(tmp_path / "run")
    held, _ = load_model(first / "model.safetensors")
    state = prepared.network.state_dict()
    assert held.keys() <= state.keys()
    assert all(torch.equal(state[name], held[name]) for name in held)
    assert float(state["score_pool4.weight"].abs().max()) == 0.0
    assert prepared.remarks[0].startswith("Took")


def test_a_run_stopped_in_an_earlier_stage_says_in_which(
    data: Path, wishes: Wishes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That stage was validated and has weights; they are not the last network's."""
    with monkeypatch.context() as patch:
        train(data, out=tmp_path / "run", wishes=wishes, listener=StopAfter(3, patch))
    with pytest.raises(RunError, match=r"no model\.safetensors yet: training stopped in 2-fcn16s, a phase before the"):
        load(tmp_path / "run")


@pytest.mark.parametrize("stop_at", [1, 2, 3, 5])
def test_a_stopped_run_goes_on_in_its_stage_to_the_same_bit(
    data: Path, wishes: Wishes, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """In the first, at its end, in the second and in the last."""
    with monkeypatch.context() as patch:
        stopped = train(data, out=tmp_path / "run", wishes=wishes, listener=StopAfter(stop_at, patch))
    assert not stopped.finished
    assert resume(tmp_path / "run").finished
    for one, other in zip(phases_of(whole), phases_of(tmp_path / "run"), strict=True):
        states = [load_checkpoint(path / "last.ckpt")["model"] for path in (one, other)]
        assert same_weights(*states)
        assert same_weights(load_model(one / "model.safetensors")[0], load_model(other / "model.safetensors")[0])


def test_a_moved_run_goes_on(data: Path, wishes: Wishes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage finds the one before from where it is."""
    with monkeypatch.context() as patch:
        train(data, out=tmp_path / "here", wishes=wishes, listener=StopAfter(1, patch))
    (tmp_path / "here").rename(tmp_path / "there")
    assert resume(tmp_path / "there").finished


def test_a_finished_run_trains_nothing_more(whole: Path) -> None:
    before = {path: (path / "model.safetensors").read_bytes() for path in phases_of(whole)}
    assert first_unfinished(whole) == whole
    assert resume(whole).finished
    assert all((path / "model.safetensors").read_bytes() == held for path, held in before.items())


def test_one_budget_is_shared_and_settings_reach_every_stage(data: Path, wishes: Wishes, tmp_path: Path) -> None:
    changed = Wishes(**{**vars(wishes), "budget": Budget(minutes=3), "settings": ("clip_gradient=1",)})
    prepare_run([data], tmp_path / "run", changed)
    recipes = [Run.open(path).recipe for path in phases_of(tmp_path / "run")]
    assert [recipe.budget.minutes for recipe in recipes] == [1, 1, 1]
    assert {recipe.clip_gradient for recipe in recipes} == {1.0}
