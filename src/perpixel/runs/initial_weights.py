"""What a run begins from: fresh weights, another run's, or a file of anybody's.

    run, or safetensors of the same network    every tensor of the same name and shape
    anything else                              perpixel.weights.transplant: by the layers' names, folded to the pixels
    a network of parts, late fusion's two      each part as above, from a source of its own or all from one

Nothing is ever half-loaded.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from perpixel.data.normalization import Normalization
from perpixel.errors import UsageError
from perpixel.runs.run import RECORD, Run
from perpixel.training import files
from perpixel.training.recipe import Recipe
from perpixel.weights import read, transplant
from perpixel.weights.download import at_hand, by_hand, cached
from perpixel.weights.known import KNOWN, candidates
from perpixel.weights.pixels import describe, same
from perpixel.weights.reading import locate, recognize_format, some
from perpixel.weights.surgery import fold_input

Source = str | dict[str, str]  # "none", a run or a file; or that of each part

SAME_NETWORK = 0.5  # share of a file's tensors that must fit by name and shape to call it the same network


def parse_sources(words: Sequence[str]) -> Source | None:
    """Read what `--weights` was given: nothing, one source, or PART=SOURCE for each part of a network.

    Raises:
        UsageError: Several, and not each for a part.
    """
    if not words:
        return None
    if len(words) == 1 and (Path(words[0]).exists() or "=" not in words[0]):
        return words[0]
    pairs = [word.partition("=") for word in words]
    if not all(part and source for part, _, source in pairs) or len({part for part, _, _ in pairs}) < len(pairs):
        raise UsageError(
            f"--weights: expected one source, or PART=SOURCE once for each part of the network, got {' '.join(words)}. "
            "For example: --weights color=runs/color hha=runs/hha."
        )
    return {part: source for part, _, source in pairs}


def choose_source(asked: Source | None, recipe: Recipe) -> tuple[Source, tuple[str, ...]]:
    """Return where weights come from, and remarks where the recipe wants what is not at hand.

    What a user names is fetched if need be; what a recipe names is only looked for in the cache: half a gigabyte
    is not downloaded unasked.

    Args:
        asked: A path, a known name, "none", or None for what the recipe says; or one of them for each part.
        recipe: Of the run, or of its first stage.

    Returns: A path or "none", or the paths of parts.
    Raises:
        UsageError: There is nothing of that name.
        WeightsError: It cannot be fetched.
    """
    if asked is None:
        return _recipes_own(recipe)
    if isinstance(asked, dict):
        return {part: _found(source) for part, source in asked.items()}, ()
    return _found(asked), ()


def _found(asked: str) -> str:
    """Return the path of what a user named, or "none"."""
    if asked == "none":
        return "none"
    if Path(asked).exists():
        return str(Path(asked).resolve())
    if candidates(asked):
        return str(locate(asked).resolve())
    raise UsageError(
        f"--weights: there is no file or run {asked!r}, and no known weights of that name. Give a run directory, a "
        "file, a name of `perpixel weights list`, or none."
    )


def load_initial_weights(network: nn.Module, source: Source, normalization: Normalization | None = None) -> str:
    """Fill a network from a run, or from a file of any format; wholly, or not at all.

    Args:
        network: Changed in place.
        source: A run directory or a file; or one for each part that is not to be fresh. A network of several parts
            takes a file of one part for all of them.
        normalization: What the network will be fed; a classifier that was fed something else is folded.

    Returns: A line that says what was taken and what was not.
    Raises:
        RunError: A run's file is missing or damaged.
        WeightsError: A file cannot be read or does not fit.
    """
    parts: dict[str, tuple[int, int]] = getattr(network, "part_channels", {})
    if isinstance(source, str) and parts and not _is_whole(network, Path(source)):
        source = dict.fromkeys(parts, source)
    if isinstance(source, dict):
        return " ".join(_load_part(network, part, each, normalization) for part, each in source.items())
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


def _is_whole(network: nn.Module, path: Path) -> bool:
    """Return whether a run or file has names of the whole network, parts and all."""
    if path.is_file() and recognize_format(path) != "safetensors":
        return False
    held, _ = files.load_model(path / files.MODEL if path.is_dir() else path)
    return len(held.keys() & network.state_dict().keys()) > SAME_NETWORK * len(held)


def _load_part(network: nn.Module, part: str, source: str, normalization: Normalization | None) -> str:
    """Fill one part from a run or a file, translated to the pixels that this part sees."""
    parts: dict[str, tuple[int, int]] = getattr(network, "part_channels", {})
    if part not in parts:
        known = f"Its parts: {', '.join(parts)}." if parts else "It takes one source, without PART=."
        raise UsageError(f"--weights: {type(network).__name__} has no part {part!r}. {known}")
    if source == "none":
        return f"{part}: fresh."
    wanted = None if normalization is None else _channels_of(normalization, *parts[part])
    piece = network.get_submodule(part)
    line = load_initial_weights(piece, source, wanted)
    return f"{part}: {line}{_fold_run(piece, Path(source), wanted)}"


def _channels_of(normalization: Normalization, first: int, end: int) -> Normalization:
    """Return what channels `first` to before `end` of the network's image are fed."""
    if normalization.order == "bgr":
        first, end = normalization.channels - end, normalization.channels - first
    return Normalization(
        mean=normalization.mean[first:end], std=normalization.std[first:end], order=normalization.order
    )


def _fold_run(network: nn.Module, path: Path, wanted: Normalization | None) -> str:
    """Translate the first layer that was taken from a run whose pixels were given otherwise; say so."""
    if wanted is None or not (path / RECORD).is_file():
        return ""
    held = Run.open(path).record.normalization
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    if same(held, wanted) or held.channels != wanted.channels or first.bias is None:
        return ""
    with torch.no_grad():
        weight, offset = fold_input(first.weight, held, wanted)
        first.weight.copy_(weight)
        first.bias.add_(offset)
    return f" Its first layer is folded from {describe(held)} to {describe(wanted)}."


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


def _recipes_own(recipe: Recipe) -> tuple[Source, tuple[str, ...]]:
    wanted = recipe.initial_weights
    if isinstance(wanted, dict):
        return "none", (_parts_remark(wanted),)
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


def _parts_remark(wanted: dict[str, str]) -> str:
    names = " and ".join(f"{name} ({part})" for part, name in wanted.items())
    words = " ".join(f"{part}=RUN" for part in wanted)
    return (
        f"The recipe begins from {names}; this run begins from fresh weights, and will not reach the paper's figures. "
        f"Train each first, and give their runs, or files: --weights {words}."
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
