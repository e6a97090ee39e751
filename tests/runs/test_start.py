"""A run begins, is written down, and can be opened again."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

import perpixel
from perpixel.data.spec import DatasetSpec
from perpixel.data.transforms import from_albumentations
from perpixel.errors import DataError, RunError, UsageError, WeightsError
from perpixel.runs.run import Run, write_record
from perpixel.runs.start import Wishes, load_initial_weights, prepare_resume, prepare_run, train
from perpixel.training.recipe import Budget
from tests.tiny import write_tiny

SMALL = Wishes(
    budget=Budget(iterations=1), batch_size=2, crop_size=(16, 16), precision="32",
    settings=("width=0.125", "validations=1"),
)  # fmt: skip


def small(**changes: object) -> Wishes:
    return Wishes(**{**vars(SMALL), **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "tiny"
    train(data, out=path, wishes=SMALL)
    return path


def test_a_run_holds_what_the_contract_lists(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {"run.yaml", "dataset.yaml", "model.safetensors", "last.ckpt", "metrics.csv"} <= names


def test_a_moved_run_still_predicts(run: Path, data: Path, tmp_path: Path) -> None:
    """Nothing in it names a path that prediction needs."""
    moved = tmp_path / "sent"
    moved.mkdir()
    for name in ("run.yaml", "dataset.yaml", "model.safetensors"):
        (moved / name).write_bytes((run / name).read_bytes())
    photo = next((data / "images/val").iterdir())
    one, other = (perpixel.load(path).predict(photo) for path in (run, moved))
    assert one.prediction.shape == (24, 32)
    assert (one.prediction == other.prediction).all()


@pytest.mark.parametrize("weights", ["none", "enet", "enet-root", "median-frequency", "[1,2,3]"])
def test_a_run_with_any_class_weights_opens_again(data: Path, tmp_path: Path, weights: str) -> None:
    wishes = small(settings=("width=0.125", f"class_weights={weights}"))
    record = prepare_run([data], tmp_path / "run", wishes).record
    assert Run.open(tmp_path / "run").record == record
    assert (record.class_weights is None) == (weights == "none")


@pytest.mark.parametrize(("weights", "said"), [("[1,2]", "got 2"), ("[0,0,0]", "above 0")])
def test_class_weights_that_cannot_train_are_refused(data: Path, tmp_path: Path, weights: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        prepare_run([data], tmp_path / "run", small(settings=("width=0.125", f"class_weights={weights}")))
    assert not (tmp_path / "run").exists()


def test_the_record_says_everything_needed_to_repeat_the_run(run: Path) -> None:
    record = yaml.safe_load((run / "run.yaml").read_text())
    assert {"perpixel", "torch", "seed", "recipe", "fingerprint", "command", "plan", "normalization"} <= set(record)
    assert record["recipe"]["width"] == 0.125


def test_statistics_are_computed_where_the_data_has_none(data: Path, run: Path) -> None:
    """The tiny data set's own description has no mean; the run's has, and counts of every class."""
    assert DatasetSpec.load(data / "dataset.yaml").mean is None
    spec = DatasetSpec.load(run / "dataset.yaml")
    assert spec.mean is not None
    assert spec.pixel_counts is not None
    assert sum(spec.pixel_counts) == 5 * 24 * 32


def test_a_users_own_transform_changes_what_is_trained_on(data: Path, tmp_path: Path) -> None:
    """Anything called like an albumentations pipeline: `t(image=, mask=)` -> a mapping."""
    seen = []

    def darker(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        seen.append(image.shape)
        return {"image": image // 2, "mask": mask}

    perpixel.train(data, out=tmp_path / "run", wishes=SMALL, transform=from_albumentations(darker))
    assert set(seen) == {(16, 16, 3)}


def test_other_folders_are_read_as_the_runs_own_data_was(run: Path, data: Path, tmp_path: Path) -> None:
    """A flat folder is measured whole, none of it set aside; its ids mean what they meant in training."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for path in (data / kind / "val").iterdir():
            (tmp_path / kind / path.name).write_bytes(path.read_bytes())
    opened = Run.open(run)
    for paths in ([tmp_path], [tmp_path / "images", tmp_path / "masks"]):
        dataset = opened.open_data(*paths)
        assert dataset.splits == ("all",)
        assert len(dataset.pairs("all")) == 2
        assert dataset.classes == opened.classes


