"""TransferNet from the command's side: three phases, resuming, predicting."""

from pathlib import Path

import pytest
import torch

from perpixel.runs.evaluate import evaluate
from perpixel.runs.load import load
from perpixel.runs.run import Run
from perpixel.runs.start import Wishes, carry_out, carry_out_all, prepare_resume, prepare_run, train
from perpixel.training import files
from perpixel.training.recipe import Budget
from tests.tiny import write_tiny

WISHES = Wishes(
    model="transfernet", budget=Budget(iterations=10), batch_size=2, device="cpu", seed=1,
    settings=("width=0.0625", "validations=1"),
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write images with masks of squares and tags of squares and discs."""
    root = write_tiny(tmp_path / "data")
    (root / "tags.csv").write_text("image,tags\n" + "".join(f"train/{n:03},square disc\n" for n in range(5)))
    with (root / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\nmask_classes: [square]\nbackground: ground\n")
    return root


def test_masks_of_some_labels_and_tags_of_all_make_a_run_that_predicts(data: Path, tmp_path: Path) -> None:
    assert train(data, out=tmp_path / "run", wishes=WISHES).finished
    run = Run.open(tmp_path / "run")
    names = sorted(path.name for path in (tmp_path / "run/phases").iterdir())
    assert names == ["1-classifier", "2-attention"]
    assert "f1" in Run.open(tmp_path / "run/phases/2-attention").metrics()[0]
    result = load(tmp_path / "run").predict(next((data / "images/val").iterdir()))
    assert result.prediction.shape == (24, 32)
    assert len(evaluate(load(tmp_path / "run"), run.open_data()).images) == 2


def test_each_phase_keeps_what_the_one_before_has_learned(data: Path, tmp_path: Path) -> None:
    train(data, out=tmp_path / "run", wishes=WISHES)
    folders = ("phases/1-classifier", "phases/2-attention", "")
    first, second, third = (files.load_model(tmp_path / "run" / folder / files.MODEL)[0] for folder in folders)
    for name, value in first.items():
        if name.startswith(("encoder.", "classifier.")):
            assert torch.equal(value, third[name]), name
    assert not torch.equal(first["attention.score.weight"], second["attention.score.weight"])
    assert not torch.equal(second["decoder.score.weight"], third["decoder.score.weight"])


def test_a_run_goes_on_with_the_phase_it_was_in(data: Path, tmp_path: Path) -> None:
    assert carry_out(prepare_run([data], tmp_path / "run", WISHES)).finished
    resumed = prepare_resume(tmp_path / "run")
    assert resumed.job.recipe.task == "attention"
    assert carry_out_all(resumed, tmp_path / "run", lambda _: None).finished
