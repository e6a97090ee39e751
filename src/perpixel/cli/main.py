"""`perpixel`: the commands, and how they fail.

A command that cannot be carried out ends with one message and code 2; one that was carried out in part,
with code 1; `--debug` shows the traceback.
"""

import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import typer

from perpixel import __version__
from perpixel.cli.compare import compare_command
from perpixel.cli.crf import crf_command
from perpixel.cli.demo import demo_command
from perpixel.cli.evaluate import evaluate_command
from perpixel.cli.explain import explain_command
from perpixel.cli.heatmap import heatmap_command
from perpixel.cli.inspect import inspect_command
from perpixel.cli.models import models as models_command
from perpixel.cli.predict import predict_command
from perpixel.cli.subset import subset_command
from perpixel.cli.train import train_command
from perpixel.cli.tune_crf import tune_crf_command
from perpixel.cli.weights import weights_command
from perpixel.errors import PerpixelError

HELP = """A label for every pixel: train, measure and run semantic segmentation networks.

Two commands from photos and masks to a trained, measured network:

  perpixel train photos/ masks/ --out runs/mine

  perpixel predict runs/mine new-photos/ --out labelled/ --overlay
"""

# Options that take as many values as follow them: --scales 0.5 0.75 is --scales 0.5 --scales 0.75
VARIADIC = ("--scales", "--set", "--weights", "--data", "--classes")
CLUSTER = re.compile(r"auto|here|(ray://)?[A-Za-z0-9_.-]+:\d+")  # what follows --cluster, if not the next argument

app = typer.Typer(
    name="perpixel", help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]}, rich_markup_mode=None,
)  # fmt: skip


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"perpixel {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it."),
) -> None:
    """Accept `--version` before any command."""


app.command("demo")(demo_command)
app.command("inspect")(inspect_command)
app.command("subset")(subset_command)
app.command("models")(models_command)
app.command("explain")(explain_command)
app.command("weights")(weights_command)
app.command("train")(train_command)
app.command("evaluate")(evaluate_command)
app.command("compare")(compare_command)
app.command("predict")(predict_command)
app.command("crf")(crf_command)
app.command("tune-crf")(tune_crf_command)
app.command("heatmap")(heatmap_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    words = expand([word for word in given if word != "--debug"])
    try:
        sys.exit(app(words, prog_name="perpixel", standalone_mode=True))
    except KeyboardInterrupt:
        _say("Stopped.")
        sys.exit(130)
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        else:
            _say(_explain(error))
        sys.exit(2)


def _explain(error: Exception) -> str:
    """Return one message: what was raised on purpose, what the system refused, or that we erred."""
    if isinstance(error, PerpixelError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"the system refused ({error.strerror}{where}). Free space, or mend permissions, and start again."
    if isinstance(error, MemoryError):
        return "out of memory. Use smaller images, --crop-size or --tile."
    return (
        f"an error that it should have foreseen: {type(error).__name__}: {' '.join(str(error).split())}. "
        "Please report it, with what the same command says with --debug."
    )


def expand(words: Sequence[str]) -> list[str]:
    """Repeat the name of a variadic option before each of its values.

    A bare `--json` of evaluate and compare means stdout, a bare `--crf` the run's own, a bare `--cluster` RAY_ADDRESS
    or this machine.
    """
    expanded: list[str] = []
    option, values = "", 0
    for index, word in enumerate(words):
        if word.startswith("--"):
            option, values = word, 0
            expanded.append(word)
            following = words[index + 1] if index + 1 < len(words) else "--"
            if word == "--json" and words[0] in ("evaluate", "compare") and following.startswith("--"):
                expanded.append("-")
            if word == "--crf" and not _is_preset(following):
                expanded.append("auto")
            if word == "--cluster" and not CLUSTER.fullmatch(following):
                expanded.append("here")
            continue
        if option in VARIADIC and values and (_is_value(option, word) or (option == "--classes" and _has_data(words))):
            expanded.append(option)
        elif values:
            option = ""
        expanded.append(word)
        values += 1
    return expanded


def _is_value(option: str, word: str) -> bool:
    """Tell one more value of an option from an argument that follows it."""
    if option in ("--set", "--weights"):
        return "=" in word and not os.path.exists(word)
    if option == "--data":
        return os.path.isdir(word) and not os.path.exists(os.path.join(word, "run.yaml"))
    if option == "--classes":
        return not os.path.exists(word)
    try:
        float(word)
    except ValueError:
        return False
    return True


def _has_data(words: Sequence[str]) -> bool:
    """Return whether the data was named at once: then no class's name is taken for it, whatever folders there are."""
    return len(words) > 1 and not words[1].startswith("-")


def _is_preset(word: str) -> bool:
    """Tell the name of a CRF's preset, even a mistyped one, from an argument that follows."""
    from perpixel.crf.options import PRESETS

    return word in (*PRESETS, "auto") or (
        re.fullmatch(r"[a-z][a-z0-9-]*", word) is not None and not Path(word).exists()
    )


def _say(message: str) -> None:
    typer.echo(f"perpixel: {message}", err=True)
