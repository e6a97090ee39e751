"""A network, drawn as its paper would: boxes as high as their maps and as wide as their channels.

    hourglass    maps shrink and grow along one line; skips and switches pass above it      FCN, SegNet, DeconvNet
    levels       every resolution has its own line                                          U-Net, FRRN

Boxes on the longest way from image to logits stand on the line; what branches off and comes back, as FCN's
scores of pool4, stands on its arrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from perpixel.explain.blocks import IMAGE, Block, blocks
from perpixel.explain.drawing import Drawing, Line, Polygon, Shape, Words
from perpixel.explain.layers import Explained
from perpixel.explain.table import compact

TALLEST, SMALLEST = 150.0, 7.0
GAP, MARGIN, CAPTION = 13.0, 24.0, 64.0
LANE, LEVEL = 15.0, 30.0
FACES = {
    "encoder": ("#8fb3d9", "#bcd3ea", "#6c93bd"),
    "decoder": ("#a3c9a8", "#cbe3ce", "#7fab86"),
    "score": ("#e0a872", "#f1cfae", "#c08750"),
    "image": ("#d8dee9", "#eceff4", "#b4bccb"),
}  # front, top, side
SKIP, SWITCH, FLOW = "#bf4f4f", "#7a5ab5", "#4c566a"


@dataclass
class Box:
    """Where a block is drawn: its front's left, top, width and height, and how deep it is."""

    left: float
    top: float
    width: float
    height: float
    depth: float

    @property
    def middle(self) -> float:
        """Return the height of its middle."""
        return self.top + self.height / 2

    @property
    def right(self) -> float:
        """Return where its side ends."""
        return self.left + self.width


def diagram(explained: Explained) -> Drawing:
    """Draw a network.

    Args:
        explained: Of `explain`; its layers give the boxes.

    Returns: A drawing with `svg()` and `png()`.
    """
    boxes = blocks(explained)
    trunk = _trunk(boxes)
    levels = _is_levelled(boxes, trunk)
    image = Block([], (0, *explained.image_size), kind="image")
    placed = _on_levels(image, boxes) if levels else _on_a_line(image, boxes, trunk)
    top = min(box.top - box.depth for box in placed.values())
    lines, highest = _arrows(boxes, placed, trunk, levels, top)
    shapes: list[Shape] = list(lines)
    for index in sorted(placed, key=lambda index: placed[index].left):
        shapes += _solid(placed[index], boxes[index] if index != IMAGE else image)
    shapes += _labels(image, boxes, placed, explained)
    return _framed(shapes, placed, highest, explained)


def _trunk(boxes: Sequence[Block]) -> list[int]:
    """Return the blocks on the longest way from the image to the last block."""
    way, at = [], len(boxes) - 1
    while at != IMAGE:
        way.append(at)
        at = max(boxes[at].inputs, key=lambda source: boxes[source].depth if source >= 0 else 0)
    return way[::-1]


def _is_levelled(boxes: Sequence[Block], trunk: Sequence[int]) -> bool:
    """Tell a network whose maps are joined at every level from one along a line."""
    joins = sum(block.join == "concatenated" and len(block.inputs) > 1 for block in boxes)
    return joins >= 3


def _size(block: Block, tallest: int) -> tuple[float, float, float]:
    """Return width, height and depth: channels by their root, rows and columns in proportion."""
    channels, rows, columns = block.output
    width = 5.0 if channels == 0 else min(max(channels**0.5 * 1.1, 3.0), 60.0)
    if not block.layers and channels:
        width = min(width, 6.0)
    height = max(TALLEST * rows / tallest, SMALLEST)
    return width, height, max(0.32 * TALLEST * columns / tallest, 2.0)


def _on_a_line(image: Block, boxes: Sequence[Block], trunk: Sequence[int]) -> dict[int, Box]:
    tallest = max(block.output[1] for block in (image, *boxes))
    placed, left = {}, MARGIN
    for index in (IMAGE, *trunk):
        width, height, depth = _size(image if index == IMAGE else boxes[index], tallest)
        extra = 9.0 * (boxes[index].branches - 1) if index != IMAGE else 0.0
        placed[index] = Box(left, -height / 2, width, height, depth)
        left += width + depth + GAP + extra
    chains = _chains(boxes, set(placed))
    roof = min(box.top - box.depth for box in placed.values())
    for lane, chain in enumerate(sorted(chains, key=lambda chain: -placed[_source(chain, boxes, placed)].left)):
        _place_beside(chain, boxes, placed, roof - 26.0 - 46.0 * lane, 2 * tallest)
    return placed


