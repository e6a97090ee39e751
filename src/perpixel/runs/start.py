"""Start a run or go on with one: data, recipe and network come together here."""

import inspect
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perpixel.data.dataset import Dataset, open_dataset
from perpixel.data.images import image_size
from perpixel.data.normalization import Normalization
from perpixel.data.spec import DatasetSpec
from perpixel.data.transforms import Transform
from perpixel.errors import UsageError
from perpixel.losses.class_balance import class_weights
from perpixel.models.catalog import find
from perpixel.recipes.choose import choose_stages
from perpixel.recipes.everyday import DataFacts
from perpixel.recipes.find import find_recipe
from perpixel.recipes.segnet import CAMVID_CLASSES, CAMVID_MEDIAN_FREQUENCY
from perpixel.recipes.stages import Stages, share_budget, with_peak_rate
from perpixel.runs.checks import (
    left_out,
    make_run_folder,
    require_empty,
    require_labels,
    require_masks,
    require_splits,
    tag_remarks,
)
from perpixel.runs.initial_weights import Source, choose_source, load_initial_weights
from perpixel.runs.orientation import is_upright
from perpixel.runs.phases import first_unfinished, phase_folders, phase_name, phases_of, relative_source
from perpixel.runs.run import DATASET, Record, Run, build_network, command_line, versions, write_record
from perpixel.runs.statistics import with_statistics
from perpixel.training import files
from perpixel.training.distributed import process_rank
from perpixel.training.fit import fit
from perpixel.training.job import Job, Listener, Outcome, State
from perpixel.training.machine import Plan, Precision, choose_device, keep_freed_memory
from perpixel.training.recipe import Budget, Recipe, with_settings
from perpixel.training.record import Listeners
from perpixel.training.tasks import TASKS

SAMPLED_SIZES = 64
OWN_PRESETS = ("quick", "strong")
OUTLINED = ("per-label", "transfer")  # tasks that learn outlines of one label at a time


@dataclass(frozen=True)
class Wishes:
    """What a user asked for; None leaves a choice to the preset or to the machine.

    A `recipe` names its networks itself: `model` and `preset` are then not looked at.
    """

    model: str = "unet-same"
    preset: str | None = None
    recipe: str | None = None
    weights: Source | None = None
    budget: Budget | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    crop_size: tuple[int, int] | None = None
    precision: Precision = "auto"
    device: str = "auto"
    workers: int | None = None
    seed: int = 0
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to be trained, or one stage of it."""

    network: nn.Module
    job: Job
    record: Record
    remarks: tuple[str, ...] = ()
    resumed: bool = False


def train(
    *data: Path | str,
    out: Path | str,
    wishes: Wishes | None = None,
    listener: Listener | None = None,
    transform: Transform | None = None,
) -> Outcome:
    """Train a network on a folder of images and masks, into the run directory `out`.

    Args:
        data: A data set (see `open_dataset`), or two folders, images and masks.
        out: A new or empty directory.
        wishes: Model, preset, budget and the like.
        listener: Told of the progress.
        transform: Your own change of a crop and its target, after the recipe's; see
            `perpixel.data.transforms.from_albumentations`. It is not stored: give it again to `resume`.

    Raises:
        DataError: The data cannot be used; every reason is listed.
        UsageError: The wishes cannot be met.
    """
    prepared = prepare_run([Path(path) for path in data], Path(out), wishes or Wishes())
    return carry_out_all(prepared, Path(out), lambda _: listener, transform)


def resume(path: Path | str, listener: Listener | None = None, transform: Transform | None = None) -> Outcome:
    """Go on with a run that was stopped, in whichever stage it was, as if it never had been."""
    return carry_out_all(prepare_resume(Path(path)), Path(path), lambda _: listener, transform)


def carry_out_all(
    prepared: Prepared,
    run: Path,
    listen: Callable[[Prepared], Listener | None],
    transform: Transform | None = None,
) -> Outcome:
    """Train a prepared stage of `run`, then those after it; an ordinary run has one.

    Args:
        prepared: By `prepare_run` or `prepare_resume`.
        run: The run's directory; the last stage's.
        listen: Makes the listener of each stage.
        transform: As in `train`.
    """
    place = prepared.job.run
    outcome = carry_out(prepared, listen(prepared), transform)
    phases = phases_of(run)
    for path in phases[phases.index(place) + 1 :]:
        if not outcome.finished:
            break
        del prepared  # one network at a time
        prepared = _open(path)
        outcome = carry_out(prepared, listen(prepared), transform)
    return outcome


def carry_out(prepared: Prepared, listener: Listener | None = None, transform: Transform | None = None) -> Outcome:
    """Train one prepared stage."""
    keep_freed_memory()
    listeners = Listeners(RememberPlan(prepared.record), listener or Listener())
    job = replace(prepared.job, transform=transform)
    return fit(prepared.network, job, listeners, resume=prepared.resumed)


class RememberPlan(Listener):
    """Write down what was measured at the start, so that a resumed run computes in the same way, and the end."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.run: Path | None = None

    def started(self, job: Job, state: State, facts: dict[str, Any]) -> None:
        """Add the plan to `run.yaml`."""
        self.run = job.run
        self.record = self.record.model_copy(update={"plan": facts["plan"]})
        write_record(job.run, self.record)

    def ended(self, state: State, finished: bool) -> None:
        """Say there that this stage is done, so that the next may begin."""
        if finished and self.run is not None:
            write_record(self.run, self.record.model_copy(update={"finished": True}))