def test_a_run_of_before_root_was_written_down_keeps_its_splits(data: Path, tmp_path: Path) -> None:
    """Its data, two folders without dataset.yaml, is recognised as it was when it began."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for path in (data / kind).glob("*/*"):
            (tmp_path / kind / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "run"
    began = prepare_run([tmp_path / "images", tmp_path / "masks"], out, SMALL)
    write_record(out, began.record.model_copy(update={"root": None}))
    resumed = prepare_resume(out)
    assert resumed.remarks == ()
    assert resumed.job.dataset.splits == began.job.dataset.splits == ("train", "val")


def test_a_run_whose_data_moved_says_what_to_do(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    record = prepare_run([data], out, SMALL).record
    write_record(out, record.model_copy(update={"data": (str(tmp_path / "gone"),)}))
    with pytest.raises(RunError, match="to resume, put it back"):
        prepare_resume(out)


@pytest.mark.parametrize(
    ("text", "reason"),
    [(b"perpixel: 0.0.1", "torch: Field required; .*; and"), (b"\xff\xfe", "codec"), (b"", "all of it: ")],
)
def test_a_record_of_another_version_says_what_does_not_fit(tmp_path: Path, text: bytes, reason: str) -> None:
    (tmp_path / "run.yaml").write_bytes(text)
    with pytest.raises(RunError, match=reason) as caught:
        Run.open(tmp_path)
    assert "another version" in str(caught.value)


def test_a_place_that_cannot_be_made_is_refused_before_the_data_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--out: expected a directory .* is a file"):
        train(tmp_path / "no data", out=tmp_path / "file" / "run", wishes=SMALL)


def test_weights_of_another_run_are_taken_where_they_fit(run: Path, data: Path, tmp_path: Path) -> None:
    """Staged training: the next network begins from the last one's weights."""
    prepared = prepare_run([data], tmp_path / "next", small(weights=str(run), seed=5))
    assert "Took" in prepared.remarks[0]
    held = Run.open(run)
    assert held.record.seed != 5
    segmenter = perpixel.load(run)
    name, value = next(iter(segmenter.network.state_dict().items()))
    assert torch.equal(prepared.network.state_dict()[name].cpu(), value.cpu())


def test_weights_that_fit_nothing_are_refused(run: Path) -> None:
    with pytest.raises(WeightsError, match="Nothing was loaded"):
        load_initial_weights(torch.nn.Linear(2, 2), str(run))


def test_a_directory_with_a_run_is_never_overwritten(run: Path, data: Path) -> None:
    with pytest.raises(UsageError, match=r"already holds a run.*--resume"):
        prepare_run([data], run, SMALL)


def test_a_directory_with_other_files_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="not empty"):
        prepare_run([data], tmp_path, SMALL)


def test_a_recipe_that_wants_weights_it_cannot_have_says_so(data: Path, tmp_path: Path) -> None:
    prepared = prepare_run([data], tmp_path / "run", small(model="segnet", preset="paper"))
    assert "fresh weights" in prepared.remarks[0]


def test_data_without_validation_is_refused_with_what_to_write(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "tiny")
    spec = DatasetSpec.load(data / "dataset.yaml")
    spec.model_copy(update={"splits": ("train",)}).save(data / "dataset.yaml")
    with pytest.raises(DataError, match=r"val: 0\.2"):
        prepare_run([data], tmp_path / "run", SMALL)


def test_a_folder_that_is_no_run_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no run\.yaml"):
        perpixel.load(tmp_path)
