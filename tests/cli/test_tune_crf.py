"""`perpixel tune-crf`."""

import json
import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from perpixel.cli.main import app
from perpixel.cli.tune_crf import stopped_by_sigterm
from perpixel.crf.options import CrfOptions
from perpixel.errors import UsageError
from perpixel.runs import load
from perpixel.runs.crf import grid as crf_grid
from perpixel.runs.crf.tuned import load_tuned
from tests.labelled import network, write_data, write_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(load, "build_network", lambda _: network())
    monkeypatch.setitem(crf_grid.GRIDS, "quick", crf_grid.Grid((1,), (10,), (5, 20)))
    monkeypatch.setattr("perpixel.runs.crf.search.RATIOS", ())
    return write_run(tmp_path / "run", write_data(tmp_path / "data"))


def tune(*words: object) -> Result:
    return CliRunner().invoke(app, ["tune-crf", *map(str, words)])


def test_the_table_shows_the_network_alone_and_the_best_and_says_that_there_is_no_gain(run: Path) -> None:
    """The network is right everywhere: nothing can be gained."""
    result = tune(run)
    assert result.exit_code == 0, result.output
    assert "no CRF" in result.stdout
    assert "100.00 %" in result.stdout
    assert "No gain" in result.stderr
    assert load_tuned(run) is not None


def test_evaluate_then_warns_of_it(run: Path) -> None:
    tune(run)
    result = CliRunner().invoke(app, ["evaluate", str(run), "--crf", "auto"])
    assert result.exit_code == 0, result.output
    assert "tuned for this run" in result.stderr
    assert ("no gain" in result.stderr) == (json.loads(tune(run, "--json").stdout)["gain"] <= 0)


def test_json_holds_the_numbers_and_every_trial(run: Path) -> None:
    result = tune(run, "--json", "--images", 2, "--iterations", 2, "--spatial", 1, 2, "--normalization", "after")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["images"] == 2
    assert document["split"] == "val"
    chosen = CrfOptions.from_dict(document["crf"])
    assert (chosen.spatial, chosen.iterations, chosen.normalization) == ((1, 2), 2, "after")
    assert len(document["trials"]) == 3
    assert load_tuned(run) == chosen


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--grid", "all"], "quick, deeplab-v1"), (["--measure", "f1"], "mean-iou-near-borders")],
)
def test_unknown_words_are_refused_with_the_known_ones(run: Path, words: list[str], said: str) -> None:
    result = tune(run, *words)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
    assert not (run / "crf.yaml").exists()


def test_a_broken_image_makes_the_code_1(run: Path) -> None:
    (run.parent / "data/images/val/0.png").write_bytes(b"no image")
    result = tune(run)
    assert result.exit_code == 1
    assert "Failed: val/0" in result.stderr


def test_sigterm_ends_it_as_ctrl_c_does_and_later_is_itself_again() -> None:
    """The predictions kept for it on disk, hundreds of megabytes, must not stay behind."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stopped_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
