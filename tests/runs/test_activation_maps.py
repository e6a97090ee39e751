"""Class activation maps from the command's side: masks are not learned from."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from perpixel.errors import DataError
from perpixel.runs.evaluate import evaluate
from perpixel.runs.evaluate_tags import evaluate_tags
from perpixel.runs.load import load
from perpixel.runs.run import Run
from perpixel.runs.start import Wishes, train
from perpixel.training.recipe import Budget
from tests.tiny import write_tiny

WISHES = Wishes(
    model="activation-maps", budget=Budget(iterations=4), batch_size=2, device="cpu", seed=1,
    settings=("width=0.0625", "validations=1"),
)  # fmt: skip


@pytest.fixture
def unmasked(tmp_path: Path) -> Path:
    """Write images and their tags, and nothing else."""
    root = write_tiny(tmp_path / "data")
    shutil.rmtree(root / "masks")
    (root / "dataset.yaml").write_text(
        "images: images/{split}\nsplits: [train, val]\nclasses: [ground, square, disc]\ntags: tags.csv\n"
        "background: ground\n"
    )
    names = [f"{split}/{number:03}" for split, count in (("train", 5), ("val", 2)) for number in range(count)]
    (root / "tags.csv").write_text("image,tags\n" + "".join(f"{name},square disc\n" for name in names))
    return root


@pytest.mark.parametrize("encoder", ["vgg11-bn", "resnet18"])
def test_tags_alone_make_a_run_that_predicts(unmasked: Path, tmp_path: Path, encoder: str) -> None:
    wishes = replace(WISHES, settings=(*WISHES.settings, f"options.encoder={encoder}"))
    assert train(unmasked, out=tmp_path / "run", wishes=wishes).finished
    run = Run.open(tmp_path / "run")
    assert float(run.metrics()[0]["f1"]) >= 0
    assert run.dataset_spec.mean is not None
    assert load(tmp_path / "run").predict(next((unmasked / "images/val").iterdir())).prediction.shape == (24, 32)
    found = evaluate_tags(load(tmp_path / "run"), run.open_data())
    assert found.scores.f1 == pytest.approx(float(run.metrics()[-1]["f1"]), abs=1e-6), "as validation had it"


@pytest.mark.parametrize("model", ["fcn8s", "decouplednet", "transfernet"])
def test_networks_that_need_masks_refuse_tags_alone(unmasked: Path, tmp_path: Path, model: str) -> None:
    with pytest.raises(DataError, match=f"{model} learns from masks, and data has tags alone"):
        train(unmasked, out=tmp_path / "run", wishes=replace(WISHES, model=model))
    assert not (tmp_path / "run").exists()


def test_tags_make_a_run_that_predicts_and_is_measured(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data")
    (data / "tags.csv").write_text("image,tags\n" + "".join(f"train/{n:03},square disc\n" for n in range(5)))
    for mask in sorted((data / "masks/train").iterdir())[1:]:
        mask.unlink()
    with (data / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\nbackground: ground\n")
    assert train(data, out=tmp_path / "run", wishes=WISHES).finished
    run = Run.open(tmp_path / "run")
    assert "f1" in run.metrics()[0]
    assert load(tmp_path / "run").predict(next((data / "images/val").iterdir())).prediction.shape == (24, 32)
    assert len(evaluate(load(tmp_path / "run"), run.open_data()).images) == 2
