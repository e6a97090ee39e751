"""`perpixel train`: from a folder of images and masks to a trained network."""

import math
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perpixel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from perpixel.runs.start import Prepared, Wishes
    from perpixel.training.job import Listener, Outcome
    from perpixel.training.recipe import Budget


def train_command(
    context: typer.Context,
    data: Annotated[
        list[Path] | None,
        typer.Argument(help="A data set folder, its dataset.yaml, or two folders: IMAGES MASKS."),
    ] = None,
    model: Annotated[str, typer.Option(help="A name of `perpixel models`.")] = "unet-same",
    out: Annotated[Path | None, typer.Option(help="The run directory to make; under runs/ if not given.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run as if it had never stopped.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="quick (CPU, minutes), strong (GPU, hours) or paper (as its authors trained it)."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="A paper's training, in all its stages (`perpixel models --recipes`), or a FILE.yaml."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Begin from a name of `perpixel weights list`, a run, a file, or none; PART=… once for "
            "each part of a network of several."
        ),
    ] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Budget in weight updates.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Budget in passes over the training images.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget in minutes; the schedule fits itself.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images in one step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    crop_size: Annotated[
        tuple[int, int] | None, typer.Option(help="H W of training crops, as the network sees them.")
    ] = None,
    precision: Annotated[str, typer.Option(help="auto (the fastest, measured), 32 or bf16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Processes, one a device.")] = 1,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that prepare batches.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of everything random.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the recipe, e.g. optimizer.weight_decay=0.1"),
    ] = None,
) -> None:
    """Train a network on images and masks.

    Ctrl-C stops after the current step; `--resume RUN` goes on from there.

    Example: perpixel train photos/ masks/ --minutes 30 --out runs/mine
    """
    if devices > 1 and "RANK" not in os.environ:
        _start_processes(devices)
    from rich.console import Console

    rank = int(os.environ.get("RANK", "0"))
    console = Console(stderr=True, quiet=rank > 0, markup=False, highlight=False, soft_wrap=True)
    if resume is not None:
        if data:
            raise UsageError("train: expected DATA or --resume, got both. A resumed run knows its data.")
        _refuse_changes(context)
        _finish(resume, _resume(resume, console), console)
        return
    if not data:
        raise UsageError("train: expected DATA, got none. For example: perpixel train photos/ masks/ --out runs/mine")
    if recipe is not None:
        _refuse_two_networks(context)
    from perpixel.runs.initial_weights import parse_sources
    from perpixel.runs.start import Wishes

    wishes = Wishes(
        model=model, preset=preset, recipe=recipe, weights=parse_sources(weights or ()),
        budget=_budget(iterations, epochs, minutes), batch_size=batch_size,
        learning_rate=learning_rate, crop_size=crop_size, precision=_precision(precision),
        device=_one_of("--device", device, ("auto", "cpu", "cuda")), workers=workers, seed=seed,
        settings=tuple(settings or ()),
    )  # fmt: skip
    out = out or _free_name(Path("runs"), f"{data[0].resolve().name}-{Path(recipe).stem if recipe else model}")
    _finish(out, _train(data, out, wishes, console), console)


def _train(data: list[Path], out: Path, wishes: "Wishes", console: "Console") -> "Outcome":
    from perpixel.cli.progress import Counter
    from perpixel.cli.weights import fetch_if_known
    from perpixel.runs.start import carry_out_all, prepare_run

    fetch_if_known(wishes.weights)
    with Counter("Reading the training images once") as counter:
        prepared = prepare_run(data, out, wishes, counter)
    introduce(prepared, out, console)
    return carry_out_all(prepared, out, _announced(out, console, introduced=True))


def _resume(path: Path, console: "Console") -> "Outcome":
    from perpixel.runs.start import carry_out_all, prepare_resume

    return carry_out_all(prepare_resume(path), path, _announced(path, console))


def _announced(run: Path, console: "Console", introduced: bool = False) -> "Callable[[Prepared], Listener]":
    """Return what tells of each stage as it begins, and makes its listener; the first may be introduced already."""
    from perpixel.runs.phases import phases_of

    first = [introduced]

    def announce(prepared: "Prepared") -> "Listener":
        place, phases = prepared.job.run, phases_of(run)
        if len(phases) > 1:
            number = phases.index(place) + 1
            console.print(f"Phase {number} of {len(phases)}, {prepared.job.recipe.model}: {place}", highlight=False)
        for remark in () if first.pop() else prepared.remarks:
            console.print(f"Note: {remark}", highlight=False, soft_wrap=True)
        first.append(False)
        return listener(prepared, console)

    return announce


