"""The training loop: one file, for any network.

    while the budget lasts:
        batch  ->  objective (network and loss)  ->  guard  ->  gradient  ->  update
        now and then: validate, keep the best weights, write a checkpoint

Everything random is a function of the seed and the iteration (`order.py`), so a checkpoint is the weights,
the optimiser's state and two counters; a run that was killed replays from its last checkpoint to the same bit.
The engine is PyTorch itself: alone, or one process a device under `torchrun`.

Letters: N batch, C channels, K classes, H W pixels.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from perpixel.errors import DataError, OutOfMemory, UsageError
from perpixel.metrics.scores import Scores
from perpixel.metrics.tags import TagScores
from perpixel.training import files
from perpixel.training.average import WeightAverage, recompute_batch_norm
from perpixel.training.batches import Batch, collate, normalize, stream
from perpixel.training.budget import Spending
from perpixel.training.distributed import World, agree, join_world, lead_value, leave_world, share_model
from perpixel.training.guard import LossGuard
from perpixel.training.job import Job, Listener, Outcome, State
from perpixel.training.machine import Plan, choose_plan
from perpixel.training.memory import free_bytes, require_memory, step_bytes
from perpixel.training.optimizer import freeze, make_optimizer, set_rate
from perpixel.training.order import iteration_seed
from perpixel.training.schedule import rate_factor
from perpixel.training.signals import stop_on_signals
from perpixel.training.tasks import TASKS

SAVE_EVERY = 60.0  # seconds between checkpoints, at least; writing may take a twentieth of the time at most


def fit(model: nn.Module, job: Job, listener: Listener | None = None, *, resume: bool = False) -> Outcome:
    """Train `model` as the recipe says, and keep its best weights in the run directory.

    Args:
        model: image (N, C, H, W) -> logits (N, K, H, W). Changed in place.
        job: Recipe, data and place.
        listener: Progress, TensorBoard and the like.
        resume: Go on from the run's `last.ckpt`.

    Raises:
        DataError: There is nothing to train or validate on.
        TrainingDiverged: The loss became non-finite or exploded.
        OutOfMemory: The batch does not fit.
    """
    world = join_world(job.device)
    try:
        with stop_on_signals() as stop:
            return Fit(model, job, listener if listener and world.leads else Listener(), world).run(resume, stop)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise OutOfMemory(
            f"train: out of memory with a batch of {job.recipe.batch_size}. Use --batch-size "
            f"{max(1, job.recipe.batch_size // 2)}, or a smaller --crop-size. ({error})"
        ) from None
    finally:
        leave_world(world)


class Fit:
    """One run of the loop. Made by `fit`."""

    def __init__(self, model: nn.Module, job: Job, listener: Listener, world: World) -> None:
        self.job, self.recipe, self.listener, self.world = job, job.recipe, listener, world
        self.model = model.to(job.device)
        freeze(self.model, self.recipe.trainable)
        weights = None if job.weights is None else torch.tensor(job.weights, dtype=torch.float32)
        self.task = TASKS[self.recipe.task]
        self.objective = self.task.objective(self.model, self.recipe, weights).to(job.device)
        self.optimizer = make_optimizer(self.model, self.recipe.optimizer)
        self.state = State()
        self.average = WeightAverage(self.model, self.recipe.average_weights)
        fill = tuple(job.normalization.mean)
        self.samples = self.task.samples(job.dataset, self.recipe, job.seed, fill, job.transform)
        self.budget = Spending.of(self.recipe, len(self.samples))
        self.images_per_iteration = self.recipe.batch_size * self.recipe.accumulate
        if self.recipe.batch_size % world.size:
            raise UsageError(
                f"train: expected a batch size that {world.size} processes can share, got "
                f"{self.recipe.batch_size}. Use a multiple of {world.size}."
            )
        self.local_batch = self.recipe.batch_size // world.size
        self.recent: list[float] = []
        self.level = 0.0
        self.save_seconds = self.validation_seconds = 0.0
        self.saved = self.began = time.monotonic()

    # ---- the loop ------------------------------------------------------------------------------------

    def run(self, resume: bool, stop: Callable[[], bool]) -> Outcome:
        """Train until the budget is spent or `stop` says so."""
        if resume:
            self.restore(files.load_checkpoint(self.job.run / files.CHECKPOINT))
        self.began -= self.state.elapsed
        batches = self.batches()
        try:
            self.prepare()
            while (progress := self.progress()) < 1.0:
                self.iterate(batches, progress)
                if self.due():
                    self.validate()
                if agree(stop(), self.world):
                    return self.end(finished=False)
                self.save_now_and_then()
            if not self.state.rows or self.state.rows[-1]["iteration"] != self.state.iteration:
                self.validate()  # the last one failed before, on a file that has been mended since
            return self.end(finished=True)
        except DataError:  # a file turned bad: nothing is lost, and the run goes on once it is mended
            if self.world.leads and self.state.iteration:
                self.save()
            raise
        finally:
            batches.close()

    def iterate(self, batches: Iterator[Batch], progress: float) -> None:
        """Make one weight update from `accumulate` batches."""
        recipe, state = self.recipe, self.state
        rate = recipe.optimizer.learning_rate * rate_factor(recipe.schedule, progress, state.iteration)
        set_rate(self.optimizer, rate)
        self.objective.auxiliary = rate_factor(recipe.auxiliary_schedule, progress, state.iteration)
        torch.manual_seed(iteration_seed(self.job.seed, state.iteration, self.world.rank))
        total = 0.0
        for _ in range(recipe.accumulate):
            batch = next(batches)
            loss = self.shared(self.image(batch.pixels), self.target(batch), self.labels(batch))
            value = float(loss.detach())
            self.guard.check(value, batch.names, state.iteration, rate)
            (loss / recipe.accumulate).backward()
            total += value / recipe.accumulate
        if recipe.clip_gradient is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_gradient)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.model, state.iteration)
        state.iteration += 1
        state.elapsed = time.monotonic() - self.began
        self.recent.append(total)
        self.listener.stepped(state, total, rate, self.progress(), self.images_per_iteration)

    def image(self, pixels: Tensor) -> Tensor:
        """Normalise stored pixels (N, H, W, C) into an image on the device."""
        stored = pixels.to(self.job.device, non_blocking=True)
        return normalize(stored, self.job.normalization).contiguous(memory_format=self.layout)

    def target(self, batch: Batch) -> Tensor:
        """Return a batch's ids on the device."""
        return batch.target.to(self.job.device).long()

    def labels(self, batch: Batch) -> Tensor | None:
        """Return a batch's labels on the device, where its task has any."""
        return None if batch.labels is None else batch.labels.to(self.job.device)

    # ---- before the first step -----------------------------------------------------------------------

    def prepare(self) -> None:
        """Measure what the machine does best, and hold the first loss against chance."""
        self.layout = torch.contiguous_format
        probe = self.probe()
        self.plan, seconds = self.measure(probe)
        self.layout = self.plan.memory_format
        self.model.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.objective.plan = self.plan
        self.shared = share_model(self.objective, self.world, self.job.device)
        self.look_at_first_loss(probe)
        self.shared.train()
        facts = {"plan": str(self.plan), "seconds_a_step": seconds, "first_loss": self.first_loss}
        self.listener.started(self.job, self.state, facts)

    def batches(self) -> Any:
        """Yield this process's batches from where the run stands."""
        start = self.state.iteration * self.images_per_iteration + self.world.rank * self.local_batch
        return stream(self.samples, self.local_batch, start, self.recipe.batch_size, self.job.workers)

    def probe(self) -> Batch:
        """Return the run's very first batch, the same on every resume."""
        return collate([self.samples[n] for n in range(self.local_batch)])

    def measure(self, probe: Batch) -> tuple[Plan, dict[str, float]]:
        """Check that a batch fits, then time a step in each format on two of its images."""
        image, target, labels = self.image(probe.pixels[:2]), self.target(probe)[:2], self.labels(probe)
        labels = None if labels is None else labels[:2]
        self.check_memory(image[:1], target[:1], None if labels is None else labels[:1])
        if self.job.plan is not None:
            return self.job.plan, {}
        asked, objective = Asked(self.objective.outputs, labels), self.objective
        return choose_plan(asked, image, lambda out: objective.loss(out, target, labels), self.job.precision)

    def check_memory(self, image: Tensor, target: Tensor, labels: Tensor | None) -> None:
        """Refuse a batch that cannot fit, with the batch and crop that would."""
        self.model.train()
        asked = Asked(self.objective.outputs, labels)
        per_image = step_bytes(asked, image, lambda out: self.objective.loss(out, target, labels))
        weights = sum(p.numel() * p.element_size() for p in self.model.parameters() if p.requires_grad)
        size = (int(image.shape[-2]), int(image.shape[-1]))
        require_memory(per_image, 4 * weights, self.local_batch, size, free_bytes(self.job.device))

    @torch.no_grad()
    def look_at_first_loss(self, probe: Batch) -> None:
        """Hold the loss of the first batch against equal probabilities for every class."""
        state = {name: value.clone() for name, value in self.model.named_buffers()}
        self.model.train()
        torch.manual_seed(iteration_seed(self.job.seed, 0))
        target, labels = self.target(probe), self.labels(probe)
        outputs = self.objective.run(self.image(probe.pixels), labels)
        blank = tuple(torch.zeros_like(logits) for logits in outputs)
        self.guard = LossGuard(float(self.objective.loss(blank, target, labels)))
        self.first_loss = float(self.objective.loss(outputs, target, labels))
        for name, value in self.model.named_buffers():
            value.copy_(state[name])
        first = self.first_loss if math.isfinite(self.first_loss) else 0.0
        self.guard.level = self.level or max(self.guard.level, first)
        if self.state.iteration == 0:
            remark = self.guard.first(self.first_loss, self.objective.ways() or self.job.dataset.num_classes)
            if remark:
                self.listener.warned(remark)

    # ---- budget --------------------------------------------------------------------------------------

    def progress(self) -> float:
        """Return the part of the budget that is spent, in [0, 1], the same on every process."""
        elapsed = self.state.elapsed
        if self.budget.iterations is None:
            elapsed = lead_value(elapsed, self.world)
        return self.budget.progress(self.state.iteration, elapsed, self.validation_seconds)

    def due(self) -> bool:
        """Return whether it is time to validate."""
        since = self.state.elapsed - (self.state.rows[-1]["seconds"] if self.state.rows else 0.0)
        return self.budget.due(self.progress(), self.state.validations, since, self.validation_seconds)

    # ---- validation ----------------------------------------------------------------------------------

    def validate(self) -> None:
        """Score the validation split, keep the weights if they are the best, and write it all down."""
        began = time.monotonic()
        with self.average.swapped_in(self.model):
            if self.recipe.batch_norm_statistics == "training-set":
                recompute_batch_norm(self.model, self.probe_batches(), lambda batch: self.objective.run(*batch))
            self.model.eval()
            scores, examples = self.task.validate(
                self.planned(), self.job.dataset, "val", self.one_image,
                self.recipe.image_scale, self.world, examples=4,
            )  # fmt: skip
            improved = self.keep_best(scores)
        self.model.train()
        self.validation_seconds = time.monotonic() - began
        self.state.elapsed = time.monotonic() - self.began
        self.state.validations = max(self.state.validations + 1, int(self.progress() * self.recipe.validations))
        self.state.rows.append(self.row(scores))
        self.recent.clear()
        if self.world.leads:
            files.write_rows(self.job.run / files.METRICS, self.state.rows)
            self.save()
        self.listener.validated(self.state, scores, examples, improved)

    def planned(self) -> nn.Module:
        """Return the model as validation runs it: in the plan's number format."""
        return _Planned(self.task.answer(self.model), self.plan, self.job.device)

    def one_image(self, pixels: NDArray[Any]) -> Tensor:
        """Normalise one image (H, W, C)."""
        return self.image(torch.from_numpy(pixels.copy())[None])

    def probe_batches(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield images of one epoch of the training set, in order, with their labels, for batch statistics."""
        size = self.recipe.batch_size
        for first in range(0, len(self.samples), size):
            batch = collate([self.samples[n] for n in range(first, first + size)])
            yield self.image(batch.pixels), self.labels(batch)

    def keep_best(self, scores: Scores | TagScores) -> bool:
        """Store the weights if no earlier validation scored as high."""
        value = getattr(scores, self.recipe.keep)
        value = -1.0 if value is None else float(value)
        improved = value > self.state.best or self.state.validations == 0
        if improved:
            self.state.best, self.state.best_iteration = value, self.state.iteration
            if self.world.leads:
                facts = {self.recipe.keep: f"{value:.6f}", "iteration": str(self.state.iteration)}
                files.save_model(self.job.run / files.MODEL, self.model.state_dict(), facts)
        return improved

    def row(self, scores: Scores | TagScores) -> dict[str, Any]:
        """Return one line of metrics.csv."""
        state = self.state
        loss = sum(self.recent) / len(self.recent) if self.recent else float("nan")
        images = state.iteration * self.images_per_iteration
        rounded = {key: _rounded(value) for key, value in scores.columns().items()}
        return {
            "iteration": state.iteration,
            "epoch": round(images / len(self.samples), 3),
            "seconds": round(state.elapsed, 1),
            "learning_rate": float(f"{self.optimizer.param_groups[0]['lr']:.6g}"),
            "train_loss": float(f"{loss:.6g}"),
            **rounded,
        }

    # ---- files ---------------------------------------------------------------------------------------

    def save_now_and_then(self) -> None:
        """Write a checkpoint when the last one is old, and writing is cheap beside training."""
        waited = time.monotonic() - self.saved
        if self.world.leads and waited >= max(SAVE_EVERY, 20 * self.save_seconds):
            self.save()

    def save(self) -> None:
        """Write everything needed to go on."""
        began = time.monotonic()
        checkpoint = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state,
            "state": vars(self.state),
            "recent": self.recent,
            "level": self.guard.level,
        }
        files.save_checkpoint(self.job.run / files.CHECKPOINT, checkpoint)
        self.saved = time.monotonic()
        self.save_seconds = self.saved - began

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Go back to where a checkpoint was written."""
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.average.state = [tensor.to(self.job.device) for tensor in checkpoint["average"]]
        self.state = State(**checkpoint["state"])
        self.recent = list(checkpoint["recent"])
        self.level = float(checkpoint["level"])

    def end(self, finished: bool) -> Outcome:
        """Write the last checkpoint and say how it ended."""
        if self.world.leads and not finished:
            self.save()
        agree(finished, self.world)  # all wait until the leader's files are whole: the next phase reads them
        self.listener.ended(self.state, finished)
        return Outcome(self.state, finished)


class Asked(nn.Module):
    """Outputs for images alone: the labels are given."""

    def __init__(self, outputs: nn.Module, labels: Tensor | None) -> None:
        super().__init__()
        self.outputs, self.labels = outputs, labels

    def forward(self, image: Tensor) -> Any:
        """Return what the outputs are for these labels."""
        return self.outputs(image, self.labels)


class _Planned(nn.Module):
    """A model that runs in the plan's number format."""

    def __init__(self, model: nn.Module, plan: Plan, device: torch.device) -> None:
        super().__init__()
        self.model, self.plan, self.device = model, plan, device

    def forward(self, image: Tensor) -> Tensor:
        with self.plan.autocast(self.device):
            logits: Tensor = self.model(image)
        return logits


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
