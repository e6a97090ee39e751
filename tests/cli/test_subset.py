"""`perpixel subset`: a few-label split from the command line."""

from pathlib import Path

import pytest

from perpixel.cli.main import expand, main
from perpixel.data.dataset import open_dataset
from tests.tiny import write_tiny


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "tiny")


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_it_writes_a_data_set_and_says_what_is_kept(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("subset", data, "--masks", 2, "--out", tmp_path / "few") == 0
    printed = capsys.readouterr()
    assert "2 of 5 training masks are kept" in printed.out
    assert printed.out.splitlines()[-1].split() == ["disc", "2"]
    assert len(open_dataset(tmp_path / "few").pairs("train")) == 2


def test_a_class_in_too_few_masks_is_named_on_stderr(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("subset", data, "--masks-per-class", 9, "--out", tmp_path / "few") == 0
    assert "There are no 9 masks that show ground, square, disc." in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--classes square disc", "--classes square,disc", "--classes square --classes disc"])
def test_classes_are_named_in_three_ways(data: Path, tmp_path: Path, words: str) -> None:
    assert run("subset", data, *words.split(), "--out", tmp_path / "few") == 0
    assert open_dataset(tmp_path / "few").spec.mask_classes == ("square", "disc")


def test_a_path_after_classes_is_no_class(data: Path) -> None:
    words = ["subset", "--classes", "square", "disc", str(data)]
    assert expand(words) == ["subset", "--classes", "square", "--classes", "disc", str(data)]


def test_a_folder_of_a_class_name_is_no_data_once_the_data_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disc").mkdir()
    words = ["subset", "data", "--classes", "square", "disc"]
    assert expand(words) == ["subset", "data", "--classes", "square", "--classes", "disc"]


def test_a_class_whose_name_holds_a_comma_is_named_whole(data: Path, tmp_path: Path) -> None:
    text = (data / "dataset.yaml").read_text()
    (data / "dataset.yaml").write_text(text.replace("disc", '"disc, round"'))
    assert run("subset", data, "--classes", "square", "disc, round", "--out", tmp_path / "few") == 0
    assert open_dataset(tmp_path / "few").spec.mask_classes == ("square", "disc, round")


def test_nothing_to_choose_by_ends_with_two(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("subset", data, "--out", tmp_path / "few") == 2
    assert "Say --masks-per-class 10" in capsys.readouterr().err