def prepare_run(
    data: list[Path], out: Path, wishes: Wishes, advance: Callable[[int, int], None] | None = None
) -> Prepared:
    """Decide everything and write the records of the run and of its stages; nothing is trained yet.

    Returns: The first stage, ready to be trained.
    """
    if wishes.recipe is None:
        find(wishes.model)
    else:
        for stage in find_recipe(wishes.recipe):
            find(stage.model)
    leads = process_rank() == 0
    if leads:
        require_empty(out)
    dataset = open_dataset(*data, progress=advance)
    require_splits(dataset)
    device = choose_device(wishes.device)
    stages = _stages(wishes, dataset, device)
    from_masks = any(TASKS[stage.task].from_masks for stage in stages)
    if from_masks:
        require_masks(dataset, stages[-1].model)
    if any(stage.task != "segmentation" for stage in stages):
        require_labels(dataset, stages[-1].model, outlined=any(stage.task in OUTLINED for stage in stages))
    spec = with_statistics(dataset, advance)
    source, remarks = choose_source(wishes.weights, stages[0])
    remarks += _pixels_remark(stages[0], source)
    folders = phase_folders(out, [phase_name(stage) for stage in stages])
    shared = _shared_facts(data, wishes, dataset, device)
    records = [_stage_record(number, stages, folders, spec, source, shared) for number in range(len(stages))]
    network = _fresh_network(records[0])
    if source != "none":
        remarks += (load_initial_weights(network, source, records[0].normalization),)
    remarks += left_out(dataset, from_masks) + _mirrored(stages[0])
    if any(stage.task != "segmentation" for stage in stages):
        remarks += tag_remarks(dataset)
    if leads:
        for folder, record in zip(folders, records, strict=True):
            make_run_folder(folder)
            spec.save(folder / DATASET)
            write_record(folder, record)
    return Prepared(network, _job(records[0], dataset, folders[0], device), records[0], remarks)


def _shared_facts(data: list[Path], wishes: Wishes, dataset: Dataset, device: torch.device) -> dict[str, Any]:
    """Return what the records of all stages have in common."""
    return {
        **versions(), "command": command_line(), "seed": wishes.seed, "device": str(device),
        "precision": wishes.precision,
        "workers": wishes.workers if wishes.workers is not None else 0 if device.type == "cpu" else 4,
        "data": tuple(str(path.resolve()) for path in data), "root": str(dataset.root.resolve()),
        "fingerprint": dataset.fingerprint(), "num_classes": dataset.num_classes, "in_channels": dataset.channels,
    }  # fmt: skip


def _stage_record(
    number: int, stages: Stages, folders: tuple[Path, ...], spec: DatasetSpec, source: Source, shared: dict[str, Any]
) -> Record:
    recipe = stages[number]
    return Record(
        **shared,
        initial_weights=source if number == 0 else "none",
        previous=relative_source(folders[number], folders[number - 1]) if number else None,
        normalization=_normalization(recipe, spec),
        class_weights=_class_weights(recipe, spec),
        recipe=recipe,
    )


def prepare_resume(path: Path) -> Prepared:
    """Open a run where its last checkpoint left it, in whichever stage that was.

    Raises:
        RunError: It is finished, has no checkpoint, or its data is gone.
    """
    return _open(first_unfinished(path))


def _open(path: Path) -> Prepared:
    """Open one stage of a run, or an ordinary run."""
    run = Run.open(path)
    dataset = run.open_data()
    remarks: tuple[str, ...] = ()
    if dataset.fingerprint() != run.record.fingerprint:
        remarks = ("The data set has changed since this run began: what follows is not what the run would have been.",)
    device = choose_device(run.record.device.partition(":")[0])
    started = (path / files.CHECKPOINT).exists()
    network = _fresh_network(run.record)
    if not started and run.record.previous is not None:
        remarks += (load_initial_weights(network, os.path.normpath(path / run.record.previous)),)
    elif not started and run.record.initial_weights != "none":
        load_initial_weights(network, run.record.initial_weights, run.record.normalization)
    job = _job(run.record, dataset, path, device)
    return Prepared(network, job, run.record, remarks, resumed=started)