def introduce(prepared: "Prepared", out: Path, console: "Console") -> None:
    """Say what will be trained on what."""
    job, recipe = prepared.job, prepared.job.recipe
    parameters = sum(p.numel() for p in prepared.network.parameters())
    images = {split: job.dataset.examples(split) for split in job.dataset.splits}
    pairs = ", ".join(f"{len(images[split])} {split}" for split in images)
    if not any(job.dataset.pairs(split) for split in images):
        pairs += " with tags, none with a mask"
    console.print(
        f"{job.dataset.spec.name}: {pairs}; {job.dataset.num_classes} classes: {', '.join(job.dataset.classes)}\n"
        f"{recipe.model}, preset {recipe.preset}: {parameters:,} parameters (width {recipe.width:g}), images at "
        f"{recipe.image_scale:g} of their size, crops {recipe.crop_size or 'whole'}, batches of {recipe.batch_size}\n"
        f"Into {out}; Ctrl-C stops, `perpixel train --resume {_quote(out)}` goes on.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    for remark in prepared.remarks:
        console.print(f"Note: {remark}", highlight=False, soft_wrap=True)


def listener(prepared: "Prepared", console: "Console") -> "Listener":
    """Return what shows and records a training: the terminal and TensorBoard."""
    from perpixel.cli.progress import TrainingProgress
    from perpixel.training.distributed import process_rank
    from perpixel.training.record import Listeners, TensorBoard

    progress = TrainingProgress(console)
    if process_rank() > 0:
        return progress
    try:
        dataset = prepared.job.dataset
        return Listeners(progress, TensorBoard(prepared.job.run, dataset.classes, dataset.palette))
    except ImportError:
        console.print("Curves go to metrics.csv; for TensorBoard, pip install 'perpixel[tensorboard]'.", markup=False)
        return progress


def _finish(out: Path, outcome: "Outcome", console: "Console") -> None:
    state = outcome.state
    if not outcome.finished:
        console.print(f"Stopped at iteration {state.iteration}. Go on with: perpixel train --resume {_quote(out)}")
        raise typer.Exit(130)
    console.print(
        f"Done after {state.iteration} iterations; best {100 * state.best:.1f} % at iteration "
        f"{state.best_iteration}. Next:\n  perpixel evaluate {_quote(out)}\n  perpixel predict {_quote(out)} PHOTOS "
        "--out labelled --overlay",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _refuse_changes(context: typer.Context) -> None:
    """Refuse what a resumed run would silently not heed."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    typed = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    given = ["--" + name.replace("_", "-") for name in typed if name not in ("data", "resume", "devices")]
    if given:
        raise UsageError(
            f"train: expected --resume without {', '.join(given).replace('--settings', '--set')}. A resumed run keeps "
            "its settings; for others, begin a new run from its weights: "
            f"perpixel train DATA --weights {_quote(context.params['resume'])}."
        )


def _refuse_two_networks(context: typer.Context) -> None:
    """Refuse a network or a preset beside a recipe, which names its own."""
    sources = {name: context.get_parameter_source(name) for name in ("model", "preset")}
    typed = [f"--{name}" for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if typed:
        raise UsageError(
            f"train: expected --recipe without {' and '.join(typed)}, got both. A recipe names its network; change "
            "single values with --set."
        )


def _quote(path: Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))


def _budget(iterations: int | None, epochs: float | None, minutes: float | None) -> "Budget | None":
    from perpixel.training.recipe import Budget

    given = {"iterations": iterations, "epochs": epochs, "minutes": minutes}
    chosen = {name: value for name, value in given.items() if value is not None}
    if len(chosen) > 1:
        raise UsageError(f"train: expected one budget, got {' and '.join('--' + name for name in chosen)}.")
    for name, value in chosen.items():
        if not 0 < value < math.inf:
            raise UsageError(f"--{name}: expected a number above 0, got {value}.")
    return Budget.model_validate(chosen) if chosen else None


def _precision(name: str) -> Any:
    return _one_of("--precision", name, ("auto", "32", "bf16"))


def _one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"{option}: expected one of {', '.join(known)}, got {value!r}.")
    return value


def _free_name(folder: Path, name: str) -> Path:
    """Return a name under `folder` that no run has yet."""
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{name}-{number}", number + 1
    return path


def _start_processes(count: int) -> None:
    """Start this command again, once a device, under `torchrun`."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    os.execv(sys.executable, [*words, "-m", "perpixel", *sys.argv[1:]])
