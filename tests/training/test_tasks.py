"""Training from tags, and for each label."""

from pathlib import Path

import numpy as np
import pytest
import torch

from perpixel.data.dataset import open_dataset
from perpixel.data.masks import IGNORE
from perpixel.data.normalization import Normalization
from perpixel.models.decouplednet import DecoupledNet
from perpixel.training import files
from perpixel.training.batches import collate
from perpixel.training.fit import fit
from perpixel.training.job import Job
from perpixel.training.machine import Plan
from perpixel.training.per_label import LabelSamples, PerLabel
from perpixel.training.recipe import Recipe
from perpixel.training.tagging import TaggedSamples, Tagging
from perpixel.training.tasks import TASKS
from tests.tiny import CLASSES, tiny_recipe, weights_of, write_tiny
from tests.training.test_fit import StopAfter

FILL = (0.0, 0.0, 0.0)
TAGGING = {"task": "tagging", "keep": "f1", "trainable": ("classifier.*",)}
PER_LABEL = {"task": "per-label", "trainable": ("bridge.*", "decoder.*")}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write five images with masks, the masks of three of them hidden, and tags of all."""
    root = write_tiny(tmp_path / "data")
    (root / "tags.csv").write_text("image,tags\n" + "".join(f"train/{n:03},square disc\n" for n in range(5)))
    (root / "masked.txt").write_text("001\n003\n")
    with (root / "dataset.yaml").open("a") as file:
        file.write("tags: tags.csv\nmasked: masked.txt\nbackground: ground\n")
    return root


def job(data: Path, run: Path, **changes: object) -> Job:
    run.mkdir(parents=True, exist_ok=True)
    normalization = Normalization(mean=(100.0, 90.0, 110.0), std=(50.0, 50.0, 50.0))
    recipe = tiny_recipe(crop_size=(32, 32), **changes)
    return Job(recipe, open_dataset(data), run, normalization, seed=3, plan=Plan(False, False))


def network() -> DecoupledNet:
    torch.manual_seed(0)
    return DecoupledNet(len(CLASSES), width=1 / 16, encoder="vgg11-bn", input_size=32, window=1)


def test_every_task_has_a_row() -> None:
    tasks = Recipe.model_fields["task"].annotation
    assert set(TASKS) == set(tasks.__args__)  # type: ignore[union-attr]


def test_tagged_samples_are_all_images_whole_with_their_tags(data: Path) -> None:
    samples = TaggedSamples(open_dataset(data), tiny_recipe(crop_size=(32, 32), **TAGGING), 0, FILL)
    assert len(samples) == 5
    batch = collate([samples[n] for n in range(5)])
    assert batch.labels is not None
    assert batch.labels.tolist() == [[1, 1]] * 5
    assert batch.pixels.shape == (5, 32, 32, 3)


def test_label_samples_are_images_with_masks_and_ask_for_what_the_crop_shows(data: Path) -> None:
    dataset = open_dataset(data)
    samples = LabelSamples(dataset, tiny_recipe(crop_size=(32, 32), **PER_LABEL), 0, FILL)
    assert len(samples) == 2
    asked = set()
    for number in range(40):
        _, target, name, labels = samples[number]  # type: ignore[misc]
        assert name in ("001", "003")
        assert set(np.unique(target)) <= {0, 1, IGNORE}
        assert bool((target == 1).any()) == bool(labels.any())
        asked.add(tuple(labels))
    assert asked >= {(1, 0), (0, 1), (1, 1)}


def test_the_foreground_is_what_the_labels_name(data: Path) -> None:
    """Squares are red and discs are blue."""
    samples = LabelSamples(open_dataset(data), tiny_recipe(crop_size=(32, 32), **PER_LABEL), 0, FILL)
    for number in range(30):
        pixels, target, _, labels = samples[number]  # type: ignore[misc]
        inside = pixels[target == 1].astype(int)
        if labels.tolist() == [1, 0]:
            assert np.median(inside[:, 0] - inside[:, 2]) > 50
        elif labels.tolist() == [0, 1]:
            assert np.median(inside[:, 0] - inside[:, 2]) < -50


def test_the_loss_of_tags_is_summed_over_labels_and_averaged_over_images() -> None:
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    logits = torch.tensor([[2.0, 0.0], [0.0, -1.0]])
    objective = Tagging(network(), tiny_recipe(**TAGGING))
    there = torch.where(labels > 0, logits.sigmoid(), 1 - logits.sigmoid())
    expected = -there.log().sum() / 2
    torch.testing.assert_close(objective.loss((logits,), torch.empty(0), labels), expected)


def test_the_loss_of_a_label_is_cross_entropy_of_two_classes() -> None:
    model = network().eval()
    objective = PerLabel(model, tiny_recipe(**PER_LABEL))
    image, labels = torch.randn(2, 3, 32, 32), torch.eye(2)
    target = torch.randint(2, (2, 32, 32))
    expected = torch.nn.functional.cross_entropy(model.segment(image, labels), target)
    torch.testing.assert_close(objective(image, target, labels), expected)


@pytest.mark.parametrize(("changes", "moving"), [(TAGGING, "classifier"), (PER_LABEL, "segmentation")])
def test_each_phase_moves_its_own_part_only(data: Path, tmp_path: Path, changes: dict, moving: str) -> None:
    model = network()
    before = weights_of(model)
    outcome = fit(model, job(data, tmp_path / "run", **changes))
    assert outcome.finished
    after = weights_of(model)
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == ({"classifier"} if moving == "classifier" else {"bridge", "decoder"})


@pytest.mark.parametrize(
    ("changes", "columns"),
    [(TAGGING, ["precision", "recall", "f1", "mean_average_precision"]), (PER_LABEL, ["mean_iou", "pixel_accuracy"])],
)
def test_metrics_hold_the_scores_of_the_task(data: Path, tmp_path: Path, changes: dict, columns: list[str]) -> None:
    fit(network(), job(data, tmp_path / "run", **changes))
    head, *rows = (tmp_path / "run" / files.METRICS).read_text().splitlines()
    assert set(columns) <= set(head.split(","))
    assert len(rows) == 3


@pytest.mark.parametrize("changes", [TAGGING, PER_LABEL], ids=["tagging", "per-label"])
def test_a_resumed_phase_is_as_if_it_had_never_stopped(
    data: Path, tmp_path: Path, changes: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, half = network(), network()
    fit(whole, job(data, tmp_path / "whole", **changes))
    halfway = job(data, tmp_path / "half", **changes)
    with monkeypatch.context() as patch:
        assert not fit(half, halfway, StopAfter(3, patch)).finished
    resumed = network()
    assert fit(resumed, halfway, resume=True).finished
    ours, theirs = weights_of(whole), weights_of(resumed)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
