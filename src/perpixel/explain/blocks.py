"""From a layer table to the blocks of a drawing: layers of one size and width that follow one another are one box.

    rows      conv 64, norm, conv 64, pool, conv 128, conv 128, …
    blocks    [64 x 2]                [128 x 2]                …

Skips and switches are what leads from a block to another than the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from perpixel.explain.layers import Explained, LayerRow

JOINS = ("addition", "concatenation")
UPWARDS = ("deconvolution", "unpooling", "interpolation")
QUIET = ("batch norm", "response norm", "weights", "product")
IMAGE = -1


@dataclass
class Block:
    """A box of a drawing.

    Attributes:
        rows: Indices of its layers.
        output: (C, H, W) that it leaves.
        layers: Number of its convolutions and deconvolutions.
        branches: How many convolutions read what comes in side by side, at the most.
        kind: "encoder", "decoder" or "score".
        inputs: Blocks that it reads, the longest way first; -1 is the image.
        switches_of: Blocks whose pooling's switches it follows.
        stride: Of what it leaves, in pixels.
        join: How it takes in more than one: "added" or "concatenated"; empty otherwise.
        depth: Boxes on the longest way from the image.
    """

    rows: list[int]
    output: tuple[int, int, int]
    layers: int = 0
    branches: int = 1
    kind: str = "encoder"
    inputs: list[int] = field(default_factory=list)
    switches_of: list[int] = field(default_factory=list)
    stride: float = 1
    join: str = ""
    depth: int = 0


def blocks(explained: Explained) -> list[Block]:
    """Return a network's boxes, in running order."""
    rows = explained.layers
    made: list[Block] = []
    home: dict[int, int] = {IMAGE: IMAGE}
    for unit in _units(rows):
        block = _block(rows, unit)
        entries = sorted({home[source] for index in unit for source in rows[index].inputs if source not in unit})
        if made and _goes_on(made[-1], block, entries, len(made) - 1, home, rows):
            _merge(made[-1], block, [entry for entry in entries if entry != len(made) - 1])
        else:
            block.inputs = entries
            made.append(block)
        home.update(dict.fromkeys(unit, len(made) - 1))
    for block in made:
        block.switches_of = sorted({home[source] for index in block.rows if (source := _switches(rows[index])) >= 0})
        block.depth = 1 + max((made[source].depth for source in block.inputs if source >= 0), default=0)
        block.inputs.sort(key=lambda source: -made[source].depth if source >= 0 else 0)
    _name_kinds(made, explained)
    return made


def _units(rows: Sequence[LayerRow]) -> Iterator[list[int]]:
    """Yield stretches of rows that only their last row leaves: a layer, a residual unit, an inception module."""
    start = 0
    while start < len(rows):
        end = start + 1
        while end < len(rows) and _splits(rows, start, end):
            end += 1
        size = rows[start].output[1:]
        if any(rows[index].output[1:] != size for index in range(start, end)) or end - start > 40:
            end = start + 1
        yield list(range(start, end))
        start = end


def _splits(rows: Sequence[LayerRow], start: int, end: int) -> bool:
    """Tell whether what follows row `end` − 1, at its size, still reads a row before it or shares its input."""
    size = rows[start].output[1:]
    for later in range(end, min(end + 24, len(rows))):
        if rows[later].output[1:] != size or rows[later].type in UPWARDS:
            return False
        shared = set(rows[later].inputs) & set(rows[start].inputs) if rows[start].type not in JOINS else set()
        if any(start <= source < end - 1 for source in rows[later].inputs) or (shared and shared != {IMAGE}):
            return True
    return False


def _block(rows: Sequence[LayerRow], unit: list[int]) -> Block:
    last = rows[unit[-1]].output
    convolutions = [index for index in unit if rows[index].type in ("convolution", "deconvolution")]
    entry = rows[unit[0]].inputs
    side_by_side = sum(rows[index].inputs == entry for index in convolutions)
    join = next((rows[index].type for index in unit if rows[index].type in JOINS), "")
    words = {"addition": "added", "concatenation": "concatenated"}.get(join, "")
    output = (last[0], last[1], last[2]) if len(last) == 3 else (last[0], 1, 1)
    stride = rows[unit[-1]].stride or 1
    return Block(unit, output, len(convolutions), max(1, side_by_side), stride=stride, join=words)


def _goes_on(
    before: Block, block: Block, entries: list[int], index: int, home: dict[int, int], rows: Sequence[LayerRow]
) -> bool:
    """Tell whether a unit belongs into the box before it."""
    if index not in entries or before.output[1:] != block.output[1:]:
        return False
    quiet = all(rows[row].type in QUIET for row in block.rows)
    joins = rows[block.rows[0]].type in JOINS and len(entries) > 1
    upward_before = all(rows[row].type in UPWARDS for row in before.rows)
    fresh = before.layers == 0 and not joins
    return quiet or before.output[0] == block.output[0] or (upward_before and (joins or fresh)) or (
        all(rows[row].type in JOINS or row in before.rows[:1] for row in before.rows[-1:])
        and before.layers <= 1
        and before.join == "concatenated"
    )  # fmt: skip


def _merge(before: Block, block: Block, entries: list[int]) -> None:
    before.rows += block.rows
    before.output, before.stride = block.output, block.stride
    before.layers += block.layers
    before.branches = block.branches if block.layers else before.branches
    before.inputs += [entry for entry in entries if entry not in before.inputs]
    before.join = before.join or block.join


def _switches(row: LayerRow) -> int:
    return -1 if row.switches_of is None else row.switches_of


def _name_kinds(made: list[Block], explained: Explained) -> None:
    rows = explained.layers
    classes = rows[-1].output[0]
    coarsest = max((row.stride or 0) for row in rows)
    deepest = next(index for index, block in enumerate(made) if _stride(block, rows) == coarsest)
    turned = False
    for index, block in enumerate(made):
        turned = turned or (index >= deepest and any(rows[row].type in UPWARDS for row in block.rows))
        if index and block.output[0] == classes:
            block.kind = "score"
        elif turned:
            block.kind = "decoder"


def _stride(block: Block, rows: Sequence[LayerRow]) -> float:
    return max((rows[index].stride or 0) for index in block.rows)
