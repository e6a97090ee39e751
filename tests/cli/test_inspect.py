"""`perpixel inspect`: exit codes, JSON on standard output, and nothing written that was not asked for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from perpixel.cli.inspect import inspect_command
from perpixel.data.dataset import open_dataset
from perpixel.errors import DataError

app = typer.Typer()
app.command()(inspect_command)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cells"
    for number in range(6):
        for side in ("images", "masks"):
            (root / side).mkdir(parents=True, exist_ok=True)
        ids = np.random.default_rng(number).integers(0, 2, (16, 20), dtype=np.uint8)
        Image.fromarray(ids * 200 + number).save(root / f"images/{number}.png")
        Image.fromarray(ids * 255).save(root / f"masks/{number}.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return root


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_table_is_on_stdout_and_the_sheet_beside_the_caller(data: Path) -> None:
    result = run(data)
    assert result.exit_code == 0
    assert "255 is a class" in result.stdout
    assert (Path.cwd() / "inspect-cells.png").is_file()
    assert sorted(path.name for path in data.iterdir()) == ["images", "masks"]


def test_json_is_one_document_on_stdout(data: Path) -> None:
    document = json.loads(run(data, "--json", "--no-sheet").stdout)
    assert document["pairs"] == 6
    assert [c["value"] for c in document["classes"]] == [0, 255]
    assert not list(Path.cwd().iterdir())


def test_write_writes_what_training_opens(data: Path) -> None:
    assert run(data, "--write", "--no-sheet").exit_code == 0
    assert open_dataset(data / "dataset.yaml").spec.mask_values == {0: "class_0", 255: "class_1"}
    assert run(data, "--write", "--no-sheet").exit_code == 0


def test_an_edited_dataset_yaml_stays_unless_told(data: Path) -> None:
    run(data, "--write", "--no-sheet")
    path = data / "dataset.yaml"
    path.write_text(path.read_text() + "# mine\n")
    refused = run(data, "--write", "--no-sheet")
    assert isinstance(refused.exception, DataError)
    assert "say --overwrite to replace it" in str(refused.exception)
    assert path.read_text().endswith("# mine\n")
    assert run(data, "--write", "--overwrite", "--no-sheet").exit_code == 0
    assert not path.read_text().endswith("# mine\n")


def test_pairs_left_out_end_with_1(data: Path) -> None:
    (data / "masks/3.png").write_bytes(b"broken")
    result = run(data, "--no-sheet")
    assert result.exit_code == 1
    assert "masks/3.png" in result.stdout


def test_unusable_data_ends_with_2_and_writes_nothing(data: Path) -> None:
    for path in data.glob("masks/*.png"):
        path.write_bytes(b"broken")
    result = run(data, "--write")
    assert result.exit_code == 2
    assert "not one pair can be used" in result.stdout
    assert not (data / "dataset.yaml").exists()


def test_a_sheet_goes_where_it_is_told(data: Path, tmp_path: Path) -> None:
    assert run(data, "--sheet", tmp_path / "pages" / "one.png").exit_code == 0
    assert (tmp_path / "pages" / "one.png").is_file()


def test_tags_without_masks_are_inspected_and_the_network_that_learns_from_them_is_named(data: Path) -> None:
    shutil.rmtree(data / "masks")
    (data / "tags.csv").write_text("image,tags\n" + "".join(f"{number}.png,cell\n" for number in range(6)))
    (data / "dataset.yaml").write_text(
        "images: images\nsplits: {val: 0.3}\nclasses: [background, cell]\ntags: tags.csv\n"
    )
    result = run(data)
    assert result.exit_code == 0, result.output
    assert "none; images with tags: 4 train, 2 val" in result.stdout
    assert "0 with a mask, 6 with tags only" in result.stdout
    assert "--model activation-maps" in result.stderr
    assert not list(Path.cwd().iterdir()), "there is no mask to draw"
