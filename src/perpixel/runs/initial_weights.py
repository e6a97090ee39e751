"""What a run begins from: fresh weights, another run's, or a file of anybody's.

    run, or safetensors of the same network    every tensor of the same name and shape
    anything else                              perpixel.weights.transplant: by the layers' names, folded to the pixels

Nothing is ever half-loaded.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from perpixel.data.normalization import Normalization
from perpixel.errors import UsageError
from perpixel.training import files
from perpixel.training.recipe import Recipe
from perpixel.weights import read, transplant
from perpixel.weights.download import at_hand, by_hand, cached
from perpixel.weights.known import KNOWN, candidates
from perpixel.weights.reading import locate, recognize_format, some

SAME_NETWORK = 0.5  # share of a file's tensors that must fit by name and shape to call it the same network


def choose_source(asked: str | None, recipe: Recipe) -> tuple[str, tuple[str, ...]]:
    """Return where weights come from, and remarks where the recipe wants what is not at hand.

    What a user names is fetched if need be; what a recipe names is only looked for in the cache: half a gigabyte
    is not downloaded unasked.

    Args:
        asked: A path, a known name, "none", or None for what the recipe says.
        recipe: Of the run, or of its first stage.

    Returns: A path or "none".
    Raises:
        UsageError: There is nothing of that name.
        WeightsError: It cannot be fetched.
    """
    if asked is None:
        return _recipes_own(recipe)
    if asked == "none":
        return "none", ()
    if Path(asked).exists():
        return str(Path(asked).resolve()), ()
    if candidates(asked):
        return str(locate(asked).resolve()), ()
    raise UsageError(
        f"--weights: there is no file or run {asked!r}, and no known weights of that name. Give a run directory, a "
        "file, a name of `perpixel weights list`, or none."
    )


def load_initial_weights(network: nn.Module, source: str, normalization: Normalization | None = None) -> str:
    """Fill a network from a run, or from a file of any format; wholly, or not at all.

    Args:
        network: Changed in place.
        source: A run directory or a file.
        normalization: What the network will be fed; a classifier that was fed something else is folded.

    Returns: A line that says what was taken and what was not.
    Raises:
        RunError: A run's file is missing or damaged.
        WeightsError: A file cannot be read or does not fit.
    """
    path = Path(source)
    if path.is_dir() or recognize_format(path) == "safetensors":
        held, _ = files.load_model(path / files.MODEL if path.is_dir() else path)
        taken = _same_names(network, held)
        if taken:
            left = sorted(key for key in network.state_dict() if key not in taken)
            rest = f"; fresh: {some(left)}" if left else ""
            return f"Took {len(taken)} of {len(taken) + len(left)} tensors from {path}{rest}."
    pretrained = read(path)
    return f"Took from {pretrained.origin}: {transplant(network, pretrained, normalization)}."


def _same_names(network: nn.Module, held: dict[str, Tensor]) -> list[str]:
    """Copy what has the same name and shape, if that is most of what is held; return its names."""
    own = network.state_dict()
    fitting = [name for name, value in held.items() if name in own and own[name].shape == value.shape]
    if len(fitting) <= SAME_NETWORK * len(held):
        return []
    with torch.no_grad():
        for name in fitting:
            own[name].copy_(held[name])
    return fitting


def _recipes_own(recipe: Recipe) -> tuple[str, tuple[str, ...]]:
    wanted = recipe.initial_weights
    if wanted == "none":
        return "none", ()
    there = at_hand(wanted)
    path = cached(there) if there else None
    if path is not None and recipe.width == 1:
        return str(path), (f"The recipe begins from {wanted}; {path.name} is at hand. --weights none leaves it out.",)
    return "none", (
        f"The recipe begins from {wanted}; this run begins from fresh weights, and will not reach the paper's "
        f"figures. {_advice(wanted, recipe, path is not None)}",
    )


def _advice(wanted: str, recipe: Recipe, at_hand: bool) -> str:
    if at_hand:
        return f"They fit the full network only, not one of width {recipe.width:g}."
    names = candidates(wanted)
    if not names:
        return f"Train {wanted} first, and give its run with --weights RUN; or give a file with --weights FILE."
    if any(KNOWN[name].secure for name in names):
        return f"Fetch them with `perpixel weights get {wanted}` and begin again, or give --weights RUN or FILE."
    return f"{by_hand(KNOWN[names[0]])} Then begin again, or give --weights RUN or FILE."
