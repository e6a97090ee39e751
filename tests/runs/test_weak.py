"""DecoupledNet from the command's side: phases, resuming, predicting."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from perpixel.errors import UsageError
from perpixel.runs.evaluate import evaluate
from perpixel.runs.load import load
from perpixel.runs.run import Run
from perpixel.runs.start import Wishes, carry_out, carry_out_all, prepare_resume, prepare_run, train
from perpixel.training import files
from perpixel.training.recipe import Budget
from tests.tiny import write_tiny

WISHES = Wishes(
    model="decouplednet", budget=Budget(iterations=4), batch_size=2, device="cpu", seed=1,
    settings=("width=0.0625", "validations=1"),
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write images of which two have masks, and tags of all."""
    root = write_tiny(tmp_path / "data")
    (root / "tags.csv").write_text("image,tags\n" + "".join(f"train/{n:03},square disc\n" for n in range(5)))
    (root / "masked.txt").write_text("001\n003\n")
    with (root / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\nmasked: masked.txt\nbackground: ground\n")
    return root


def test_tags_and_a_few_masks_make_a_run_that_predicts(data: Path, tmp_path: Path) -> None:
    outcome = train(data, out=tmp_path / "run", wishes=WISHES)
    assert outcome.finished
    run = Run.open(tmp_path / "run")
    classifier = Run.open(tmp_path / "run/phases/1-classifier")
    assert (classifier.recipe.task, run.recipe.task) == ("tagging", "per-label")
    assert classifier.recipe.options["background"] == 0
    assert "f1" in classifier.metrics()[0]
    result = load(tmp_path / "run").predict(next((data / "images/val").iterdir()))
    assert result.prediction.shape == (24, 32)
    assert len(evaluate(load(tmp_path / "run"), run.open_data()).images) == 2


def test_the_second_phase_keeps_the_classifier_of_the_first(data: Path, tmp_path: Path) -> None:
    train(data, out=tmp_path / "run", wishes=WISHES)
    first, _ = files.load_model(tmp_path / "run/phases/1-classifier/model.safetensors")
    second, _ = files.load_model(tmp_path / "run/model.safetensors")
    kept = {name for name in first if torch.equal(first[name], second[name])}
    assert {name for name in first if name.startswith("classifier.")} <= kept
    assert not any(name.startswith("decoder.score") for name in kept)


def test_a_run_goes_on_with_the_phase_it_was_in(data: Path, tmp_path: Path) -> None:
    prepared = prepare_run([data], tmp_path / "run", WISHES)
    assert carry_out(prepared).finished
    resumed = prepare_resume(tmp_path / "run")
    assert resumed.job.recipe.task == "per-label"
    assert carry_out_all(resumed, tmp_path / "run", lambda _: None).finished


def test_masks_alone_are_enough(tmp_path: Path) -> None:
    """Tags are what the masks show; without a class named background, every class is a label."""
    root = write_tiny(tmp_path / "plain")
    assert train(root, out=tmp_path / "run", wishes=WISHES).finished
    run = Run.open(tmp_path / "run")
    assert run.recipe.options["background"] == -1
    assert load(tmp_path / "run").network.num_labels == 3  # type: ignore[union-attr]


def test_a_black_pixel_is_told_to_the_network(data: Path, tmp_path: Path) -> None:
    train(data, out=tmp_path / "run", wishes=WISHES)
    run, segmenter = Run.open(tmp_path / "run"), load(tmp_path / "run")
    expected = [-mean / std for mean, std in zip(run.normalization.mean, run.normalization.std, strict=True)]
    assert segmenter.network.black.tolist() == pytest.approx(expected)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("options.background=2", "expected 0, as the data says, got 2. Say `background: NAME`"),
        ("options.window=0", "expected a window of 1 or more, got 0"),
        ("options.decision_pooling=mean", "expected decision_pooling to be average or max, got 'mean'"),
        ("options.threshold=2", "expected threshold from 0 to 1, got 2"),
        ("options.input_size=-1", "expected input_size of 0 or more, got -1"),
        ("options.width=0.1", "got width: say width=… without options"),
        ("class_weights=median-frequency", "recipe: class_weights: expected none for the task tagging"),
    ],
)
def test_what_the_network_or_the_task_cannot_take_is_refused_before_training(
    data: Path, tmp_path: Path, setting: str, message: str
) -> None:
    wishes = replace(WISHES, settings=(*WISHES.settings, setting))
    with pytest.raises(UsageError, match=re.escape(message)):
        prepare_run([data], tmp_path / "run", wishes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("loss_weights=[1]", "loss_weights: expected 2, of which label and of where, got 1"),
        ("options.input_size=0", "expected input_size of 1 or more, got 0"),
    ],
)
def test_so_it_is_for_transfernet(data: Path, tmp_path: Path, setting: str, message: str) -> None:
    wishes = replace(WISHES, model="transfernet", settings=(*WISHES.settings, setting))
    with pytest.raises(UsageError, match=message):
        prepare_run([data], tmp_path / "run", wishes)
