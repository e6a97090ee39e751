"""Polygons, lines and words, drawn twice: as SVG, and as pixels.

Positions are pixels of the drawing, x to the right and y downwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
FINER = 3  # pixels are drawn this many times finer, then averaged
ARROW = 5.0
DASH = (5.0, 4.0)


@dataclass(frozen=True)
class Polygon:
    """A filled shape with an outline."""

    points: tuple[Point, ...]
    fill: str
    stroke: str = "#3b4252"


@dataclass(frozen=True)
class Line:
    """A line through points, with an arrowhead at its end."""

    points: tuple[Point, ...]
    stroke: str
    dashed: bool = False
    arrow: bool = True


@dataclass(frozen=True)
class Words:
    """One line of text; `at` is its baseline's left end, middle or right end."""

    at: Point
    text: str
    size: float = 11
    anchor: Literal["start", "middle", "end"] = "middle"
    fill: str = "#2e3440"


Shape = Polygon | Line | Words


@dataclass
class Drawing:
    """Shapes on white, in the order in which they cover one another."""

    width: float
    height: float
    title: str
    shapes: list[Shape] = field(default_factory=list)

    def svg(self) -> str:
        """Return the drawing as an SVG document."""
        size = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}" width="{self.width:.0f}" height="{self.height:.0f}"'
        body = "\n".join(_svg(shape) for shape in self.shapes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif">\n'
            f"<title>{escape(self.title)}</title>\n"
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
        )

    def png(self) -> Image.Image:
        """Return the drawing as a picture, twice as large as the SVG is shown."""
        large = Image.new("RGB", (round(self.width * 2 * FINER), round(self.height * 2 * FINER)), "white")
        canvas = ImageDraw.Draw(large)
        for shape in self.shapes:
            _paint(canvas, shape, 2 * FINER)
        return large.resize((round(self.width * 2), round(self.height * 2)), Image.Resampling.LANCZOS)


def _svg(shape: Shape) -> str:
    if isinstance(shape, Words):
        x, y = shape.at
        style = f'font-size="{shape.size:g}" text-anchor="{shape.anchor}" fill="{shape.fill}"'
        return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(shape.text)}</text>'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
    if isinstance(shape, Polygon):
        return f'<polygon points="{points}" fill="{shape.fill}" stroke="{shape.stroke}" stroke-width="0.8"/>'
    dash = f' stroke-dasharray="{DASH[0]:g} {DASH[1]:g}"' if shape.dashed else ""
    line = f'<polyline points="{points}" fill="none" stroke="{shape.stroke}" stroke-width="1.2"{dash}/>'
    if not shape.arrow:
        return line
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in _head(shape.points))
    return f'{line}<polygon points="{head}" fill="{shape.stroke}"/>'


def _paint(canvas: ImageDraw.ImageDraw, shape: Shape, times: int) -> None:
    if isinstance(shape, Words):
        font = ImageFont.load_default(shape.size * times)
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
        canvas.text((shape.at[0] * times, shape.at[1] * times), shape.text, shape.fill, font, anchor)
        return
    points = [(x * times, y * times) for x, y in shape.points]
    if isinstance(shape, Polygon):
        canvas.polygon(points, shape.fill, shape.stroke, width=round(0.8 * times))
        return
    for start, end in zip(shape.points, shape.points[1:], strict=False):
        for piece in _dashes(start, end) if shape.dashed else [(start, end)]:
            canvas.line([(x * times, y * times) for x, y in piece], shape.stroke, round(1.2 * times))
    if shape.arrow:
        canvas.polygon([(x * times, y * times) for x, y in _head(shape.points)], shape.stroke)


def _dashes(start: Point, end: Point) -> list[tuple[Point, Point]]:
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    pieces, at = [], 0.0
    while at < length:
        pieces.append((_between(start, end, at / length), _between(start, end, min(at + DASH[0], length) / length)))
        at += sum(DASH)
    return pieces


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _head(points: Sequence[Point]) -> list[Point]:
    (x0, y0), (x1, y1) = points[-2], points[-1]
    length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-6)
    along, across = ((x1 - x0) / length, (y1 - y0) / length), ((y0 - y1) / length, (x1 - x0) / length)
    back = (x1 - ARROW * along[0], y1 - ARROW * along[1])
    half = ARROW * 0.5
    return [
        (x1, y1),
        (back[0] + half * across[0], back[1] + half * across[1]),
        (back[0] - half * across[0], back[1] - half * across[1]),
    ]
