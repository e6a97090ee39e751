"""`perpixel train` with a recipe: all its stages, told one by one."""

from pathlib import Path

import pytest
import yaml

from perpixel.cli.main import main
from tests.tiny import write_tiny

STAGE = {"width": 0.0625, "crop_size": [16, 16], "batch_size": 2, "validations": 1, "options": {"padding": 1}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "tiny")


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"phases": [{"model": model, **STAGE} for model in ("fcn32s", "fcn16s")]}))
    return path


def command(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["train", *map(str, words)])
    return int(ended.value.code or 0)


def test_one_command_trains_all_stages_and_names_each(
    data: Path, staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert command(data, "--recipe", staged, "--out", run, "--iterations", 2, "--precision", "32") == 0
    told = capsys.readouterr().err
    assert "Phase 1 of 2, fcn32s" in told
    assert "Phase 2 of 2, fcn16s" in told
    assert "Took" in told
    assert (run / "model.safetensors").exists()
    assert (run / "phases" / "1-fcn32s" / "model.safetensors").exists()
    assert command("--resume", run) == 0


@pytest.mark.parametrize("words", [("--model", "segnet"), ("--preset", "quick"), ("--model", "a", "--preset", "b")])
def test_a_recipe_names_its_own_network(
    data: Path, staged: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(data, "--recipe", staged, *words) == 2
    assert "expected --recipe without --" in capsys.readouterr().err


def test_a_wrong_name_lists_the_recipes(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(data, "--recipe", "deconvnett", "--out", tmp_path / "run") == 2
    told = capsys.readouterr().err
    assert "Did you mean 'deconvnet'" in told
    assert "deeplab-v1-largefov" in told
    assert not (tmp_path / "run").exists()
