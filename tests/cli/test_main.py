"""The command line starts at once, expands its lists, and fails in one plain message."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from perpixel.cli.main import expand, main


@pytest.mark.parametrize(
    ("given", "expanded"),
    [
        ("predict run a.jpg --scales 0.5 0.75 1", "predict run a.jpg --scales 0.5 --scales 0.75 --scales 1"),
        ("predict --scales 0.5 1 run a.jpg --out o", "predict --scales 0.5 --scales 1 run a.jpg --out o"),
        ("train d --set width=0.5 seed=1 --out o", "train d --set width=0.5 --set seed=1 --out o"),
        ("train d --weights a=x b=y --out o", "train d --weights a=x --weights b=y --out o"),
        ("train --weights none photos masks", "train --weights none photos masks"),
        ("evaluate run --json", "evaluate run --json -"),
        ("evaluate run --json --flip", "evaluate run --json - --flip"),
        ("evaluate run --json out.json", "evaluate run --json out.json"),
        ("compare run other --json", "compare run other --json -"),
        ("models --json", "models --json"),
        ("evaluate run --crf", "evaluate run --crf auto"),
        ("evaluate run --crf --flip", "evaluate run --crf auto --flip"),
        ("predict run --crf a.jpg --out o", "predict run --crf auto a.jpg --out o"),
        ("predict run --crf photos/ --out o", "predict run --crf auto photos/ --out o"),
        ("predict run a.jpg --crf deeplab-v1 --out o", "predict run a.jpg --crf deeplab-v1 --out o"),
        ("predict run a.jpg --crf deplab --out o", "predict run a.jpg --crf deplab --out o"),
        ("predict run --cluster in --out o", "predict run --cluster here in --out o"),
        ("predict run in --cluster head:6379", "predict run in --cluster head:6379"),
        ("predict run s3://b/in --cluster --out o", "predict run s3://b/in --cluster here --out o"),
        ("predict run --cluster s3://b/in", "predict run --cluster here s3://b/in"),
        ("predict run in --cluster ray://10.0.0.1:10001", "predict run in --cluster ray://10.0.0.1:10001"),
    ],
)
def test_lists_are_expanded(given: str, expanded: str) -> None:
    assert expand(given.split()) == expanded.split()


def test_two_folders_of_data_may_follow_one_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`evaluate RUN --data IMAGES MASKS`, but a run directory is no data."""
    monkeypatch.chdir(tmp_path)
    for name in ("images", "masks", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "run" / "run.yaml").touch()
    words = ["evaluate", "--data", "images", "masks", "run"]
    assert expand(words) == ["evaluate", "--data", "images", "--data", "masks", "run"]


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "expected DATA"),
        (["train", "nowhere"], "nowhere"),
        (["train", ".", "--model", "segnt"], "Did you mean 'segnet'"),
        (["train", ".", "--minutes", "3", "--epochs", "2"], "expected one budget"),
        (["train", ".", "--precision", "16"], "expected one of auto, 32, bf16"),
        (["train", "--resume", "nowhere"], "no nowhere"),
        (
            ["train", "--resume", "a b", "--iterations", "9", "--set", "width=1"],
            "without --iterations, --set. A resumed",
        ),
        (["train", ".", "--minutes", "nan"], "expected a number above 0"),
        (["evaluate", "nowhere"], "no nowhere"),
        (["predict", "nowhere", "x.jpg", "--out", "o"], "no nowhere"),
        (["inspect", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "runs/a/last.ckpt"), "No space left on device: runs/a/last.ckpt"),
        (RuntimeError("shapes\ndiffer"), "RuntimeError: shapes differ. Please report it"),
    ],
)
def test_what_nobody_foresaw_is_said_in_one_message_too(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("perpixel.cli.main.app", fail)
    assert call("models") == 2
    assert message in capsys.readouterr().err
    assert call("models", "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_every_command_helps_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("demo", "inspect", "models", "train", "evaluate", "predict"):
        assert call(command, "--help") == 0
        assert f"perpixel {command}" in capsys.readouterr().out


def test_starting_imports_nothing_heavy() -> None:
    """`perpixel --help` answers before PyTorch could be loaded."""
    code = (
        "import sys, perpixel.cli.main; print([m for m in ('torch', 'numpy', 'PIL', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_waiting_threads_spin_briefly_and_then_sleep_unless_told_otherwise() -> None:
    """Said before PyTorch is loaded; a policy that is already set stays as it is."""
    code = "import perpixel, os; print(os.environ['OMP_WAIT_POLICY'], os.environ.get('GOMP_SPINCOUNT'))"
    for given, expected in (({}, "PASSIVE 10000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None")):
        environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
        done = subprocess.run(
            [sys.executable, "-c", code], env={**environment, **given}, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected
