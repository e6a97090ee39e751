"""Tables for the terminal: what is in a data set, and what is wrong with it."""

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from perpixel.data.inspection import ClassShare, Inspection, Problem
from perpixel.data.inspection.problems import OUTCOMES
from perpixel.data.inspection.tagged import Labels
from perpixel.data.palette import distinct_colors

STYLES = {"fatal": "bold red", "left out": "yellow", "mended": "cyan", "notice": "dim"}
MEANINGS = {
    "fatal": "training refuses these",
    "left out": "training goes on without these pairs",
    "mended": "training applies a stored mapping",
    "notice": "usable, and worth a look",
}
FILES_SHOWN = 5
BAR = 24


def describe(inspection: Inspection) -> RenderableType:
    """Return everything about a data set for the terminal."""
    parts: list[RenderableType] = [facts_table(inspection)]
    if inspection.classes and not inspection.unmasked:
        parts += ["", class_table(inspection)]
    parts += ["", *problem_list(inspection.problems)]
    return Group(*parts)


def facts_table(inspection: Inspection) -> Table:
    """Return name, pairs, sizes, layout and what was decided."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("data", inspection.draft.name if inspection.draft else inspection.root.name)
    splits = ", ".join(f"{count} {split}" for split, count in inspection.splits.items())
    out = f"; {len(inspection.left_out)} left out" if inspection.left_out else ""
    named = f"none; images with tags: {splits}" if inspection.unmasked else f"{inspection.pairs} ({splits})"
    table.add_row("pairs", named + out)
    if inspection.labels.source is not None or inspection.labels.mask_classes is not None:
        table.add_row("labels", _labels(inspection.labels))
    table.add_row("sizes", _sizes(inspection.sizes))
    encoding = "none" if inspection.unmasked else inspection.encoding
    table.add_row("masks", f"{encoding}, layout {inspection.kind}")
    for index, note in enumerate(inspection.notes):
        table.add_row("" if index else "decided", note)
    return table


def _labels(labels: Labels) -> str:
    """Return how many images have masks, tags, or neither, and which classes masks may show."""
    parts = [f"{labels.masks} with a mask", f"{labels.tags_only} with tags only"]
    parts += [f"{labels.neither} with neither"] if labels.neither else []
    parts = [", ".join(parts)]
    if labels.tagged and labels.source is not None:
        parts.append("tagged: " + ", ".join(f"{name} {count}" for name, count in labels.tagged.items()))
    if labels.mask_classes is not None:
        parts.append(f"training masks may show {', '.join(labels.mask_classes)}")
    return "; ".join(parts)


def _sizes(sizes: dict[str, int], most: int = 4) -> str:
    """Return the commonest sizes, H x W."""
    shown = [f"{size} ({count})" if len(sizes) > 1 else size for size, count in list(sizes.items())[:most]]
    more = f" and {len(sizes) - most} more" if len(sizes) > most else ""
    return (", ".join(shown) + more) or "none"


def class_table(inspection: Inspection) -> Table:
    """Return one row a class: stored value, name, share of the counted pixels, images."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for name, side in (("value", "right"), ("class", "left"), ("share", "right"), ("", "left")):
        table.add_column(name, justify="right" if side == "right" else "left")
    table.add_column("pixels", justify="right")
    table.add_column("images", justify="right")
    palette = distinct_colors(len(inspection.classes))
    largest = max((share.share for share in inspection.classes), default=1) or 1
    for share, color in zip(inspection.classes, palette, strict=True):
        table.add_row(*_class_row(share, share.color or color, largest))
    if inspection.ignored:
        table.add_row("", Text("ignored", "dim"), "", "", Text(f"{inspection.ignored:,}", "dim"), "")
    return table


def _class_row(share: ClassShare, color: tuple[int, int, int], largest: float) -> tuple[RenderableType, ...]:
    value = ",".join(map(str, share.value)) if isinstance(share.value, list) else str(share.value)
    bar = Text("█" * max(1, round(BAR * share.share / largest)) if share.pixels else "")
    bar.stylize(f"rgb({color[0]},{color[1]},{color[2]})")
    return value, share.name, f"{share.share:.2%}", bar, f"{share.pixels:,}", f"{share.images:,}"


def problem_list(problems: Sequence[Problem]) -> Iterator[RenderableType]:
    """Return every problem: what, where, why, and what to do, gravest first."""
    if not problems:
        yield Text("No problems found.", "green")
        return
    for outcome in OUTCOMES:
        group = [problem for problem in problems if problem.outcome == outcome]
        if group:
            yield Text.assemble((outcome, STYLES[outcome]), f": {MEANINGS[outcome]}")
            for problem in group:
                yield Padding(_problem(problem), (0, 0, 0, 2))


def _problem(problem: Problem) -> Text:
    text = Text.assemble((problem.kind, STYLES[problem.outcome]), f": {problem.message}\n", problem.fix)
    if problem.files:
        more = len(problem.files) - FILES_SHOWN
        shown = ", ".join(problem.files[:FILES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        text.append(f"\n{shown}", "dim")
    return text


def print_inspection(inspection: Inspection, console: Console | None = None) -> None:
    """Print what is in a data set on standard output."""
    (console or Console(highlight=False)).print(describe(inspection))
