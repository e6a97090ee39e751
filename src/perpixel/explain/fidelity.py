"""A fidelity card: a network of the catalogue beside its paper.

    paper and files  <- the docstring of its module, "Source:"
    deviations       <- the docstring, "Differs:" and "Uncertain:", and the recipe's own list
    counts, fields   <- the network itself, traced
    published score  <- the recipe

Nothing is written twice: a card is put together when it is asked for.
"""

import inspect
import re
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from perpixel.explain.layers import Explained
from perpixel.explain.papers import PAPERS, Paper
from perpixel.explain.table import compact, table
from perpixel.explain.trace import explain
from perpixel.models.catalog import Row, build, find
from perpixel.training.recipe import Recipe

DEFAULT_SIZE = (224, 224)
SECTIONS = ("Source", "Differs", "Uncertain", "Traps", "Sizes", "Letters")
SCORES = {
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
}


def explain_model(
    name: str, num_classes: int | None = None, image_size: tuple[int, int] | None = None, in_channels: int | None = None
) -> Explained:
    """Lay out a network of the catalogue, without allocating it.

    Args:
        name: One of the catalogue.
        num_classes: K; the paper's own if not given.
        image_size: (H, W); the paper's own if not given.
        in_channels: Image channels; the paper's own if not given.

    Raises:
        UsageError: There is no such network, or it takes no such image.
    """
    channels = find(name).in_channels if in_channels is None else in_channels
    with torch.device("meta"):
        network = build(name, num_classes, channels)
    size = image_size or PAPERS.get(name, Paper(DEFAULT_SIZE)).image_size
    return explain(network, size, channels, name=name)


def card(name: str, explained: Explained | None = None, recipe: Recipe | None = None) -> str:
    """Return a network's card, as Markdown.

    Args:
        name: One of the catalogue.
        explained: The network laid out; as in its paper if not given.
        recipe: How its paper trained it, for the published score and what differs in training.
    """
    explained = explained or explain_model(name)
    row = find(name)
    parts = [f"# {name}", summary(row), _facts(row, explained, recipe)]
    for heading, text in (("Differs", docstring_section(row, "Differs")), ("Uncertain", uncertain(row))):
        parts += [f"**{heading}.** {text}"] * bool(text)
    if recipe is not None and recipe.differs:
        parts.append("**Differs in training.** " + " ".join(recipe.differs))
    return "\n\n".join([*parts, table(explained)])


def _facts(row: Row, explained: Explained, recipe: Recipe | None) -> str:
    height, width = explained.image_size
    paper = PAPERS.get(explained.name, Paper(DEFAULT_SIZE))
    classes = explained.layers[-1].output[0]
    printed = f"; the paper prints {paper.parameters} ({paper.where})" if paper.parameters else ""
    facts = [
        ("source", docstring_section(row, "Source") or row.paper),
        ("parameters", f"{explained.parameters:,} at {classes} outputs{printed}"),
        ("multiply-adds", f"{compact(explained.macs)} for an image of {height} x {width}"),
        ("coarsest map", f"stride {explained.output_stride:g}, an element sees {explained.receptive_field} pixels"),
        ("published", published(recipe)),
    ]
    return "\n".join(f"- **{name}:** {text}" for name, text in facts)


def published(recipe: Recipe | None) -> str:
    """Return the scores that a paper reports, and where."""
    if recipe is None or not recipe.expected:
        return "no score of the paper's own"
    scores = [
        f"{SCORES[key]} {percent(value)} %" if key in SCORES else f"{key} {value:g}"
        for key, value in recipe.expected.items()
    ]
    return f"{', '.join(scores)} ({recipe.sources['expected']})"


def percent(share: float) -> str:
    """Return a share in percent, with the one or two decimals that papers print."""
    return f"{100 * share:.2f}".removesuffix("0")


def summary(row: Row) -> str:
    """Return the first line of the docstring of the module that a network lives in."""
    return _docstring(row.network).splitlines()[0]


def docstring_section(row: Row, heading: str) -> str:
    """Return a section of the docstring of the module that a network lives in, on one line."""
    pattern = rf"^{heading}: (.*?)(?=^(?:{'|'.join(SECTIONS)}):|^\S*\s*$|\Z)"
    found = re.search(pattern, _docstring(row.network), re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def uncertain(row: Row) -> str:
    """Return what a docstring calls uncertain in a section of its own."""
    return docstring_section(row, "Uncertain")


def _docstring(network: Callable[..., nn.Module]) -> str:
    home = network.func if isinstance(network, partial) else network
    return inspect.cleandoc(inspect.getmodule(home).__doc__ or "")
