"""One label at a time: which examples there are, in which order, and what is made small."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perpixel.data.dataset import Dataset
from perpixel.data.masks import IGNORE
from perpixel.data.normalization import Normalization
from perpixel.data.spec import DatasetSpec
from perpixel.errors import DataError
from perpixel.models.transfernet import TransferNet
from perpixel.training.batches import collate
from perpixel.training.fit import fit
from perpixel.training.job import Job
from perpixel.training.machine import Plan
from perpixel.training.recipe import Recipe
from perpixel.training.transfer import (
    AttentionObjective,
    TransferObjective,
    TransferSamples,
    binary_target,
    list_examples,
)
from tests.tiny import same_weights, tiny_recipe, weights_of, write_tiny
from tests.training.test_fit import StopAfter


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"), train=6)


def opened(root: Path, **changes: object) -> Dataset:
    """Return the tiny data, where ground is background, with masks of squares alone unless told."""
    settings = {"background": "ground", "tags": "from-masks", "mask_classes": ("square",), **changes}
    return Dataset(DatasetSpec.load(root / "dataset.yaml").model_copy(update=settings), root)


def samples(root: Path, **changes: object) -> TransferSamples:
    return TransferSamples(opened(root, **changes), tiny_recipe(), seed=1, fill=(90.0, 90.0, 90.0))


def test_every_label_of_every_image_is_an_example(root: Path) -> None:
    dataset = opened(root)
    targets, sources = list_examples(dataset)
    assert {example.class_id for example in sources} == {1}
    assert {example.class_id for example in targets} == {2}
    tags = sum(int(dataset.tags(picture).sum()) for picture in dataset.pictures("train"))
    assert len(targets) + len(sources) == tags


def test_images_without_a_mask_are_targets_whatever_their_labels(root: Path, tmp_path: Path) -> None:
    (root / "few.txt").write_text("000\n001\n")
    targets, sources = list_examples(opened(root, masked="few.txt", mask_classes=None))
    assert {example.picture.name for example in sources} == {"000", "001"}
    assert {example.picture.name for example in targets} == {f"00{number}" for number in range(2, 6)}


def test_batches_alternate_between_targets_and_sources(root: Path) -> None:
    """srctgk_select_seg_binary_layer.cpp: target first; a target's pixels are all ignored."""
    shown = samples(root)
    for batch in range(6):
        for place in range(2):
            _, target, _, label = shown[2 * batch + place]
            if batch % 2:
                assert label.tolist() == [1, 0]
                assert (target != IGNORE).any()
            else:
                assert label.tolist() == [0, 1]
                assert (target == IGNORE).all()


