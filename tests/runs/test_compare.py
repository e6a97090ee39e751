"""Runs beside one another."""

import shutil
from pathlib import Path

import pytest

from perpixel.data.dataset import open_dataset
from perpixel.errors import RunError, UsageError
from perpixel.runs.compare import compare, pick
from perpixel.runs.evaluate import evaluate
from perpixel.runs.load import load
from perpixel.runs.start import Wishes, train
from perpixel.training.files import MODEL
from perpixel.training.recipe import Budget
from tests.tiny import write_tiny

TAGS = "image,tags\n" + "".join(f"train/{number:03},square disc\n" for number in range(5))


def trained(data: Path, run: Path, model: str) -> Path:
    wishes = Wishes(
        model=model, budget=Budget(iterations=2), batch_size=2, device="cpu", seed=1,
        settings=("width=0.0625", "validations=1"),
    )  # fmt: skip
    train(data, out=run, wishes=wishes)
    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = write_tiny(tmp_path / "data")
    (root / "tags.csv").write_text(TAGS)
    return root


def test_each_run_is_measured_as_if_alone_and_says_what_it_learned_from(data: Path, tmp_path: Path) -> None:
    plain = trained(data, tmp_path / "plain", "fcn8s")
    for mask in sorted((data / "masks/train").iterdir())[2:]:
        mask.unlink()
    with (data / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\nmask_classes: [square]\nbackground: ground\n")
    maps, decoupled = trained(data, tmp_path / "maps", "activation-maps"), trained(data, tmp_path / "d", "decouplednet")
    dataset = open_dataset(data)
    pairs = pick(dataset, "val", 2)
    rows = list(compare([plain, maps, decoupled], dataset, shown=pairs))
    assert [(row.model, row.masks, row.tags) for row in rows[1:]] == [("activation-maps", 0, 5), ("decouplednet", 2, 3)]
    assert [row.unmasked for row in rows] == [(), ("square", "disc"), ("disc",)]
    for row in rows:
        alone = evaluate(load(row.run), dataset)
        assert row.evaluation.scores.mean_iou == alone.scores.mean_iou
        assert [found.shape for found in row.predictions] == [(24, 32), (24, 32)]
    document = rows[2].to_json()
    assert document["unmasked_mean_iou"] == document["per_class"]["disc"]
    assert (document["training_masks"], document["training_tags_alone"]) == (2, 3)


def test_a_network_of_masks_learned_from_no_tags_though_its_data_has_some(data: Path, tmp_path: Path) -> None:
    with (data / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\nbackground: ground\n")
    for mask in sorted((data / "masks/train").iterdir())[2:]:
        mask.unlink()
    (row,) = compare([trained(data, tmp_path / "run", "fcn8s")], open_dataset(data))
    assert (row.masks, row.tags) == (2, 0)


def test_no_run_is_measured_where_a_later_one_cannot_be(data: Path, tmp_path: Path) -> None:
    first = trained(data, tmp_path / "first", "fcn8s")
    second = shutil.copytree(first, tmp_path / "second")
    (second / MODEL).unlink()
    done: list[int] = []
    with pytest.raises(RunError, match=r"second has no model\.safetensors yet"):
        list(compare([first, second], open_dataset(data), advance=lambda number, _: done.append(number)))
    assert done == []


def test_runs_of_other_classes_are_refused_by_name(data: Path, tmp_path: Path) -> None:
    run = trained(data, tmp_path / "run", "fcn8s")
    text = (data / "dataset.yaml").read_text()
    (data / "dataset.yaml").write_text(text.replace("disc", "ring"))
    with pytest.raises(UsageError, match="disc, ring not in both"):
        list(compare([run], open_dataset(data)))


def test_images_to_look_at_are_spread_over_the_split(data: Path) -> None:
    dataset = open_dataset(data)
    names = [pair.name for pair in dataset.pairs("train")]
    assert [pair.name for pair in pick(dataset, "train", 3)] == [names[0], names[2], names[4]]
    assert len(pick(dataset, "train", 99)) == 5


def test_images_that_cannot_be_read_are_not_looked_at(data: Path) -> None:
    dataset = open_dataset(data)
    damaged = dataset.pairs("train")[2]
    damaged.image.write_bytes(b"no image")
    assert [pair.id for pair in pick(dataset, "train", 5)] == [
        pair.id for pair in dataset.pairs("train") if pair != damaged
    ]
