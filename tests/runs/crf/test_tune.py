"""Tuning predicts once, tries much, and leaves the best in the run."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perpixel.crf.options import CrfOptions
from perpixel.data.dataset import open_dataset
from perpixel.errors import DataError, UsageError
from perpixel.inference.options import Options
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.runs.crf import samples as crf_samples
from perpixel.runs.crf.grid import Grid
from perpixel.runs.crf.samples import Sample, measure, predict_samples, spread_evenly
from perpixel.runs.crf.search import TRIALS
from perpixel.runs.crf.tune import Plan, tune_crf
from perpixel.runs.crf.tuned import load_tuned, read_tuned
from tests.labelled import segmenter, write_data, write_run

GRID = Grid((1, 2), (10,), (5,))


def plan(**changes: Any) -> Plan:
    return Plan(**{"split": "val", "images": None, "grid": GRID, "base": CrfOptions()} | changes)


@pytest.fixture
def harmful(monkeypatch: pytest.MonkeyPatch) -> list[CrfOptions]:
    """Replace the CRF by one that spoils more rows the heavier it is; return what was tried."""
    tried: list[CrfOptions] = []

    def spoil(probabilities: np.ndarray, pixels: np.ndarray, crf: CrfOptions) -> np.ndarray:
        assert probabilities.shape[1:] == pixels.shape[:2]
        assert crf.bilateral
        tried.append(crf)
        spoiled = probabilities.copy()
        rows = min(len(pixels), 2 + math.ceil(4 * crf.bilateral[0]))
        spoiled[:, :rows] = np.roll(spoiled[:, :rows], 1, axis=0)
        return spoiled

    monkeypatch.setattr(crf_samples, "refine_with", spoil)
    return tried


def test_samples_measured_without_a_crf_score_as_the_predictions_themselves(tmp_path: Path) -> None:
    data, network = open_dataset(write_data(tmp_path / "data")), segmenter()
    samples, failed = predict_samples(network, data, data.pairs("val"), tmp_path, Options())
    table = Confusion(3)
    for pair in data.pairs("val"):
        pixels, target = data.read(pair)
        table.add(target, network.ids(network.read(pixels)))
    assert not failed
    assert measure(samples, 3, None)["mean_iou"] == Scores.from_confusion(table).mean_iou == 1.0


def test_the_band_near_borders_is_measured_apart(tmp_path: Path) -> None:
    """Of a row of twenty-two pixels with its border in the middle, the outermost are not near it."""
    target = np.repeat([0, 1], 11)[None].astype(np.uint8)
    wrong = target.copy()
    wrong[0, 0] = 1
    sample = Sample(tmp_path, 0)
    sample.write("probabilities", np.stack([wrong == 0, wrong == 1]).astype(np.float16))
    sample.write("target", target)
    sample.write("near", np.abs(np.arange(22) - 10.5)[None] < 4)
    found = measure([sample], 2, None)
    assert found["mean_iou_near_borders"] == 1.0
    assert found["pixel_accuracy"] == 21 / 22


def test_a_real_crf_is_applied_to_what_was_kept(tmp_path: Path) -> None:
    """One pixel in a plain area is called otherwise, barely: its neighbours outvote it."""
    truth = np.repeat([0, 1], 8)[None].repeat(12, 0).astype(np.uint8)
    said = truth.copy()
    said[5, 3] = 1
    sample = Sample(tmp_path, 0)
    sample.write("probabilities", np.where(np.stack([said == 0, said == 1]), 0.6, 0.4).astype(np.float16))
    sample.write("pixels", (60 + 120 * truth)[..., None].repeat(3, 2))
    sample.write("target", truth)
    sample.write("near", np.ones(truth.shape, bool))
    assert measure([sample], 2, None)["pixel_accuracy"] == 191 / 192
    assert measure([sample], 2, CrfOptions())["pixel_accuracy"] == 1.0


def test_the_best_is_kept_in_the_run_with_what_it_did_not_bring(tmp_path: Path, harmful: list[CrfOptions]) -> None:
    run = write_run(tmp_path / "run", write_data(tmp_path / "data"))
    tuning = tune_crf(run, segmenter(), open_dataset(tmp_path / "data"), plan())
    tuned = read_tuned(run)
    assert tuned == tuning.tuned
    assert tuned is not None
    assert tuned.before["mean_iou"] == 1.0
    assert tuned.gain < 0
    assert tuned.warning is not None
    assert load_tuned(run) == tuned.options
    assert tuned.options.bilateral is not None
    assert tuned.options.bilateral[0] < 1  # it went below the grid, where less is spoiled
    assert tuning.finished
    assert tuning.trials[0].crf is None  # the network alone ranks first


def test_a_rerun_tries_nothing_again(tmp_path: Path, harmful: list[CrfOptions]) -> None:
    run, data = write_run(tmp_path / "run", write_data(tmp_path / "data")), open_dataset(tmp_path / "data")
    first = tune_crf(run, segmenter(), data, plan())
    count = len(harmful)
    assert count
    assert tune_crf(run, segmenter(), data, plan()).tuned == first.tuned
    assert len(harmful) == count
    tune_crf(run, segmenter(), data, plan(options=Options(flip=True)))
    assert len(harmful) == 2 * count  # other predictions, other trials


def test_an_interruption_keeps_its_trials_and_no_half_result(
    tmp_path: Path, harmful: list[CrfOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, data = write_run(tmp_path / "run", write_data(tmp_path / "data")), open_dataset(tmp_path / "data")

    def stop(tried: int, *_: object) -> None:
        if tried == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune_crf(run, segmenter(), data, plan(), tried=stop)
    assert (run / TRIALS).exists()
    assert load_tuned(run) is None
    tune_crf(run, segmenter(), data, plan())
    assert load_tuned(run) is not None


def test_a_broken_image_is_named_and_left_out(tmp_path: Path, harmful: list[CrfOptions]) -> None:
    run = write_run(tmp_path / "run", write_data(tmp_path / "data"))
    (tmp_path / "data/images/val/2.png").write_bytes(b"no image")
    tuning = tune_crf(run, segmenter(), open_dataset(tmp_path / "data"), plan())
    assert [failure.source for failure in tuning.failed] == ["val/2"]
    assert tuning.tuned.images == 3


def test_a_full_disk_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run", write_data(tmp_path / "data"))
    monkeypatch.setattr(crf_samples, "SPARE", 10**18)
    with pytest.raises(DataError, match="Set TMPDIR"):
        tune_crf(run, segmenter(), open_dataset(tmp_path / "data"), plan())


def test_some_images_of_a_split_come_from_all_over_it(tmp_path: Path) -> None:
    pairs = open_dataset(write_data(tmp_path, count=9)).pairs("val")
    assert [pair.name for pair in spread_evenly(pairs, 3)] == ["0", "4", "8"]
    assert spread_evenly(pairs, None) == spread_evenly(pairs, 20) == list(pairs)


def test_a_plan_says_which_measures_there_are() -> None:
    with pytest.raises(UsageError, match="mean-iou, mean-iou-near-borders, pixel-accuracy"):
        plan(measure="iou")