def _chains(boxes: Sequence[Block], trunk: set[int]) -> list[list[int]]:
    """Return what branches off the trunk, each chain of blocks from where it leaves to where it comes back."""
    chains: list[list[int]] = []
    for index in (index for index in range(len(boxes)) if index not in trunk):
        chain = next((chain for chain in chains if chain[-1] in boxes[index].inputs), None)
        if chain is None:
            chains.append([index])
        else:
            chain.append(index)
    return chains


def _source(chain: Sequence[int], boxes: Sequence[Block], placed: dict[int, Box]) -> int:
    return next((source for source in boxes[chain[0]].inputs if source in placed), IMAGE)


def _place_beside(
    chain: Sequence[int], boxes: Sequence[Block], placed: dict[int, Box], bottom: float, tallest: int
) -> None:
    """Place a chain above the line, so that it ends over what reads it."""
    readers = [reader for reader, block in enumerate(boxes) if chain[-1] in block.inputs and reader in placed]
    right = placed[readers[0]].left if readers else max(box.right for box in placed.values())
    for index in reversed(chain):
        width, height, depth = _size(boxes[index], tallest)
        height, depth = min(height, 26.0), min(depth, 10.0)
        right -= width + depth + 8.0
        placed[index] = Box(right, bottom - height, width, height, depth)
        right -= 16.0


def _on_levels(image: Block, boxes: Sequence[Block]) -> dict[int, Box]:
    tallest = max(block.output[1] for block in (image, *boxes))
    scale = 0.45
    gap, shrink = (0.8 * GAP, 0.8) if len(boxes) < 30 else (7.0, 0.5)
    tops: dict[int, float] = {}
    below = 0.0
    for level in sorted({_level(block) for block in (image, *boxes)}):
        tops[level] = below
        below += max(scale * TALLEST / 2**level, SMALLEST) + LEVEL
    placed, left = {}, MARGIN
    for index, block in [(IMAGE, image), *enumerate(boxes)]:
        width, height, depth = _size(block, tallest)
        depth = min(scale * depth, 30.0 * shrink)
        placed[index] = Box(left, tops[_level(block)], shrink * width, scale * height, depth)
        left += shrink * width + depth + gap
    return placed


def _level(block: Block) -> int:
    return max(0, round(log2(block.stride)))


def _arrows(
    boxes: Sequence[Block], placed: dict[int, Box], trunk: Sequence[int], levels: bool, top: float
) -> tuple[list[Line], float]:
    """Return the lines between boxes, and how far up the highest goes."""
    lines, spans = [], []
    order = {index: place for place, index in enumerate((IMAGE, *trunk))}
    for index, block in enumerate(boxes):
        for source in block.inputs:
            beside = index not in order or source not in order
            if levels or beside or order[index] == order[source] + 1:
                skip = levels and bool(block.join) and source != index - 1
                lines.append(_across(placed[source], placed[index], levels, skip))
            else:
                spans.append((order[index] - order[source], source, index, False))
        spans += [(index - source, source, index, True) for source in block.switches_of]
    highest = top
    for lane, (_, source, index, switch) in enumerate(sorted(spans)):
        height = top - LANE * (lane + 1)
        highest = min(highest, height)
        lines.append(_over(placed[source], placed[index], height, SWITCH if switch else SKIP, switch))
    return lines, highest


def _across(start: Box, end: Box, levels: bool, skip: bool) -> Line:
    """Join two boxes: straight where they are level, else along and then up or down."""
    if levels:
        return _between_levels(start, end, SKIP if skip else FLOW)
    if abs(start.middle - end.middle) < 1:
        return Line(((start.right, start.middle), (end.left, end.middle)), FLOW)
    if start.middle > end.middle:
        across = start.left + start.width / 2
        return Line(((across, start.top - start.depth), (across, end.middle), (end.left, end.middle)), SKIP)
    across = end.left + end.width / 2
    return Line(((start.right, start.middle), (across, start.middle), (across, end.top - end.depth)), SKIP)


def _between_levels(start: Box, end: Box, color: str) -> Line:
    if abs(start.top - end.top) < 1:
        height = start.top + (0.25 if color == SKIP else 0.5) * start.height
        return Line(((start.right, height), (end.left, height)), color)
    if end.top > start.top:
        across, height = end.left + end.width / 2, start.top + 0.75 * start.height
        return Line(((start.right, height), (across, height), (across, end.top - end.depth)), color)
    across, height = end.left - 5.0, end.top + 0.75 * end.height
    return Line(((start.right, start.middle), (across, start.middle), (across, height), (end.left, height)), color)


