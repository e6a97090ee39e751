"""Class activation maps from the command's side: masks are not learned from."""

from pathlib import Path

from perpixel.runs.evaluate import evaluate
from perpixel.runs.load import load
from perpixel.runs.run import Run
from perpixel.runs.start import Wishes, train
from perpixel.training.recipe import Budget
from tests.tiny import write_tiny


def test_tags_make_a_run_that_predicts_and_is_measured(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data")
    (data / "tags.csv").write_text("image,tags\n" + "".join(f"train/{n:03},square disc\n" for n in range(5)))
    for mask in sorted((data / "masks/train").iterdir())[1:]:
        mask.unlink()
    with (data / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\nbackground: ground\n")
    wishes = Wishes(
        model="activation-maps", budget=Budget(iterations=4), batch_size=2, device="cpu", seed=1,
        settings=("width=0.0625", "validations=1"),
    )  # fmt: skip
    assert train(data, out=tmp_path / "run", wishes=wishes).finished
    run = Run.open(tmp_path / "run")
    assert "f1" in run.metrics()[0]
    assert load(tmp_path / "run").predict(next((data / "images/val").iterdir())).prediction.shape == (24, 32)
    assert len(evaluate(load(tmp_path / "run"), run.open_data()).images) == 2
