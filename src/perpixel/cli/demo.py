"""`perpixel demo`: embedded data, a network trained, measured and shown, in a minute or two."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perpixel.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from perpixel.runs.evaluate import Evaluation
    from perpixel.training.job import Outcome

SCENES = {"train": 320, "val": 24, "test": 40}
IMAGE_SIZE = (128, 160)
SEED = 0
# A minute sees every scene some eight times: there is nothing to overfit, and variation would only slow it down.
SETTINGS = (
    "image_scale=1", "crop_size=[112,144]", "batch_size=4", "validations=4", "augmentation.scale=[1,1]",
    "augmentation.color=0", "class_weights=enet", "optimizer.learning_rate=0.003",
)  # fmt: skip


def demo_command(
    out: Annotated[Path, typer.Option(help="Where everything goes; made where it is missing.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(help="How long to train.", min=0.02)] = 1.35,
) -> None:
    """Draw street scenes, train a network on them, measure it on scenes it never saw, and show a page.

    Nothing is downloaded.

    Example: perpixel demo --out demo
    """
    from rich.console import Console

    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    _prepare(out)
    scenes = _draw(out / "scenes")
    outcome = _train(scenes, out / "run", minutes, console)
    if not outcome.finished:
        console.print(f"Stopped. Go on with: perpixel train --resume {out / 'run'}")
        raise typer.Exit(130)
    evaluation, page = _measure(out / "run", scenes, out / "report")
    from perpixel.cli.evaluate import show

    show(evaluation, Console(highlight=False, soft_wrap=True))
    typer.echo(f"\nThe page with pictures, curves and the table: {page.resolve()}")
    typer.echo(f"Your turn: perpixel train PHOTOS MASKS   or   perpixel predict {out / 'run'} PHOTO --out labelled")


def _prepare(out: Path) -> None:
    """Take a new folder, or one that an earlier demo made, which is then replaced."""
    import shutil

    made = {"scenes", "run", "report"}
    present = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if out.exists() and (not out.is_dir() or not present <= made):
        raise UsageError(f"demo: {out} holds other things. Name another folder with --out.")
    for name in present:
        shutil.rmtree(out / name)


def _draw(folder: Path) -> Path:
    from perpixel.cli.progress import Counter
    from perpixel.data.synthetic import write_scenes

    with Counter("Drawing street scenes") as counter:
        write_scenes(folder, SCENES, IMAGE_SIZE, SEED, counter)
    return folder


def _train(scenes: Path, run: Path, minutes: float, console: "Console") -> "Outcome":
    from perpixel.cli.train import introduce, listener
    from perpixel.runs.start import Wishes, carry_out, prepare_run
    from perpixel.training.recipe import Budget

    wishes = Wishes(preset="quick", budget=Budget(minutes=minutes), seed=SEED, settings=SETTINGS)
    prepared = prepare_run([scenes], run, wishes)
    introduce(prepared, run, console)
    return carry_out(prepared, listener(prepared, console))


def _measure(run: Path, scenes: Path, report: Path) -> tuple["Evaluation", Path]:
    from perpixel.cli.progress import Counter
    from perpixel.reports.evaluation import write_report
    from perpixel.runs.evaluate import evaluate
    from perpixel.runs.load import load_run
    from perpixel.runs.run import Run

    opened = Run.open(run)
    with Counter("Measuring on unseen scenes") as counter:
        evaluation = evaluate(load_run(opened), opened.open_data(scenes), "test", examples=4, advance=counter)
    return evaluation, write_report(evaluation, report, "perpixel demo", opened.metrics())
