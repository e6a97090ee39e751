"""A CRF without a name gets the run's numbers, else its paper's."""

from dataclasses import replace
from pathlib import Path

import pytest

from perpixel.crf.options import PRESETS, CrfOptions
from perpixel.errors import UsageError
from perpixel.models.catalog import MODELS
from perpixel.runs.crf.choice import PAPERS, choose_crf
from perpixel.runs.crf.tuned import Tuned, write_tuned
from perpixel.runs.run import Run
from tests.labelled import write_data, write_run


def run_of(tmp_path: Path, model: str) -> Run:
    opened = Run.open(write_run(tmp_path / "run", write_data(tmp_path / "data")))
    recipe = opened.recipe.replace(model=model)
    return replace(opened, record=opened.record.model_copy(update={"recipe": recipe}))


@pytest.mark.parametrize(
    ("model", "preset"),
    [
        ("deeplab-v1-largefov", "deeplab-v1-largefov"),
        ("deeplab-v1-4x4", "deeplab-v1"),
        ("deeplab-v2-vgg16-aspp-l", "deeplab-v2-vgg16"),
        ("deeplab-v2-resnet101", "deeplab-v2-resnet101"),
        ("deconvnet", "deconvnet"),
        ("segnet", "default"),
    ],
)
def test_a_network_has_its_papers_numbers(tmp_path: Path, model: str, preset: str) -> None:
    choice = choose_crf(run_of(tmp_path, model))
    assert choice.options == PRESETS[preset]
    assert preset in choice.source
    assert "tune-crf" in choice.source


def test_what_was_tuned_for_the_run_comes_first_and_warns_if_it_was_no_gain(tmp_path: Path) -> None:
    run, own = run_of(tmp_path, "deconvnet"), CrfOptions(bilateral=(3.0, 30.0, 7.0))
    scores = {"mean_iou": 0.6}, {"mean_iou": 0.5}
    write_tuned(run.path, Tuned(own, "mean_iou", "train", 4, *scores))
    choice = choose_crf(run)
    assert (choice.options, choice.source) == (own, "tuned for this run")
    assert choice.warning is not None
    assert "no gain" in choice.warning
    assert choose_crf(run, "pydensecrf").options == PRESETS["pydensecrf"]


def test_an_unknown_preset_is_refused_with_the_likeliest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'deeplab-v1'"):
        choose_crf(run_of(tmp_path, "segnet"), "deplab-v1")


def test_every_network_and_preset_named_exists() -> None:
    assert PAPERS.keys() <= MODELS.keys()
    assert set(PAPERS.values()) <= PRESETS.keys()