def _fresh_network(record: Record) -> nn.Module:
    torch.manual_seed(record.seed)
    return build_network(record)


def _job(record: Record, dataset: Dataset, out: Path, device: torch.device) -> Job:
    return Job(
        record.recipe, dataset, out, record.normalization, record.class_weights, record.seed, device,
        record.precision, Plan.parse(record.plan) if record.plan else None, record.workers,
    )  # fmt: skip


def _stages(wishes: Wishes, dataset: Dataset, device: torch.device) -> Stages:
    """Return the recipes of all stages, with what the user changed."""
    if wishes.recipe is None:
        preset = wishes.preset or ("quick" if device.type == "cpu" else "strong")
        stages = choose_stages(wishes.model, preset, data_facts(dataset), wishes.budget, wishes.settings)
    else:
        stages = find_recipe(wishes.recipe)
        stages = stages if wishes.budget is None else share_budget(stages, wishes.budget)
    changes: dict[str, Any] = {}
    if wishes.batch_size is not None:
        changes["batch_size"] = wishes.batch_size
    if wishes.crop_size is not None:
        changes["crop_size"] = wishes.crop_size
    if wishes.learning_rate is not None:
        stages = with_peak_rate(stages, wishes.learning_rate)
    changed = (with_settings(stage.replace(**changes), list(wishes.settings)) for stage in stages)
    return tuple(_knowing_background(stage, dataset) for stage in changed)


def _knowing_background(stage: Recipe, dataset: Dataset) -> Recipe:
    """Tell a network that asks for it which class is no label; -1: every class is one.

    Raises:
        UsageError: It was told otherwise.
    """
    if "background" not in inspect.signature(find(stage.model).network).parameters:
        return stage
    background = -1 if dataset.background is None else dataset.background
    if stage.options.get("background", background) != background:
        raise UsageError(
            f"options.background: expected {background}, as the data says, got {stage.options['background']}. Say "
            "`background: NAME` in dataset.yaml, NAME one of its classes, or none."
        )
    return stage.replace(options={**stage.options, "background": background})


def data_facts(dataset: Dataset) -> DataFacts:
    """Return the number of training images, their median size and whether they are upright, from a sample."""
    pairs = dataset.examples("train")
    sample = pairs[:: max(1, len(pairs) // SAMPLED_SIZES)]
    sizes = [image_size(pair.image) for pair in sample]
    median = tuple(int(statistics.median(size[axis] for size in sizes)) for axis in (0, 1))
    return DataFacts(len(pairs), (median[0], median[1]), is_upright(dataset, sample))


def _class_weights(recipe: Recipe, spec: DatasetSpec) -> tuple[float, ...] | None:
    rule = recipe.class_weights
    if not isinstance(rule, str):
        if len(rule) != len(spec.classes):
            raise UsageError(f"class_weights: expected {len(spec.classes)} values, one a class, got {len(rule)}.")
        if not any(rule):
            raise UsageError("class_weights: expected a weight above 0, got only 0. Nothing would be learned.")
        return rule
    if rule == "none":
        return None
    if recipe.preset == "paper" and rule == "median-frequency" and tuple(spec.classes) == CAMVID_CLASSES:
        return CAMVID_MEDIAN_FREQUENCY
    counts = class_weights(rule, spec.pixel_counts or (), spec.image_pixel_counts or ())
    return tuple(round(float(weight), 6) for weight in counts)


def _mirrored(recipe: Recipe) -> tuple[str, ...]:
    """Say so where our own presets found no up and down."""
    if recipe.preset not in OWN_PRESETS or not recipe.augmentation.vertical_flip:
        return ()
    return (
        "Images look alike above and below: they are mirrored both ways, transposed, and kept at one scale. If yours "
        "have an up: --set augmentation.vertical_flip=0 augmentation.transpose=0 augmentation.scale=[0.6,1.8].",
    )


def _pixels_remark(recipe: Recipe, source: Source) -> tuple[str, ...]:
    """Warn of pixels in the units of weights that are not there: fresh ones expect about unit variance."""
    given = recipe.normalization
    if source != "none" or recipe.initial_weights == "none" or given == "data" or max(given.std) > 1:
        return ()
    return (
        "The recipe's pixels are as its pretrained weights expect them, a hundred times as large as fresh weights do; "
        "where training diverges, use --set normalization=data.",
    )


def _normalization(recipe: Recipe, spec: DatasetSpec) -> Normalization:
    if recipe.normalization == "data":
        return Normalization.from_statistics(spec.mean or (0.0,), spec.std or (1.0,))
    if recipe.normalization.channels != spec.channels:
        raise UsageError(
            f"train: {recipe.model}'s recipe is for {recipe.normalization.channels} channels, the images have "
            f"{spec.channels}. Use --set normalization=data."
        )
    return recipe.normalization
