"""The loop: it learns, stops, goes on to the same bit, and refuses what cannot be."""

import csv
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from perpixel.errors import DataError, OutOfMemory, TrainingDiverged, UsageError
from perpixel.metrics.scores import Scores
from perpixel.training import fit as fit_module
from perpixel.training import memory
from perpixel.training.files import load_checkpoint, load_model, save_checkpoint
from perpixel.training.fit import fit
from perpixel.training.job import Job, Listener, State
from perpixel.training.recipe import Budget
from perpixel.training.validate import Example
from tests.tiny import TinyNet, same_weights, shapes, tiny_job, weights_of, write_tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("data") / "tiny")


def network() -> TinyNet:
    torch.manual_seed(0)
    return TinyNet()


class StopAfter(Listener):
    """Ask the loop to stop after some iterations, as Ctrl-C would."""

    def __init__(self, iterations: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.iterations, self.seen = iterations, 0
        from contextlib import contextmanager

        @contextmanager
        def stop_on_signals():  # type: ignore[no-untyped-def]
            yield lambda: self.seen >= self.iterations

        monkeypatch.setattr(fit_module, "stop_on_signals", stop_on_signals)

    def stepped(self, state: State, loss: float, rate: float, progress: float, images: int) -> None:
        self.seen = state.iteration


class Remember(Listener):
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.scores: list[Scores] = []
        self.examples: list[Example] = []
        self.warnings: list[str] = []

    def stepped(self, state: State, loss: float, rate: float, progress: float, images: int) -> None:
        self.losses.append(loss)

    def validated(self, state: State, scores: Scores, examples: list[Example], improved: bool) -> None:
        self.scores.append(scores)
        self.examples = examples

    def warned(self, message: str) -> None:
        self.warnings.append(message)


def test_a_network_learns_colours_in_seconds(data: Path, tmp_path: Path) -> None:
    """A network of two convolutions tells three colours apart."""
    job = tiny_job(data, tmp_path, budget=Budget(iterations=60), validations=2)
    outcome = fit(network(), job)
    assert outcome.finished
    assert outcome.state.best > 0.8


@pytest.mark.parametrize("stop_at", [1, 3, 4])
def test_a_stopped_run_goes_on_to_the_same_bit(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """Weights, batch statistics, metrics and the best model equal those of a run that never stopped."""
    whole = network()
    fit(whole, tiny_job(data, tmp_path / "whole", average_weights=0.9))
    with monkeypatch.context() as patch:
        outcome = fit(network(), tiny_job(data, tmp_path / "parts", average_weights=0.9), StopAfter(stop_at, patch))
    assert not outcome.finished
    resumed = TinyNet()
    fit(resumed, tiny_job(data, tmp_path / "parts", average_weights=0.9), resume=True)
    assert same_weights(weights_of(whole), weights_of(resumed))
    assert same_weights(
        load_model(tmp_path / "whole/model.safetensors")[0], load_model(tmp_path / "parts/model.safetensors")[0]
    )
    assert without_seconds(tmp_path / "whole") == without_seconds(tmp_path / "parts")


def without_seconds(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(data: Path, tmp_path: Path) -> None:
    """A run is a function of its seed."""
    runs = {}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        job = tiny_job(data, tmp_path / name)
        job = Job(**{**vars(job), "seed": seed})
        net = network()
        fit(net, job)
        runs[name] = weights_of(net)
    assert same_weights(runs["a"], runs["b"])
    assert not same_weights(runs["a"], runs["c"])


def test_accumulating_two_batches_equals_one_batch_of_both(data: Path, tmp_path: Path) -> None:
    """Gradients add up: 2 × 1 image is 1 × 2 images where the loss divides by equal counts."""
    results = []
    for name, size, accumulate in (("one", 2, 1), ("two", 1, 2)):
        net = nn.Conv2d(3, 3, 1)
        nn.init.constant_(net.weight, 0.1)
        nn.init.zeros_(net.bias)
        job = tiny_job(data, tmp_path / name, batch_size=size, accumulate=accumulate, budget=Budget(iterations=1))
        fit(net, job)
        results.append(weights_of(net))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-7)


def test_whole_images_train_one_at_a_time(data: Path, tmp_path: Path) -> None:
    """Batch 1 without a crop, as FCN's authors trained."""
    job = tiny_job(data, tmp_path, batch_size=1, crop_size=None, budget=Budget(iterations=2))
    assert fit(network(), job).finished


def test_a_budget_in_epochs_counts_each_image_once(data: Path, tmp_path: Path) -> None:
    """5 images in batches of 2: two epochs are 5 updates."""
    outcome = fit(network(), tiny_job(data, tmp_path, budget=Budget(epochs=2)))
    assert outcome.state.iteration == 5


def test_a_budget_in_minutes_ends_in_time_and_its_rate_reaches_zero(data: Path, tmp_path: Path) -> None:
    """The schedule follows the clock."""
    outcome = fit(network(), tiny_job(data, tmp_path, budget=Budget(minutes=0.03), validations=2))
    assert outcome.finished
    rates = [row["learning_rate"] for row in outcome.state.rows]
    assert rates[-1] < 0.35 * 0.01


def test_a_run_in_minutes_goes_on_with_the_time_that_was_left(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after 5 updates, it does not get its three seconds once more."""
    budget = Budget(minutes=0.05)
    with monkeypatch.context() as patch:
        first = fit(network(), tiny_job(data, tmp_path, budget=budget), StopAfter(5, patch))
    spent = first.state.elapsed
    checkpoint = load_checkpoint(tmp_path / "last.ckpt")
    checkpoint["state"]["elapsed"] = 2.0
    save_checkpoint(tmp_path / "last.ckpt", checkpoint)
    began = time.monotonic()
    second = fit(network(), tiny_job(data, tmp_path, budget=budget), resume=True)
    assert second.finished
    assert spent < 3.0
    assert second.state.elapsed - 2.0 <= time.monotonic() - began + 0.1
    assert second.state.iteration > 5


def test_the_best_weights_are_kept_not_the_last(data: Path, tmp_path: Path) -> None:
    """model.safetensors says at which iteration it was written, and what it scored."""
    outcome = fit(network(), tiny_job(data, tmp_path, budget=Budget(iterations=12), validations=6))
    _, facts = load_model(tmp_path / "model.safetensors")
    assert float(facts["mean_iou"]) == pytest.approx(max(row["mean_iou"] for row in outcome.state.rows), abs=1e-5)
    assert int(facts["iteration"]) == outcome.state.best_iteration


def test_validation_shows_examples_and_the_baseline(data: Path, tmp_path: Path) -> None:
    """Pictures of validated images reach the listener with their scores."""
    seen = Remember()
    fit(network(), tiny_job(data, tmp_path), seen)
    assert len(seen.losses) == 6
    assert len(seen.scores) == 3
    assert [example.name for example in seen.examples] == ["000", "001"]
    assert seen.scores[0].baseline_mean_iou is not None


class Exploding(TinyNet):
    """Gives a loss that is not a number from its third call in training on."""

    calls = 0

    def forward(self, image: Tensor) -> Tensor:
        logits = super().forward(image)
        self.calls += self.training
        return logits * float("nan") if self.calls > 5 else logits


def test_a_loss_that_is_not_finite_stops_with_files_iteration_rate_and_advice(data: Path, tmp_path: Path) -> None:
    """The message is enough to act on, and the good weights are still there."""
    with pytest.raises(TrainingDiverged) as caught:
        fit(Exploding(), tiny_job(data, tmp_path, budget=Budget(iterations=12), validations=12))
    message = str(caught.value)
    for part in ("nan", "iteration", "learning rate", "00", "--learning-rate", "clip_gradient"):
        assert part in message
    state, _ = load_model(tmp_path / "model.safetensors")
    assert all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point())
    assert load_checkpoint(tmp_path / "last.ckpt")["state"]["iteration"] > 0


def test_a_file_that_turns_bad_costs_nothing_that_was_learned(tmp_path: Path) -> None:
    """The checkpoint is written before the error is told, so that a mended data set goes on from there."""
    data = write_tiny(tmp_path / "tiny")
    job = tiny_job(data, tmp_path / "run", budget=Budget(iterations=12), validations=1)

    class Spoil(Listener):
        def stepped(self, state: State, loss: float, rate: float, progress: float, images: int) -> None:
            if state.iteration == 3:
                for path in (data / "masks/val").iterdir():
                    path.write_bytes(b"")

    with pytest.raises(DataError):
        fit(network(), job, Spoil())
    assert load_checkpoint(tmp_path / "run/last.ckpt")["state"]["iteration"] == 12
    for index, path in enumerate(sorted((data / "masks/val").iterdir())):
        Image.fromarray(shapes(1000 + index, (24, 32))[1]).save(path)
    outcome = fit(network(), job, resume=True)
    assert [row["iteration"] for row in outcome.state.rows] == [12]
    assert (tmp_path / "run/model.safetensors").exists()


def test_an_odd_first_loss_is_explained(data: Path, tmp_path: Path) -> None:
    """A network that starts out sure and wrong is noticed before time is spent."""
    net = network()
    nn.init.constant_(net.classifier.bias, 0.0)
    net.classifier.weight.data *= 300
    seen = Remember()
    fit(net, tiny_job(data, tmp_path, budget=Budget(iterations=1)), seen)
    assert len(seen.warnings) == 1
    assert "expected about" in seen.warnings[0]


def test_a_batch_that_cannot_fit_is_refused_with_one_that_does(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice is followed: the batch it names is accepted."""
    monkeypatch.setattr(fit_module, "free_bytes", lambda device: 2_000_000)
    job = tiny_job(data, tmp_path, batch_size=64)
    with pytest.raises(OutOfMemory, match=r"--batch-size (\d+)") as caught:
        fit(network(), job)
    size = int(str(caught.value).split("--batch-size ")[1].split()[0])
    assert 1 <= size < 64
    assert fit(network(), tiny_job(data, tmp_path / "b", batch_size=size, budget=Budget(iterations=1))).finished


def test_the_estimate_of_memory_is_near_what_autograd_keeps(data: Path, tmp_path: Path) -> None:
    """Twice the pixels keep about twice the bytes."""
    sizes = [
        memory.step_bytes(network(), torch.zeros(1, 3, 16, width), lambda logits: logits.sum()) for width in (16, 32)
    ]
    assert 1.8 < sizes[1] / sizes[0] < 2.2


def test_processes_must_share_the_batch(data: Path, tmp_path: Path) -> None:
    """Three images cannot be split over two processes."""
    from perpixel.training.distributed import World

    with pytest.raises(UsageError, match="multiple of 2"):
        fit_module.Fit(network(), tiny_job(data, tmp_path, batch_size=3), Listener(), World(0, 2))