def _over(start: Box, end: Box, height: float, color: str, dashed: bool) -> Line:
    """Join two boxes above everything between them."""
    x0, x1 = (box.left + box.width / 2 + box.depth / 2 for box in (start, end))
    return Line(
        ((x0, start.top - start.depth / 2), (x0, height), (x1, height), (x1, end.top - end.depth / 2)), color, dashed
    )


def _solid(box: Box, block: Block) -> list[Shape]:
    """Return a box's faces, once for each branch, one in front of the other."""
    shapes: list[Shape] = []
    front, lid, side = FACES[block.kind]
    copies = block.branches if block.kind == "score" or block.branches > 2 else 1
    for copy in reversed(range(copies)):
        x, y, d = box.left + 3.0 * copy, box.top - 3.0 * copy, box.depth
        w, h = box.width, box.height
        shapes += [
            Polygon(((x, y), (x + d, y - d), (x + w + d, y - d), (x + w, y)), lid),
            Polygon(((x + w, y), (x + w + d, y - d), (x + w + d, y + h - d), (x + w, y + h)), side),
            Polygon(((x, y), (x + w, y), (x + w, y + h), (x, y + h)), front),
        ]
    return shapes


def _labels(image: Block, boxes: Sequence[Block], placed: dict[int, Box], explained: Explained) -> list[Shape]:
    shapes: list[Shape] = []
    size = (0, 0)
    right: dict[float, float] = {}
    for index in sorted(placed, key=lambda index: placed[index].left):
        block, box = (image, placed[index]) if index == IMAGE else (boxes[index], placed[index])
        middle, under = box.left + box.width / 2, round(box.top + box.height)
        text = "image" if index == IMAGE else _name(block, explained)
        width = 5.4 * len(text)
        if text and middle - width / 2 > right.get(under, -1e9):
            shapes.append(Words((middle, under + 12.0), text, 9.5))
            right[under] = middle + width / 2 + 2
        if block.output[1:] != size:
            rows, columns = size = block.output[1:]
            words = f"{rows} x {columns}"
            width = 4.8 * len(words)
            if middle - width / 2 > right.get(under + 1000, -1e9):
                shapes.append(Words((middle, under + 23.0), words, 8.5, fill="#7b8394"))
                right[under + 1000] = middle + width / 2 + 2
    return shapes


def _name(block: Block, explained: Explained) -> str:
    """Return a box's channels and layers: 256 (3)."""
    if not block.layers:
        return str(block.output[0]) if block.join else ""
    return f"{block.output[0]}" + (f" ({block.layers})" if block.layers > 1 else "")


def _framed(shapes: list[Shape], placed: dict[int, Box], highest: float, explained: Explained) -> Drawing:
    """Return the drawing with its title and its key, moved so that it begins at 0."""
    up = min(highest, min(box.top - box.depth for box in placed.values())) - 46.0
    bottom = max(box.top + box.height for box in placed.values()) + CAPTION
    width = max(max(box.right + box.depth for box in placed.values()) + MARGIN, 560.0)
    moved = [_moved(shape, -up) for shape in shapes]
    height = bottom - up
    title = f"{explained.name}: {compact(explained.parameters)} parameters, {compact(explained.macs)} multiply-adds"
    moved.append(Words((MARGIN, 20.0), title, 13, "start"))
    sees = f"coarsest map: stride {explained.output_stride:g}, sees {explained.receptive_field} px"
    moved.append(Words((MARGIN, 35.0), sees, 10, "start", "#7b8394"))
    return Drawing(width, height, explained.name, [*moved, *_key(shapes, height - 14.0)])


def _key(shapes: Sequence[Shape], baseline: float) -> list[Shape]:
    key: list[Shape] = [Words((MARGIN, baseline), "channels (layers); below, the map's size", 9, "start", "#7b8394")]
    colors = {shape.stroke for shape in shapes if isinstance(shape, Line)}
    x = MARGIN + 205.0
    for color, text, dashed in ((SKIP, "skip", False), (SWITCH, "pooling switches", True)):
        if color in colors:
            key.append(Line(((x, baseline - 3), (x + 26, baseline - 3)), color, dashed))
            key.append(Words((x + 31, baseline), text, 9, "start", "#7b8394"))
            x += 66.0 + 5 * len(text)
    return key


def _moved(shape: Shape, down: float) -> Shape:
    if isinstance(shape, Words):
        return Words((shape.at[0], shape.at[1] + down), shape.text, shape.size, shape.anchor, shape.fill)
    points = tuple((x, y + down) for x, y in shape.points)
    if isinstance(shape, Polygon):
        return Polygon(points, shape.fill, shape.stroke)
    return Line(points, shape.stroke, shape.dashed, shape.arrow)