def test_an_epoch_shows_each_example_of_a_kind_once(root: Path) -> None:
    shown = samples(root)
    _, sources = shown.examples
    drawn = [shown.example(counter)[0] for counter in range(4 * len(sources)) if counter // 2 % 2]
    assert sorted(drawn[: len(sources)], key=str) == sorted(sources, key=str)


def test_with_masks_of_everything_all_batches_are_sources(root: Path) -> None:
    shown = samples(root, mask_classes=None)
    assert all(shown.example(counter)[1] for counter in range(8))


def test_a_sample_is_a_function_of_its_number(root: Path) -> None:
    one, other = samples(root), samples(root)
    other[3]
    for first, second in zip(one[7], other[7], strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_label_is_one_and_the_unknown_stays_unknown() -> None:
    ids = np.array([[0, 1, 2, IGNORE]], np.uint8)
    assert binary_target(ids, 2).tolist() == [[0, 0, 1, IGNORE]]


def test_without_any_mask_there_is_nothing_to_carry_over(root: Path) -> None:
    (root / "none.txt").write_text("")
    with pytest.raises(DataError, match="expected masks of some classes"):
        samples(root, masked="none.txt")


class Two(nn.Module):
    """Logits of two labels and of two classes of pixels, as they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.which, self.where = nn.Parameter(torch.tensor([0.3, -0.2])), nn.Parameter(torch.tensor([0.5, -0.5]))

    def recognize(self, image: Tensor, labels: Tensor) -> Tensor:
        return self.which.expand(len(image), -1)

    def learn(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.where.view(1, 2, 1, 1).expand(len(image), -1, *image.shape[-2:])
        return self.recognize(image, labels), maps


def test_pixels_count_twice_and_those_of_targets_not_at_all() -> None:
    """attention-decoder.prototxt: loss_weight 2."""
    objective = TransferObjective(Two(), Recipe(model="transfernet"))
    image, labels = torch.zeros(1, 3, 2, 2), torch.tensor([[0.0, 1.0]])
    which = -torch.log_softmax(torch.tensor([0.3, -0.2]), 0)[1]
    where = -torch.log_softmax(torch.tensor([0.5, -0.5]), 0)[1]
    target = torch.full((1, 2, 2), IGNORE)
    torch.testing.assert_close(objective(image, target, labels), which)
    torch.testing.assert_close(objective.loss(objective.run(image, labels), target, labels), which)
    target[0, 0, 0] = 1
    torch.testing.assert_close(objective(image, target, labels), which + 2 * where)
    weighted = TransferObjective(Two(), Recipe(model="transfernet", loss_weights=(0.5, 1.0)))
    torch.testing.assert_close(weighted(image, target, labels), 0.5 * which + where)


def test_the_first_stage_learns_labels_alone() -> None:
    network = Two()
    objective = AttentionObjective(network, Recipe(model="transfernet"))
    objective(torch.zeros(1, 3, 2, 2), torch.ones(1, 2, 2).long(), torch.tensor([[1.0, 0.0]])).backward()
    assert network.which.grad is not None
    assert network.where.grad is None


def test_batches_carry_their_labels(root: Path) -> None:
    shown = samples(root)
    batch = collate([shown[number] for number in range(2)])
    assert batch.labels is not None
    assert batch.labels.sum(1).tolist() == [1, 1]


OPTIONS = {"encoder": "vgg11-bn", "stages": 3, "input_size": 32, "batch_norm": True, "classifier": "averaged"}
PHASES = {
    "tagging": {"keep": "f1", "trainable": ("encoder.*", "classifier.*")},
    "attention": {"keep": "mean_average_precision", "trainable": ("attention.*", "class_head.*")},
    "transfer": {"trainable": ("attention.*", "class_head.*", "decoder.*")},
}


def network() -> TransferNet:
    torch.manual_seed(0)
    return TransferNet(3, width=1 / 16, feature_scale=1.0, **OPTIONS)  # type: ignore[arg-type]


def job(root: Path, run: Path, task: str, **changes: object) -> Job:
    run.mkdir(parents=True, exist_ok=True)
    normalization = Normalization(mean=(100.0, 90.0, 110.0), std=(50.0, 50.0, 50.0))
    recipe = tiny_recipe(task=task, crop_size=(32, 32), **{**PHASES[task], **changes})
    return Job(recipe, opened(root), run, normalization, seed=3, plan=Plan(False, False))


@pytest.mark.parametrize("task", PHASES)
def test_each_phase_moves_its_own_part_and_nothing_else(root: Path, tmp_path: Path, task: str) -> None:
    trained = network()
    before = weights_of(trained)
    outcome = fit(trained, job(root, tmp_path, task))
    assert outcome.finished
    assert outcome.state.best > 0
    parts = tuple(pattern.removesuffix("*") for pattern in PHASES[task]["trainable"])
    moved = {name for name, value in weights_of(trained).items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith(parts) for name in moved)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(root: Path, tmp_path: Path) -> None:
    whole, part, rest = network(), network(), network()
    fit(whole, job(root, tmp_path / "whole", "transfer"))
    with pytest.MonkeyPatch.context() as patch:
        fit(part, job(root, tmp_path / "part", "transfer"), StopAfter(3, patch))
    fit(rest, job(root, tmp_path / "part", "transfer"), resume=True)
    assert same_weights(weights_of(whole), weights_of(rest))
