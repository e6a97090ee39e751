"""The layer table, as Markdown that also reads well on a terminal."""

from collections.abc import Sequence

from perpixel.explain.layers import Explained, LayerRow

HEADINGS = ("layer", "", "output", "parameters", "multiply-adds", "stride", "sees")
NUMBERS = slice(3, None)


def table(explained: Explained) -> str:
    """Return one line a layer, and the totals.

    Batch normalisation is folded into the line of the layer before it; its parameters are counted there.
    """
    rows = [_cells(row) for row in folded(explained.layers)]
    height, width = explained.image_size
    total = ("total", f"{height} x {width} in", "", f"{explained.parameters:,}", compact(explained.macs), "", "")
    return columns([HEADINGS, *rows, total])


def folded(layers: Sequence[LayerRow]) -> list[LayerRow]:
    """Return the rows with every batch normalisation joined to what it normalises."""
    shown: list[LayerRow] = []
    for row in layers:
        if row.type == "batch norm" and shown and shown[-1].output == row.output:
            last = shown[-1]
            words = ", ".join(part for part in (last.detail, "normalised") if part)
            shown[-1] = LayerRow(
                **{**vars(last), "parameters": last.parameters + row.parameters, "detail": words}
            )  # fmt: skip
        else:
            shown.append(row)
    return shown


def _cells(row: LayerRow) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.type} {row.detail}".strip(),
        " x ".join(map(str, row.output)),
        f"{row.parameters:,}" if row.parameters else "",
        compact(row.macs) if row.macs else "",
        "" if row.stride is None else f"{row.stride:g}",
        "" if row.receptive_field is None else str(row.receptive_field),
    )


def compact(number: int) -> str:
    """Return a count with three digits and a letter: 15.3 G."""
    for unit, letter in ((10**12, " T"), (10**9, " G"), (10**6, " M"), (10**3, " k")):
        if number >= 0.9995 * unit:
            return f"{number / unit:.3g}{letter}"
    return str(number)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up; the first row is the heading."""
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    first_number = NUMBERS.start

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.rjust(width) if column >= first_number else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(aligned)} |"

    rule = [
        "-" * (width - 1) + ":" if column >= first_number else "-" * width for column, width in enumerate(widths)
    ]  # fmt: skip
    return "\n".join([line(rows[0]), f"|{'|'.join(f' {part} ' for part in rule)}|", *map(line, rows[1:])])
