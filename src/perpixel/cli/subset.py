"""`perpixel subset`: as if most images had no mask."""

from pathlib import Path
from typing import Annotated

import typer

from perpixel.errors import UsageError

EPILOG = "Example: perpixel subset street --masks-per-class 10 --out few"


def subset_command(
    data: Annotated[list[Path], typer.Argument(help="A data set with masks.")],
    out: Annotated[Path, typer.Option(help="A new folder for dataset.yaml, tags.csv and masked.txt.")],
    masks_per_class: Annotated[
        int | None, typer.Option("--masks-per-class", help="At least so many training masks show each class.")
    ] = None,
    masks: Annotated[int | None, typer.Option("--masks", help="So many training masks altogether.")] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--classes", help="The classes that training masks may show; all if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
) -> None:
    """Make a data set in which few training images keep their masks, and all keep their tags.

    Nothing is copied: the new dataset.yaml refers to the images and masks where they are.

    Example: perpixel subset street --masks-per-class 10 --out few
    """
    if len(data) > 2:
        raise UsageError(f"subset: expected DATA, or IMAGES MASKS, got {len(data)} paths. {EPILOG}.")
    from perpixel.cli.progress import Counter
    from perpixel.data.dataset import open_dataset
    from perpixel.data.subset import choose_masks, write_subset

    dataset = open_dataset(*data)
    names = [
        name
        for word in classes or ()
        for part in ([word] if word in dataset.classes else word.split(","))
        if (name := part.strip())
    ]
    with Counter("Reading training masks") as counter:
        choice = choose_masks(
            dataset, per_class=masks_per_class, total=masks, classes=names, seed=seed, progress=counter
        )
    write_subset(dataset, choice, out, names)
    typer.echo(f"{len(choice.pairs)} of {len(dataset.pairs('train'))} training masks are kept, in {out}:")
    for name, count in choice.counts.items():
        typer.echo(f"  {name:20} {count}")
    if choice.short:
        few = f"There are no {masks_per_class} masks that show" if masks_per_class else "No mask that is kept shows"
        typer.echo(f"{few} {', '.join(choice.short)}.", err=True)
