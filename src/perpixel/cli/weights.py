"""`perpixel weights`: pretrained encoders and networks."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from perpixel.errors import UsageError

if TYPE_CHECKING:
    from perpixel.weights import Pretrained


def weights_command(
    action: Annotated[Literal["list", "get", "convert"], typer.Argument(help="What to do.")],
    what: Annotated[str | None, typer.Argument(help="get: a name of the list. convert: a file or a name.")] = None,
    out: Annotated[Path | None, typer.Option(help="convert: the .safetensors to write; here, if not given.")] = None,
    classifier: Annotated[
        str | None, typer.Option("--as", help="convert: what FILE holds, where its layers' names leave it open.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List known weights, fetch them into the cache, or convert a file to safetensors.

    Example: perpixel weights get vgg16-imagenet
    """
    if action == "list":
        _list(json)
    elif what is None:
        given = "a name of `perpixel weights list`" if action == "get" else "a FILE or a name"
        raise UsageError(f"weights {action}: expected {given}, got none.")
    elif action == "get":
        _get(what, json)
    else:
        _convert(what, out, classifier, json)


def rows() -> list[dict[str, Any]]:
    """Return one row a known file."""
    from perpixel.weights.download import cache_folder, cached
    from perpixel.weights.known import KNOWN
    from perpixel.weights.pixels import describe

    return [
        {
            "name": name, "network": known.classifier, "top1": known.top1, "mib": known.size,
            "pixels": describe(known.pixels), "licence": known.licence, "url": known.url, "digest": known.digest,
            "fetched": known.secure, "path": str(cached(name) or cache_folder() / known.file),
            "cached": cached(name) is not None,
        }
        for name, known in KNOWN.items()
    ]  # fmt: skip


def fetch_shown(name: str) -> Path:
    """Return a known file's path; show a bar while it is fetched."""
    from perpixel.cli.progress import Counter
    from perpixel.weights.reading import locate

    with Counter(f"Fetching {name}") as counter:
        return locate(name, counter)


def fetch_if_known(sources: str | dict[str, str] | None) -> None:
    """Fetch what `--weights` names, unless it names a file or a run."""
    from perpixel.weights.known import candidates

    names = sources.values() if isinstance(sources, dict) else [sources or ""]
    for name in names:
        if name and not Path(name).exists() and candidates(name):
            fetch_shown(name)


def _list(json: bool) -> None:
    found = rows()
    if json:
        typer.echo(json_format.dumps(found, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from perpixel.weights.download import cache_folder
    from perpixel.weights.known import BEGINNINGS

    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{'name':<20}{'network':<18}{'top-1':>7}{'MiB':>6}  {'where':<9}pixels", style="bold")
    for row in found:
        top1 = f"{row['top1']:.1f} %" if row["top1"] else "–"
        where = "here" if row["cached"] else "to fetch" if row["fetched"] else "by hand"
        console.print(f"{row['name']:<20}{row['network']:<18}{top1:>7}{row['mib']:>6.0f}  {where:<9}{row['pixels']}")
    console.print(f"\nThe cache: {cache_folder()}. Licences and addresses: --json.", style="dim")
    for name, files in BEGINNINGS.items():
        console.print(f"{name}: the first at hand of {', '.join(files)}", style="dim")


def _get(name: str, json: bool) -> None:
    from perpixel.weights.known import candidates

    if not candidates(name):
        from perpixel.weights.reading import unknown

        raise UsageError(unknown(name))
    path = fetch_shown(name)
    typer.echo(json_format.dumps({"name": name, "path": str(path)}) if json else str(path))


def _convert(what: str, out: Path | None, classifier: str | None, json: bool) -> None:
    from perpixel.training.files import save_model
    from perpixel.weights import read

    held = read(what if Path(what).exists() else fetch_shown(what), classifier)
    target = out or Path(f"{held.classifier or Path(what).stem}.safetensors")
    if target.suffix != ".safetensors":
        raise UsageError(f"--out: expected a name that ends in .safetensors, got {target}.")
    if target.exists():
        raise UsageError(f"--out: {target} is there already. Name another, or remove it.")
    save_model(target, held.tensors, held.facts())
    typer.echo(json_format.dumps(_facts(held, target), indent=2) if json else _sentence(held, target))


def _facts(held: "Pretrained", target: Path) -> dict[str, Any]:
    from perpixel.weights.pixels import describe

    return {
        "path": str(target), "classifier": held.classifier or None, "origin": held.origin,
        "tensors": len(held.tensors), "parameters": sum(value.numel() for value in held.tensors.values()),
        "pixels": describe(held.pixels) if held.pixels else None,
    }  # fmt: skip


def _sentence(held: "Pretrained", target: Path) -> str:
    facts = _facts(held, target)
    return (
        f"{target}: {facts['classifier'] or 'a network that is not known here'}, {facts['tensors']} tensors, "
        f"{facts['parameters']:,} numbers; expects {facts['pixels'] or 'pixels that nobody has described'}."
    )
