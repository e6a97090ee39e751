"""The demo, shrunk: scenes, a run, a report, and nothing of anyone else's touched."""

from pathlib import Path

import pytest

from perpixel.cli import demo
from perpixel.cli.main import main


@pytest.fixture(autouse=True)
def shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SCENES", {"train": 4, "val": 1, "test": 2})
    monkeypatch.setattr(demo, "IMAGE_SIZE", (32, 48))
    monkeypatch.setattr(demo, "SETTINGS", ("width=0.125", "crop_size=[16,32]", "batch_size=2", "validations=2"))


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return int(caught.value.code or 0)


def test_the_demo_leaves_a_run_and_a_page_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    assert call("demo", "--out", str(out), "--minutes", "0.02") == 0
    page = out / "report" / "index.html"
    assert str(page) in capsys.readouterr().out
    text = page.read_text()
    for part in ("<svg", "mean IoU", "pedestrian", "always "):
        assert part in text
    assert (out / "run" / "model.safetensors").exists()
    assert call("demo", "--out", str(out), "--minutes", "0.02") == 0, "a second demo replaces the first"


def test_the_demo_refuses_a_folder_that_holds_other_things(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "holiday.jpg").touch()
    assert call("demo", "--out", str(tmp_path)) == 2
    assert "Name another folder" in capsys.readouterr().err
    assert (tmp_path / "holiday.jpg").exists()
